// SPDX-License-Identifier: Apache-2.0
// attitude — how a face takes what a user sets of it (presence.h): head pose and amounts, moods, attention to somebody.
//
// Everything is eased: whatever is set and whenever, no weight, angle or amount jumps. Moods add to the face that is
// there. While somebody speaks they leave the mouth to speech: they neither open the jaw nor part lips, and what is left
// of smile and frown is faint. At rest with Presence's defaults an attitude changes nothing.
#pragma once
#include <cstdint>

#include "ops/drive_moves.h"
#include "ops/face.h"
#include "ops/presence.h"

namespace ts {

class Attitude {
 public:
  explicit Attitude(uint64_t seed);

  // From the next step on. Numbers out of range are brought into it; those that are not finite count as the defaults.
  void set(const Presence& presence);
  const Presence& presence() const { return presence_; }

  // Step j begins at `now`; open: of the voice's gate. Whether the eyes are to go somewhere else.
  bool step(double now, double open);

  // Of a time that lies a `share` of the way from the step before the last to the last one.
  double head(double share) const { return head_.at(share); }  // amounts
  double blink(double share) const { return blink_.at(share); }
  double attention(double share) const;  // how much the eyes keep to where they look: 0 as they like, 1 always
  // What attention to somebody adds to the head's motion; what the user does.
  void attend(double time_s, double share, double pose[3]) const;
  void turn(double share, double pose[3]) const;
  // Adds moods and attention to the weights of a face.
  void express(double share, Face* face) const;

 private:
  void plan_nod(double now);

  Presence presence_;
  Random nod_random_;
  double tilt_;  // the side, -1 or 1
  bool turned_ = false;
  Eased pose_[3] = {Eased(0), Eased(0), Eased(0)};
  Eased head_{1}, blink_{1}, listening_{0}, speech_{0};
  Eased emotion_[kEmotions] = {Eased(0), Eased(0), Eased(0), Eased(0), Eased(0), Eased(0)};
  double open_[2] = {0, 0};  // of the last two steps
  double next_nod_;          // seconds
  Bump nodding_[2]{};
};

}  // namespace ts
