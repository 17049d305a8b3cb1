// SPDX-License-Identifier: Apache-2.0
// Plate — an avatar's background picture at the size of a frame's canvas.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "engine/avatar_file.h"

namespace ts {

class Plate {
 public:
  Plate(const AvatarFile& file, int width, int height) : file_(file), width_(width), height_(height) {}

  // [height,width,3]; nullptr where the file has no plate. The file's own at its size, else resampled by the first
  // call: bilinear, scaled to the height, middle on middle as the camera is; plate_sides.h fills what is beside it. The
  // file must outlive this. Throws std::bad_alloc.
  const uint8_t* pixels();
  uint64_t bytes() const { return resized_.bytes(); }

 private:
  const uint8_t* resample();

  const AvatarFile& file_;
  const int width_, height_;
  Buffer<uint8_t> resized_;
  const uint8_t* pixels_ = nullptr;
};

}  // namespace ts
