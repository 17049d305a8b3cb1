// SPDX-License-Identifier: Apache-2.0
#include "core/clock.h"

#include <cmath>

namespace ts {
namespace {

__extension__ typedef unsigned __int128 Wide;

// Samples per frame, rate_hz / fps, as a ratio of two integers, one / m. A double fps stands for every number that
// rounds to it, such as 30000 / 1001, so m 2^(exponent - 54) is half a unit in the last place below it: at or below all
// of them. Where a time in frames is a whole number by one of these, it then falls on the same side for all. Products
// with 2^40 samples or frames fit 128 bits: m is below 2^54, one below 2^68.
struct Ratio {
  Wide m, one;
  Ratio(int rate_hz, double fps) {
    int exponent = 0;
    const double fraction = std::frexp(fps, &exponent);
    m = 2 * static_cast<Wide>(std::ldexp(fraction, 53)) - 1;
    one = static_cast<Wide>(rate_hz) << (54 - exponent);
  }
};

}  // namespace

int64_t frame_count(int64_t n, int rate_hz, double fps) {
  const Ratio ratio(rate_hz, fps);
  return static_cast<int64_t>((ratio.m * static_cast<Wide>(n) + ratio.one - 1) / ratio.one);
}

int64_t first_sample(int64_t frame, int rate_hz, double fps) {
  const Ratio ratio(rate_hz, fps);
  return static_cast<int64_t>(ratio.one * static_cast<Wide>(frame) / ratio.m);
}

}  // namespace ts
