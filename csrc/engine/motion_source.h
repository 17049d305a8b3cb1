// SPDX-License-Identifier: Apache-2.0
// MotionSource — what turns a sound into the controls of an avatar, as it comes: push, then read whatever is ready. The
// built-in voice is one; a motion network that travels in an avatar is another.
#pragma once
#include <cstdint>

#include "core/status.h"
#include "ops/listen.h"

namespace ts {

class Model;

class MotionSource {
 public:
  virtual ~MotionSource() = default;

  // Sound after a frame's time that a control of the model needs.
  virtual double look_ahead_s(const Model& model) const = 0;

  // A source takes sound, or features that somebody else's encoder has made of it, or either; kInvalidArgument for what
  // it does not take. What is pushed is taken whole or, on failure, not at all.
  // samples: n of every channel, interleaved, in the rate and channels that the source was made for.
  virtual Status push_sound(SampleFormat format, const void* samples, int64_t n);
  // rows: n of them, in the rate and width that the source was made for.
  virtual Status push_features(const float* rows, int64_t n);

  // The utterance ends here: frames to its end become ready.
  virtual Status finish() = 0;
  // Another utterance begins, at time 0.
  virtual void reset() = 0;

  virtual int64_t ready(const Model& model) const = 0;  // frames that can be read now
  // Takes the next frames, at most max_frames, as controls of the model, [n_frames,model.layout().size()].
  // kInvalidArgument for a model that this source cannot move.
  virtual Status read_control(const Model& model, float* control, int64_t max_frames, int64_t& n_frames) = 0;
};

}  // namespace ts
