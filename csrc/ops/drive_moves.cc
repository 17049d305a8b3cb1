// SPDX-License-Identifier: Apache-2.0
// moves — see drive_moves.h.
#include "ops/drive_moves.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace ts {
namespace {

uint64_t scramble(uint64_t z) {
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

// From 0 to 1 without a jump of acceleration: how limbs and heads move (Flash and Hogan 1985).
double glide(double x) { return x * x * x * (10 + x * (6 * x - 15)); }

constexpr double kThere = 1e-7;  // less than a float of 1 can say

}  // namespace

Random::Random(uint64_t seed, Stream stream) : state_(scramble(seed + stream * 0xD1B54A32D192ED03ull)) {}

double Random::uniform() {
  state_ += 0x9E3779B97F4A7C15ull;
  return static_cast<double>(scramble(state_) >> 11) * 0x1p-53;
}

double Random::between(double low, double high) { return lerp(low, high, uniform()); }

double Random::about_zero() {
  const double a = uniform();
  return a + uniform() - 1;
}

double Random::normal() {
  double sum = -2;
  for (int i = 0; i < 4; ++i) sum += uniform();
  return sum * std::sqrt(3.0);
}

double Bump::at(double time_s) const {
  const double t = time_s - start;
  const double left = rise + hold + fall - t;
  if (t <= 0 || left <= 0) return 0;
  return amount * (t < rise ? ease(t / rise) : left < fall ? ease(left / fall) : 1);
}

double Move::at(double time_s, int axis) const {
  const double t = time_s - start;
  if (t <= 0) return from[axis];
  return t >= duration ? to[axis] : lerp(from[axis], to[axis], glide(t / duration));
}

void Eased::step(double target, double seconds) {
  before_ = stage_[2];
  double told = target, apart = 0;
  for (double& stage : stage_) {
    stage += smoothing(seconds) * (told - stage);
    told = stage;
    apart = std::max(apart, std::fabs(stage - target));
  }
  if (apart < kThere) std::fill(std::begin(stage_), std::end(stage_), target);
}

}  // namespace ts
