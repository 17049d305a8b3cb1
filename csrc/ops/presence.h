// SPDX-License-Identifier: Apache-2.0
// Presence — what a user sets of a living face, besides what it says. ts_presence has the meaning of each.
#pragma once

namespace ts {

enum Emotion { kHappy, kSad, kAngry, kSurprised, kAfraid, kDisgusted, kEmotions };

struct Presence {
  bool look = false;                // the eyes are on `gaze`; else they go where they like
  double gaze[2] = {0, 0};          // to the face's left and up, -1..1: 1 is as far as eyes turn
  double head_pose[3] = {0, 0, 0};  // added; axis-angle, radians, each -1..1
  double head = 1, blink = 1;       // amounts, 0..2, times those that Life was made with
  double listening = 0;             // 0..1
  double emotion[kEmotions] = {};   // 0..1; where their sum is more than 1, that much less of each
};

}  // namespace ts
