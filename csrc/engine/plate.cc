// SPDX-License-Identifier: Apache-2.0
#include "engine/plate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/plate_sides.h"

namespace ts {
namespace {

// Where a pixel of the canvas falls between two pixels of a row or column of the file's picture.
struct Tap {
  int first, second;
  float fraction;  // of second
  bool inside;     // of the file's picture
};

Tap tap_of(int i, int size, int source_size, float scale) {
  const float middle = 0.5f * static_cast<float>(size), source_middle = 0.5f * static_cast<float>(source_size);
  const float x = (static_cast<float>(i) + 0.5f - middle) / scale + source_middle - 0.5f;
  const float low = std::floor(x), last = static_cast<float>(source_size - 1);
  return {static_cast<int>(std::clamp(low, 0.0f, last)), static_cast<int>(std::clamp(low + 1, 0.0f, last)), x - low,
          x > -1 && x < last + 1};
}

}  // namespace

const uint8_t* Plate::pixels() {
  if (!pixels_ && file_.plate) pixels_ = width_ == file_.width && height_ == file_.height ? file_.plate : resample();
  return pixels_;
}

const uint8_t* Plate::resample() {
  uint8_t* out = resized_.reserve(3 * static_cast<size_t>(width_) * static_cast<size_t>(height_));
  std::vector<Tap> columns(static_cast<size_t>(width_));
  const float scale = static_cast<float>(height_) / static_cast<float>(file_.height);
  for (int x = 0; x < width_; ++x) columns[static_cast<size_t>(x)] = tap_of(x, width_, file_.width, scale);
  for (int y = 0; y < height_; ++y) {
    const Tap row = tap_of(y, height_, file_.height, scale);
    const uint8_t* rows[2] = {file_.plate + 3 * static_cast<size_t>(row.first) * static_cast<size_t>(file_.width),
                              file_.plate + 3 * static_cast<size_t>(row.second) * static_cast<size_t>(file_.width)};
    for (int x = 0; x < width_; ++x) {
      const Tap column = columns[static_cast<size_t>(x)];
      for (int c = 0; c < 3; ++c) {
        const auto across = [&](const uint8_t* line) {
          return (1 - column.fraction) * line[3 * column.first + c] + column.fraction * line[3 * column.second + c];
        };
        *out++ = static_cast<uint8_t>((1 - row.fraction) * across(rows[0]) + row.fraction * across(rows[1]) + 0.5f);
      }
    }
  }
  const auto outside = [](const Tap& tap) { return !tap.inside; };
  const auto first = std::find_if_not(columns.begin(), columns.end(), outside);
  const auto last = std::find_if_not(columns.rbegin(), columns.rend(), outside);
  fill_plate_sides(resized_.data(), width_, height_, static_cast<int>(first - columns.begin()),
                   static_cast<int>(columns.rend() - last) - 1);
  return resized_.data();
}

}  // namespace ts
