// SPDX-License-Identifier: Apache-2.0
// LiveFrame — a frame of a session, as talksplat_session.h has it: a picture, the sound of its time, and when its stages
// were.
#pragma once
#include <cstdint>

#include "ops/backend.h"

namespace ts {

// flags of a LiveFrame
enum LiveFlag : uint32_t {
  kLiveSpeech = 1,
  kLiveIdle = 2,
  kLiveStarved = 4,
  kLiveLate = 8,
  kLiveHeld = 16,
  kLiveSegmentEnd = 32,
  kLiveFading = 64
};

// Nanoseconds of the session's clock.
struct LiveTimes {
  int64_t heard_ns = 0;     // its last needed sample was pushed
  int64_t released_ns = 0;  // it might be made
  int64_t begun_ns = 0;     // its turn came
  int64_t driven_ns = 0;    // sound had become a control
  int64_t ready_ns = 0;     // it was drawn
  int64_t deadline_ns = 0;
};

struct LiveFrame {
  uint32_t flags = 0, slot = 0;
  int rate_hz = 0, channels = 0;
  int64_t index = 0, pts_samples = 0, n_samples = 0;
  const float* samples = nullptr;  // [n_samples,channels]
  int64_t segment = -1, segment_sample = -1;
  Image image;
  LiveTimes times;
  Receipt receipt;
};

}  // namespace ts
