// SPDX-License-Identifier: Apache-2.0
// Plate — an avatar's background picture at the size of a frame's canvas.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "engine/avatar_file.h"

namespace ts {

class Plate {
 public:
  // The file's own at its size, else resampled: bilinear, scaled to the height, middle on middle as the camera is,
  // borders repeated. The file must outlive this. Throws std::bad_alloc.
  Plate(const AvatarFile& file, int width, int height);

  const uint8_t* pixels() const { return pixels_; }  // [height,width,3]; nullptr where the file has no plate
  uint64_t bytes() const { return resized_.bytes(); }

 private:
  Buffer<uint8_t> resized_;
  const uint8_t* pixels_;
};

}  // namespace ts
