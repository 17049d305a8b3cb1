// SPDX-License-Identifier: Apache-2.0
#include "engine/plate_sides.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ts {
namespace {

constexpr int kChannels = 3;
constexpr int kStripsOfWidth = 24;  // the shading of so small a part of the plate goes on beside it ...
constexpr double kMostChange = 10;  // ... by so much of 255: more is no shading, but a thing that stands there

using Column = std::vector<double>;  // [height,3]

// Means over 2 radius + 1 rows, fewer at the ends.
void box(const Column& from, int height, int radius, Column& sums, Column& to) {
  std::fill_n(sums.begin(), kChannels, 0.0);
  for (size_t i = 0; i < from.size(); ++i) sums[i + kChannels] = sums[i] + from[i];
  for (int y = 0; y < height; ++y) {
    const int begin = std::max(y - radius, 0), end = std::min(y + radius + 1, height);
    for (int c = 0; c < kChannels; ++c)
      to[static_cast<size_t>(y * kChannels + c)] =
          (sums[static_cast<size_t>(end * kChannels + c)] - sums[static_cast<size_t>(begin * kChannels + c)]) /
          (end - begin);
  }
}

// 0..1, in no pattern that eyes would find: rounding by it keeps smooth shades from showing the steps of 8 bits.
double dither(uint32_t x, uint32_t y) {
  uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u;
  h = (h ^ h >> 15) * 0x2c1b3c6du;
  h = (h ^ h >> 12) * 0x297a2d39u;
  return static_cast<double>(h >> 8) / (1 << 24);
}

struct Picture {
  uint8_t* data;
  int width, height;

  uint8_t* pixel(int x, int y) const {
    return data + kChannels * (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x));
  }
  // Mean of n columns: begin, begin + step, ...
  Column mean(int begin, int step, int n) const {
    Column sum(static_cast<size_t>(height) * kChannels);
    for (int y = 0; y < height; ++y)
      for (int i = 0; i < n; ++i)
        for (int c = 0; c < kChannels; ++c)
          sum[static_cast<size_t>(y * kChannels + c)] += static_cast<double>(pixel(begin + i * step, y)[c]) / n;
    return sum;
  }
};

// Columns edge + step, edge + 2 step, ... to the picture's end, beside `inside` columns that are there.
void fill_side(const Picture& picture, int edge, int step, int inside) {
  const int n = step > 0 ? picture.width - 1 - edge : edge;
  if (n <= 0) return;
  const int height = picture.height;
  const Column last = picture.mean(edge, -step, 1);
  Column sums(last.size() + kChannels), once(last.size()), soft(last.size()), change(last.size());
  const int strip = std::min(std::max(inside / kStripsOfWidth, 1), inside / 2);
  if (strip > 0) {
    const Column near = picture.mean(edge, -step, strip), far = picture.mean(edge - step * strip, -step, strip);
    for (size_t i = 0; i < last.size(); ++i) change[i] = near[i] - far[i];
    box(change, height, height / kStripsOfWidth, sums, once);
    box(once, height, height / kStripsOfWidth, sums, change);
    for (double& c : change) c = kMostChange * std::tanh(c / kMostChange);
  }
  for (int d = 1; d <= n; ++d) {
    const int x = edge + step * d;
    box(last, height, d / 2, sums, once);
    box(once, height, d / 2, sums, soft);
    const double goes_on = strip > 0 ? 1 - std::exp(-static_cast<double>(d) / strip) : 0;
    for (int y = 0; y < height; ++y) {
      const double noise = dither(static_cast<uint32_t>(x), static_cast<uint32_t>(y));
      for (int c = 0; c < kChannels; ++c) {
        const auto i = static_cast<size_t>(y * kChannels + c);
        // A thousandth, so that what rounding took from a whole number does not matter.
        const double value = std::floor(soft[i] + goes_on * change[i] + 0.998 * noise + 0.001);
        picture.pixel(x, y)[c] = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  }
}

}  // namespace

void fill_plate_sides(uint8_t* picture, int width, int height, int first, int last) {
  const Picture all{picture, width, height};
  fill_side(all, first, -1, last - first + 1);
  fill_side(all, last, 1, last - first + 1);
}

}  // namespace ts
