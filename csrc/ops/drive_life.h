// SPDX-License-Identifier: Apache-2.0
// life — what a face does besides speaking: blinks, gaze, brows and head.
//
// A function of time. What step j starts begins at j / kStepHz seconds or later, and every curve is evaluated at the
// frame's own time, so that the frame rate changes nothing. A still face is never frozen, and none drifts: every
// movement is bounded and comes back.
#pragma once
#include <cstdint>

#include "ops/face.h"

namespace ts {

// SplitMix64 (Steele, Lea and Flood 2014): ours, so that a seed means the same face everywhere.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream);
  double uniform();  // [0, 1)
  double between(double low, double high);
  double about_zero();  // (-1, 1), near 0 more often: a triangle
  double normal();      // about normal, within +-3.5: four uniforms

 private:
  uint64_t state_;
};

class Life {
 public:
  // Amounts as in ts_speech_params: of head motion, of blinks.
  Life(uint64_t seed, double head, double blink);
  // Step j: how far speech has opened the mouth's gate, the jaw that the voice says, both 0..1, and whether a phrase
  // ends here.
  void step(double open, double jaw, bool phrase_ends);
  // The face at time_s, which lies a `share` of the way from the step before the last to the last one. Writes head_pose
  // and the weights of eyes and brows.
  void at(double time_s, double share, Face* face) const;

 private:
  // 0, up to 1, and back to 0.
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

  void plan_blink(double now, bool phrase_ends);
  void plan_gaze(double now);
  void plan_head(double now);
  void plan_accent(double now, double open, double jaw);

  double head_, blink_;
  Random blink_random_, gaze_random_, head_random_, accent_random_;
  int64_t steps_ = 0;
  Bump blinking_{}, nodding_{}, raising_{};  // of lids, head and brows
  Move gaze_{}, posture_{};                  // gaze: to the face's left and up, 1 is as far as eyes turn; posture: rad
  double next_blink_, next_gaze_, next_posture_, next_accent_ = 0;  // seconds
  bool double_next_ = false, away_ = false, stressed_ = false;
  double sway_hz_[3][2];     // negative: the other way round
  double talk_[2] = {0, 0};  // of the last two steps: how much of the last half second was speech
  double talk_mean_ = 0, stress_fast_ = 0, stress_slow_ = 0;
};

}  // namespace ts
