// SPDX-License-Identifier: Apache-2.0
// drive — what the voice says, at 50 Hz, to faces at the frame rate: lips that close on p, b and m and rest in silence,
// blinks, gaze, brows and a little head motion.
//
// Face step j is what the voice says of the face at j / kStepHz seconds. Frame k is the face at k / fps and needs step
// floor(k kStepHz / fps) + 1 and none later, so drive looks 20 ms ahead and the voice 60: 80 ms in all.
// Results depend on the steps, fps, seed and amounts alone; when steps are pushed and frames popped changes nothing.
// A session has lips (drive_lips.h), of one utterance, and life (drive_life.h), of its whole time, apart.
// Oracle tests/reference/drive.py      Bench bench/ops/bench_voice.py
#pragma once
#include <cstdint>

#include "ops/drive_life.h"
#include "ops/drive_lips.h"
#include "ops/face.h"

namespace ts {

class Drive {
 public:
  static constexpr int64_t kMaxWaiting = Lips::kMaxWaiting;

  // with_life: false leaves frames with what Lips says, for whoever has a life of its own for them.
  explicit Drive(const DriveParams& params, bool with_life = true);

  // As of Lips; frames have the whole face.
  void push(const float* channel) { lips_.push(channel); }
  bool pop(Face* face, int64_t* step, float* share);
  void reset();
  const Lips& lips() const { return lips_; }

 private:
  DriveParams params_;
  bool with_life_;
  Lips lips_;
  Life life_;
  int64_t lived_ = 0, frame_ = 0;  // steps that life has seen, frames popped
};

}  // namespace ts
