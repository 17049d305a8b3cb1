// SPDX-License-Identifier: Apache-2.0
// drive — what the voice says, at 50 Hz, to faces at the frame rate: lips that close on p, b and m and rest in silence,
// blinks, gaze, brows and a little head motion.
//
// Face step j is what the voice says of the face at j / kStepHz seconds. Frame k is the face at k / fps and needs step
// floor(k kStepHz / fps) + 1 and none later, so drive looks 20 ms ahead and the voice 60: 80 ms in all.
// Results depend on the steps, fps, seed and amounts alone; when steps are pushed and frames popped changes nothing.
// All that is not lips (drive_life.h) is a function of time: faces at 25 and 50 fps agree at the times they share. Lips
// differ by what a frame stands for: the strongest closure within half a frame of its time.
// Oracle tests/reference/drive.py      Bench bench/ops/bench_voice.py
#pragma once
#include <cstdint>

#include "ops/drive_life.h"
#include "ops/face.h"

namespace ts {

// The channels that drive reads, by name; a voice has each of them once.
enum VoiceChannel {
  kJawOpen,
  kMouthFunnel,
  kMouthPucker,
  kMouthLowerDown,
  kMouthUpperUp,
  kMouthRollLower,
  kMouthRollUpper,
  kMouthPress,
  kMouthStretch,
  kMouthSmile,
  kTongueOut,
  kClosure,  // lips sealed, 0..1
  kVoice,    // someone speaks, 0..1
  kVoiceChannels
};
extern const char* const kVoiceChannelNames[kVoiceChannels];

struct DriveParams {
  double fps = 25;    // 20..60
  uint64_t seed = 0;  // of blinks, gaze and head motion
  float mouth = 1;    // ts_speech_params has the meaning of these
  float head = 1;
  float blink = 1;
};

class Drive {
 public:
  static constexpr int64_t kMaxWaiting = 56;  // steps

  explicit Drive(const DriveParams& params);

  // Face step j, j = 0, 1, 2, ...; channel [kVoiceChannels] in the order above. Numbers below 0 or not finite are 0,
  // those above 1 are 1. Allocates nothing: pop what is ready before kMaxWaiting steps wait for it.
  void push(const float* channel);
  // The next frame, if its steps are there. `step` and `share` say where it lies: (1 - share) of `step` and share of the
  // one after it, so that the caller can sample other curves alike.
  bool pop(Face* face, int64_t* step, float* share);
  void reset();

 private:
  static constexpr int64_t kRing = 64;  // kMaxWaiting, and the steps that a frame looks back on

  double position(int64_t frame) const;  // in steps
  const float* row(int64_t step) const;
  void advance();
  double sealed(double at) const;
  void shape_mouth(int64_t step, double share, Face* face) const;

  DriveParams params_;
  Life life_;
  int64_t pushed_ = 0, taken_ = 0, frame_ = 0;  // steps pushed, steps that gate and life have seen, frames popped
  float channel_[kRing][kVoiceChannels] = {};   // step j at j % kRing
  // The voice gate.
  bool speaking_ = false;
  int spoken_steps_ = 0, quiet_steps_ = 0;  // since the gate was last shut; since the last voice
  double open_[2] = {0, 0};                 // of the last two steps taken
};

}  // namespace ts
