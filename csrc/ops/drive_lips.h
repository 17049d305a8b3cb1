// SPDX-License-Identifier: Apache-2.0
// lips — the mouth of one utterance: it opens while somebody speaks, closes on p, b and m, and rests in silence.
//
// They begin anew with every utterance, whose time they are in; what lives on between utterances is in drive_life.h.
// Lips differ with the frame rate by what a frame stands for: the strongest closure within half a frame of its time.
#pragma once
#include <cstdint>

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
  Manner manner{};  // the voice's
};

// What the gate says of a step, for life.
struct Gate {
  double open = 0, jaw = 0;  // how far it is open; the jaw that the voice says, whether it is open or not
  bool phrase_ends = false;  // here
};

class Lips {
 public:
  static constexpr int64_t kMaxWaiting = 56;  // steps
  static constexpr int64_t kRing = 64;        // kMaxWaiting, and the steps that a frame looks back on

  explicit Lips(const DriveParams& params);  // of which lips need fps and mouth

  // Step j, j = 0, 1, 2, ...; channel [kVoiceChannels] in the order above. Numbers below 0 or not finite are 0, those
  // above 1 are 1. Allocates nothing: pop what is ready before kMaxWaiting steps wait for it.
  void push(const float* channel);
  // The next frame's mouth and voice, if its steps are there; all else of the face is 0. `step` and `share` say where it
  // lies: (1 - share) of `step` and share of the one after it, so that the caller can sample other curves alike.
  bool pop(Face* face, int64_t* step, float* share);
  // Of a step that pop has passed, one of the last kRing before taken().
  const Gate& gate(int64_t step) const;
  // Steps that pop has passed: after frame k all those up to floor(k kStepHz / fps) + 1.
  int64_t taken() const { return taken_; }
  void reset();

 private:
  const float* row(int64_t step) const;
  void advance();
  double sealed(double at) const;
  void shape_mouth(int64_t step, double share, Face* face) const;

  DriveParams params_;
  int64_t pushed_ = 0, taken_ = 0, frame_ = 0;  // steps pushed, steps that the gate has seen, frames popped
  float channel_[kRing][kVoiceChannels] = {};   // step j at j % kRing
  Gate gate_[kRing] = {};                       // likewise
  // The voice gate.
  bool speaking_ = false;
  int spoken_steps_ = 0, quiet_steps_ = 0;  // since the gate was last shut; since the last voice
  double open_ = 0;                         // of the last step taken
};

}  // namespace ts
