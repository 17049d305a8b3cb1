// Plate — an avatar's background picture at the size of the image that is being drawn.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "engine/avatar_file.h"

namespace ts {

class Plate {
 public:
  // [height,width,3]: the file's own at its size, else resampled (bilinear, scaled to the height, middle on middle as
  // the camera is, borders repeated). Only the last size is kept. Throws std::bad_alloc.
  const uint8_t* at(const AvatarFile& file, int width, int height);

 private:
  // Where an image coordinate falls between two plate pixels of a row or column.
  struct Tap {
    int first, second;
    float fraction;  // of second
  };
  static Tap tap(int i, int size, int source_size, float scale);

  Buffer<uint8_t> resized_;
  Buffer<Tap> columns_;
  int width_ = 0, height_ = 0;
};

}  // namespace ts
