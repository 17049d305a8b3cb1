// Plate — an avatar's background picture at the size of the image that is being drawn.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "engine/avatar_file.h"

namespace ts {

class Plate {
 public:
  // [height,width,3]: the file's own at its size, else resampled once per size (bilinear, scaled to the height, middle
  // on middle as the camera is, borders repeated) and kept.
  const uint8_t* at(const AvatarFile& file, int width, int height);

 private:
  Buffer<uint8_t> resized_;
  int width_ = 0, height_ = 0;
};

}  // namespace ts
