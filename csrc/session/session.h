// SPDX-License-Identifier: Apache-2.0
// Session — one speaker's live state: sound that comes, utterances that wait, a face that lives, frames that leave.
//
// Whoever pushes only copies; everything else happens when a frame is due, on the thread of the Scheduler that draws all
// sessions of an engine. talksplat_session.h has the contract; DESIGN.md the reasons.
//   session_push.cc   what comes in         session_frames.cc  a frame's turn: what it shows, and by when
//   session.cc        what goes out, and how a session begins: the latency that it may promise
// Locks   push_ keeps those apart that push; state_ everything else, held for a copy or a control and never while a
//         picture is drawn. The scheduler's own comes before state_
#pragma once
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/histogram.h"
#include "engine/frame.h"
#include "engine/model.h"
#include "engine/renderer.h"
#include "engine/speech.h"
#include "session/live_frame.h"
#include "session/scheduler.h"
#include "session/session_clock.h"
#include "session/slots.h"
#include "session/speaker.h"
#include "session/utterances.h"

namespace ts {

enum class OnLate { kHold, kSkip };
enum class Idle { kAlive, kStill, kNone };
enum class ClockKind { kReal, kCaller };

// As ts_session_params.
struct SessionParams {
  double fps = 0;  // 0: the avatar's own where speech can have it, else 25
  Canvas canvas;   // width and height 0: the avatar's
  double latency_ms = 200, chunk_ms = 20, feature_look_ahead_ms = 0;
  OnLate on_late = OnLate::kHold;
  Idle idle = Idle::kAlive;
  ClockKind clock = ClockKind::kReal;
  int slots = 4;
  int queue_ms = 60000, flush_after_ms = 1000;
  int rate_hz = 16000, channels = 1;
  DriveParams drive;                       // its fps is the session's
  const Background* background = nullptr;  // copied; Nullable: the avatar's own
};

// As ts_session_stats.
struct SessionStats {
  int sessions = 0;
  double fps = 0, latency_ms = 0, smallest_latency_ms = 0, look_ahead_ms = 0;
  double p50_ms = 0, p95_ms = 0, p99_ms = 0, max_ms = 0;
  uint64_t frames = 0, speech = 0, idle = 0, starved = 0, late = 0, late_by_host = 0, held = 0, skipped = 0,
           dropped = 0, stalls = 0;
  double stalled_ms = 0, queued_ms = 0, cpu_ms = 0;
  uint64_t bytes = 0;
  const uint8_t* has_place = nullptr;  // [kArkitWeights + 2]: the weights, the head pose, breath
};

// Returns 0 to stop.
using LiveCallback = int (*)(void* user, const LiveFrame& frame);

class Session final : public Worked {
 public:
  // voice: Nullable. smallest_ms is set unless an argument is wrong.
  // kLatencyRefused; kInvalidArgument for what the engine cannot take. Throws std::bad_alloc, std::system_error.
  static Status make(std::shared_ptr<const Model> model, std::shared_ptr<const Voice> voice,
                     const SessionParams& params, std::shared_ptr<Session>& session, double& smallest_ms);
  // Nobody may call into it while it is destroyed, nor may its own callback destroy it.
  ~Session();

  // n of every channel, interleaved.
  Status push_audio(SampleFormat format, int rate_hz, int channels, const void* samples, int64_t n);
  Status push_features(const float* rows, int64_t n);
  Status push_controls(const float* rows, int64_t n);
  Status flush();
  Status interrupt(int fade_ms, int64_t& position);
  Status set(const Presence& presence);
  Status close();
  // Ends at once, for all who are inside, too: they get kClosed.
  void abort();

  Status acquire(int64_t timeout_ns, LiveFrame& frame);
  Status release(uint32_t slot, int64_t index);
  Status set_callback(LiveCallback callback, void* user);
  SessionStats stats() const;

  const Model& model() const { return *model_; }

  Job next_job(int64_t now_ns) override;
  bool gather(int64_t now_ns, EncodeCall& steps) override;
  void heard() override;
  bool begin(const Turn& turn, RenderJob& job) override;
  void finish(const Turn& turn, Status drawn) override;
  void deliver() override;
  bool real_clock() const override { return params_.clock == ClockKind::kReal; }
  bool ended() const override;
  int64_t cost_p99_ns() const override;
  double load() const override;
  int64_t drawing_budget_ns() const override { return drawing_budget_ns_; }

 private:
  static constexpr double kMostCarriedS = 1.25;  // beyond a second the clock stands still

  // Sound that waits for a frame to come.
  struct Kept {
    Buffer<float> sample;         // [n,channels]
    int64_t n = 0, n_speech = 0;  // samples; of these, from the end, those of an utterance
    int rate_hz = 0, channels = 0;

    void make_room(size_t floats) {
      if (floats <= sample.capacity()) return;
      Buffer<float> larger(floats);
      std::copy_n(sample.data(), n * channels, larger.data());
      sample = std::move(larger);
    }
  };
  // What the next frame is.
  struct Next {
    enum Kind { kNothing, kIdle, kSpeech, kTail, kStarved } kind = kNothing;
    int64_t released_ns = kNever, heard_ns = 0;
  };
  Session(std::shared_ptr<const Model> model, std::shared_ptr<const Voice> voice, const SessionParams& params);

  // session.cc
  Status prepare(const Background* background);
  Status promise(const Scheduler& scheduler, double& smallest_ms);
  double look_ahead_ms() const { return 1000 * speaker_.look_ahead_s() + params_.feature_look_ahead_ms; }
  Status measure();
  RenderJob job_of(const float* control, LiveFrame& frame);
  int64_t time_now() const { return real_clock() ? now_ns() : scheduler_->caller_ns(); }

  // session_push.cc
  struct Pushing {  // while it lives, the open utterance does not end by itself
    Session& session;
    ~Pushing() {
      const std::lock_guard<std::mutex> lock(session.state_);
      session.pushing_ = false;
    }
  };
  void make_sound_room(int rate_hz, int channels);
  Status open_for(const char* what, Motion motion, Utterance*& utterance);
  Status open_sound(int rate_hz, int channels, int64_t n, Utterance*& utterance);
  Status push_rows(Motion motion, const float* rows, int64_t n);
  bool pushed();
  int64_t drop_unheard(int64_t fade_ms);

  // session_frames.cc; state_ is held
  Next decide(int64_t now_ns);
  Next next_of_utterance();
  void let_it_stand_still(int64_t now_ns, int64_t released_ns);
  void fail(const std::exception& e);
  bool begin_frame(const Turn& turn, RenderJob& job);
  const float* compose(Next::Kind kind, LiveFrame& frame);
  void fill_samples(LiveFrame& frame, bool speaks);
  int64_t samples_of(int64_t frame, int rate_hz) const;
  float* put_carried(LiveFrame& frame, float* samples);
  int64_t most_carried() const;
  bool leave_out(LiveFrame& frame);
  void show(LiveFrame& frame, const Turn& turn, int64_t cpu_ns);
  void count(LiveFrame& frame, const Turn& turn);
  // Frames that waited to be acquired when the callback was set are its first.
  bool hands_over() const { return callback_ != nullptr && slots_.waiting() > 0 && !aborted_; }
  void end_if_done();

  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<const Voice> voice_;
  SessionParams params_;
  std::shared_ptr<Scheduler> scheduler_;
  std::unique_ptr<Frame> frame_;
  std::vector<float> background_values_;
  Background background_;
  bool own_background_ = true;

  std::mutex push_;
  mutable std::mutex state_;
  std::condition_variable changed_;  // frames wait, it ended, a callback returned
  SessionClock clock_;
  Speaker speaker_;
  Utterances utterances_;
  Slots slots_;

  // The promise: a frame is due `hold_ns_` after the push that began its utterance and its own time in it.
  double smallest_ms_ = 0;
  int64_t hold_ns_ = 0;    // latency - chunk
  int64_t ahead_ns_ = 0;   // how long before their deadlines idle frames are made
  int64_t starve_ns_ = 0;  // how long before its deadline a frame stops waiting for its sound
  int64_t drawing_budget_ns_ = 0;
  int64_t measured_p99_ns_ = 0, measured_median_ns_ = 0;

  int64_t next_frame_ = 0;
  int64_t composed_ = 0;    // frames: the speaker's time, which stands still where there are none (Idle::kNone)
  int rate_hz_, channels_;  // of the frames' sound
  bool lacks_ = false;      // the next frame waits for sound or rows
  bool pushing_ = false;    // see Pushing
  bool starving_ = false, paused_ = false;
  bool interrupted_ = false;  // and its mouth, or its sound, still fades
  int64_t starved_since_ns_ = 0;
  bool making_ = false, drop_made_ = false;       // a frame is being drawn; in vain
  bool no_slot_ = false;                          // the next frame had to wait for one
  Kept tail_;                                     // of an interrupted utterance: the sound that fades
  int64_t tail_at_ = 0;                           // of which so much has faded
  int64_t ended_at_ = 0;                          // samples of the last utterance that came to its end
  int speech_rate_hz_ = 0, speech_channels_ = 0;  // of the last stream that was made
  Kept carried_;  // of frames that were left out (OnLate::kSkip), the first of which was ...
  int64_t carried_index_ = 0;

  bool closing_ = false, done_ = false, aborted_ = false;
  Status failure_;
  LiveCallback callback_ = nullptr;
  void* user_ = nullptr;
  bool in_callback_ = false;
  std::thread::id callback_thread_;

  Histogram delay_;  // from when a frame might be made to when it was ready
  Histogram share_;  // from its turn on, of a round its share
  Histogram alone_;  // the same of frames that were a round alone
  SessionStats counts_;
  uint8_t has_place_[kArkitWeights + 2] = {};
};

}  // namespace ts
