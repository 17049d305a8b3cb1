#include "engine/plate.h"

#include <algorithm>
#include <cmath>

namespace ts {

Plate::Tap Plate::tap(int i, int size, int source_size, float scale) {
  const float middle = 0.5f * static_cast<float>(size), source_middle = 0.5f * static_cast<float>(source_size);
  const float x = (static_cast<float>(i) + 0.5f - middle) / scale + source_middle - 0.5f;
  const float low = std::floor(x), last = static_cast<float>(source_size - 1);
  return {static_cast<int>(std::clamp(low, 0.0f, last)), static_cast<int>(std::clamp(low + 1, 0.0f, last)), x - low};
}

const uint8_t* Plate::at(const AvatarFile& file, int width, int height) {
  if (width == file.width && height == file.height) return file.plate;
  if (width == width_ && height == height_) return resized_.data();
  width_ = height_ = 0;  // holds nothing should an allocation fail
  uint8_t* out = resized_.reserve(3 * static_cast<size_t>(width) * static_cast<size_t>(height));
  Tap* columns = columns_.reserve(static_cast<size_t>(width));
  const float scale = static_cast<float>(height) / static_cast<float>(file.height);
  for (int x = 0; x < width; ++x) columns[x] = tap(x, width, file.width, scale);
  for (int y = 0; y < height; ++y) {
    const Tap row = tap(y, height, file.height, scale);
    const uint8_t* rows[2] = {file.plate + 3 * static_cast<size_t>(row.first) * static_cast<size_t>(file.width),
                              file.plate + 3 * static_cast<size_t>(row.second) * static_cast<size_t>(file.width)};
    for (int x = 0; x < width; ++x) {
      const Tap column = columns[x];
      for (int c = 0; c < 3; ++c) {
        const auto across = [&](const uint8_t* line) {
          return (1 - column.fraction) * line[3 * column.first + c] + column.fraction * line[3 * column.second + c];
        };
        *out++ = static_cast<uint8_t>((1 - row.fraction) * across(rows[0]) + row.fraction * across(rows[1]) + 0.5f);
      }
    }
  }
  width_ = width, height_ = height;
  return resized_.data();
}

}  // namespace ts
