// SPDX-License-Identifier: Apache-2.0
// Session — one speaker's live state: sound that comes, utterances that wait, a face that lives, frames that leave.
//
// Whoever pushes only copies; everything else happens when a frame is due, on the thread of the Scheduler that draws all
// sessions of an engine. Frame k stands at k / fps of the session's clock (session_clock.h).
#pragma once
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "engine/frame.h"
#include "engine/model.h"
#include "engine/speech.h"
#include "ops/drive_life.h"

namespace ts {

class Scheduler;

enum class OnLate { kHold, kSkip };
enum class Idle { kAlive, kStill, kNone };
enum class ClockKind { kReal, kCaller };

struct SessionParams {
  double fps = 0;  // 0: the avatar's own where speech can have it, else 25
  Canvas canvas;
  double latency_ms = 200, chunk_ms = 20;
  OnLate on_late = OnLate::kHold;
  Idle idle = Idle::kAlive;
  ClockKind clock = ClockKind::kReal;
  int slots = 4;
  int queue_ms = 60000, flush_after_ms = 1000;
  int rate_hz = 16000, channels = 1;
  DriveParams drive;                       // its fps is the session's
  const Background* background = nullptr;  // copied; Nullable: the avatar's own
};

// flags of a LiveFrame, as TS_LIVE_...
enum LiveFlag : uint32_t {
  kLiveSpeech = 1,
  kLiveIdle = 2,
  kLiveStarved = 4,
  kLiveLate = 8,
  kLiveHeld = 16,
  kLiveSegmentEnd = 32,
  kLiveFading = 64
};

// Nanoseconds of the session's clock; see ts_live_times.
struct LiveTimes {
  int64_t heard_ns = 0, released_ns = 0, begun_ns = 0, driven_ns = 0, ready_ns = 0, deadline_ns = 0;
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

struct SessionStats {
  int sessions = 0;
  double fps = 0, latency_ms = 0, smallest_latency_ms = 0, look_ahead_ms = 0;
  double p50_ms = 0, p95_ms = 0, p99_ms = 0, max_ms = 0;
  uint64_t frames = 0, speech = 0, idle = 0, starved = 0, late = 0, late_by_host = 0, held = 0, skipped = 0, stalls = 0;
  double stalled_ms = 0, queued_ms = 0, cpu_ms = 0;
  uint64_t bytes = 0;
  const uint8_t* has_place = nullptr;  // [kArkitWeights + 2]: the weights, the head pose, breath
};

// Returns 0 to stop.
using LiveCallback = int (*)(void* user, const LiveFrame& frame);

class Session {
 public:
  // voice: Nullable. scheduler: of the model's backend (Scheduler::of). smallest_ms is set unless an argument is wrong.
  // kLatencyRefused; kInvalidArgument for numbers out of their range. Throws std::bad_alloc, std::system_error.
  static Status make(std::shared_ptr<const Model> model, std::shared_ptr<const Voice> voice, const SessionParams& params,
                     std::shared_ptr<Scheduler> scheduler, std::shared_ptr<Session>& session, double& smallest_ms);
  // Takes it from its scheduler; who waits in acquire() gets kClosed. Nobody may call into it while it is destroyed.
  ~Session();

  Status push_audio(SampleFormat format, int rate_hz, int channels, const void* samples, int64_t n);
  Status push_features(const float* rows, int64_t n);
  Status push_controls(const float* rows, int64_t n);
  Status flush();
  Status interrupt(int fade_ms, int64_t& position);
  Status set(const Presence& presence);
  Status close();

  Status acquire(int64_t timeout_ns, LiveFrame& frame);
  Status release(uint32_t slot, int64_t index);
  Status set_callback(LiveCallback callback, void* user);
  SessionStats stats() const;
  // Ends waits, as destruction does, but may be called while others are inside: they get kClosed.
  void abort();

  const Model& model() const;
};

// Of one backend; sessions of a backend share it. One is made when the first session is, and it lives as long as any.
//   static std::shared_ptr<Scheduler> Scheduler::of(const std::shared_ptr<Backend>&);
//   Status Scheduler::step(int64_t time_ns, int64_t& n_frames);
int64_t now_ns();

}  // namespace ts
