// SPDX-License-Identifier: Apache-2.0
// breath — see drive_breath.h.
#include "ops/drive_breath.h"

#include <cmath>

#include "ops/drive_moves.h"

namespace ts {
namespace {

constexpr double kTurn = 2 * 3.14159265358979323846;

// Adults at rest breathe 12 to 20 times a minute. Slow waves change that pace by up to a quarter, and make some breaths
// less deep than others.
constexpr double kBreathHz[2] = {0.23, 0.27};
constexpr double kPaceHz[2][2] = {{0.021, 0.034}, {0.051, 0.073}}, kPace[2] = {0.8, 0.4};  // rad
constexpr double kDepthHz[2] = {0.037, 0.059}, kShallower = 0.25;
// Breathing in takes two fifths of a breath.
constexpr double kInward = 0.32;

}  // namespace

double Breath::Wave::at(double time_s) const { return kTurn * (hz * time_s + phase); }

Breath::Breath(uint64_t seed) {
  Random random(seed, kBreathStream);
  const auto draw = [&random](const double (&hz)[2]) {
    const double drawn = random.between(hz[0], hz[1]);
    return Wave{drawn, random.uniform()};
  };
  breathing_ = draw(kBreathHz);
  for (int i = 0; i < 2; ++i) pace_[i] = draw(kPaceHz[i]);
  depth_ = draw(kDepthHz);
}

double Breath::at(double time_s) const {
  double phase = breathing_.at(time_s);
  for (int i = 0; i < 2; ++i) phase += kPace[i] * std::sin(pace_[i].at(time_s));
  const double depth = 1 - kShallower * 0.5 * (1 + std::sin(depth_.at(time_s)));
  return depth * 0.5 * (1 - std::cos(phase - kInward * std::cos(phase)));
}

}  // namespace ts
