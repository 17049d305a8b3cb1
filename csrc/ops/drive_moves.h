// SPDX-License-Identifier: Apache-2.0
// What the movements of a face are made of: chance, and curves of time.
#pragma once
#include <cstdint>

#include "ops/face.h"

namespace ts {

constexpr double kStepS = 1.0 / kStepHz;

// Each use has a stream of its own, so that what one draws changes nothing of another.
enum Stream : uint64_t { kBlinkStream = 1, kGazeStream, kHeadStream, kAccentStream, kBreathStream, kNodStream };

// SplitMix64 (Steele, Lea and Flood 2014): ours, so that a seed means the same face everywhere.
class Random {
 public:
  Random(uint64_t seed, Stream stream);
  double uniform();  // [0, 1)
  double between(double low, double high);
  double about_zero();  // (-1, 1), near 0 more often: a triangle
  double normal();      // about normal, within +-3.5: four uniforms

 private:
  uint64_t state_;
};

// 0, up to `amount`, and back to 0.
struct Bump {
  double start, rise, hold, fall, amount;
  double at(double time_s) const;
};

// From one place to another; before and after it, still.
struct Move {
  double start, duration;
  double from[3], to[3];
  double at(double time_s, int axis) const;
};

// How much of a new value a smoothing filter of that time constant takes at each step.
constexpr double smoothing(double seconds) { return kStepS / (seconds + kStepS); }

// A value that follows what it is told, step after step, without a jump of its own, its velocity or its acceleration,
// and never beyond: filtered three times. It is 95 % there after 6.3 time constants, and at last exactly.
class Eased {
 public:
  explicit Eased(double value) : stage_{value, value, value}, before_(value) {}
  void step(double target, double seconds);
  // A share of the way from the step before the last to the last one.
  double at(double share) const { return lerp(before_, stage_[2], share); }

 private:
  double stage_[3];
  double before_;
};

}  // namespace ts
