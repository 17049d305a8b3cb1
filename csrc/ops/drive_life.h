// SPDX-License-Identifier: Apache-2.0
// life — what a face does besides speaking: blinks, gaze, brows and head.
//
// In speech the head is always under way: it goes from one posture to the next, stirs, and nods where a syllable is
// stressed, as far and as fast as the heads of tracked talkers (docs/head_motion.md). At rest it is calm.
// A function of time, and of what a user sets (drive_presence.h). What step j starts begins at j / kStepHz seconds or
// later, and every curve is evaluated at the frame's own time, so that the frame rate changes nothing. A still face is
// never frozen, and none drifts: every movement is bounded and comes back.
#pragma once
#include <cstdint>

#include "ops/drive_breath.h"
#include "ops/drive_moves.h"
#include "ops/drive_presence.h"
#include "ops/face.h"

namespace ts {

class Life {
 public:
  // Amounts as in ts_speech_params: of head motion and breath, of blinks.
  Life(uint64_t seed, double head, double blink, const Manner& manner = {});
  // From the next step on; nothing jumps.
  void set(const Presence& presence) { attitude_.set(presence); }
  // Step j: how far speech has opened the mouth's gate, the jaw that the voice says, both 0..1, and whether a phrase
  // ends here.
  void step(double open, double jaw, bool phrase_ends);
  // The face at time_s, which lies a `share` of the way from the step before the last to the last one. Writes head_pose,
  // breath and the weights of eyes and brows; moods add to these and to the mouth that is there.
  void at(double time_s, double share, Face* face) const;

 private:
  struct Nod {
    Bump pitch;
    double yaw, roll;  // as shares of it
  };

  void pace_blinks(double now);
  void plan_blink(double now, bool phrase_ends);
  void plan_gaze(double now, bool turns);
  bool plan_head(double now);  // whether it begins to go so far that the eyes look anew
  void plan_accent(double now, double open, double jaw);

  double head_, blink_;
  Manner manner_;
  Random blink_random_, gaze_random_, head_random_, accent_random_;
  int64_t steps_ = 0;
  Bump blinking_{}, raising_{};  // of lids and brows
  Nod nodding_[2]{};             // of which one may begin before the other has ended
  // gaze: to the face's left and up, 1 is as far as eyes turn, and whether there because they were told; posture: rad.
  Move gaze_{-1, 0, {}, {}}, posture_{};
  double next_blink_, next_gaze_, next_posture_, next_accent_ = 0;  // seconds
  double blink_pace_;                                               // blink_, times what the user set
  bool double_next_ = false, away_ = false, stressed_ = false;
  double wave_hz_[3][4];     // negative: the other way round
  double talk_[2] = {0, 0};  // of the last two steps: how much of the last half second was speech
  double talk_mean_ = 0, stress_fast_ = 0, stress_slow_ = 0;
  Attitude attitude_;
  Breath breath_;
};

}  // namespace ts
