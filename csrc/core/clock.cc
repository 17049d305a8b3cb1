// SPDX-License-Identifier: Apache-2.0
#include "core/clock.h"

#include <cmath>

namespace ts {
namespace {

__extension__ typedef unsigned __int128 Wide;

// A second's samples over a second's frames, rate_hz / fps, as one / m: fps = m 2^(exponent - 54), less half a unit in
// its last place, so that it is just below every number that rounds to it. Then a quotient that is a whole number by
// one of those falls on the same side for all. 2^40 samples or frames, 2^54 of m and 2^68 of one fit 128 bits.
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
