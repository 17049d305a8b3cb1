// SPDX-License-Identifier: Apache-2.0
// Round — a frame of each of several sessions, made together: the voice's steps of all are run in one call of the
// backend, each session begins its frame, all are drawn in one call, and each finishes its own. Of a backend that draws
// one frame at a time, a round is of one session.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/status.h"
#include "engine/renderer.h"
#include "ops/backend.h"

namespace ts {

// What a round has taken until a frame is finished.
struct Turn {
  int64_t begun_ns = 0;
  int64_t free_ns = 0;       // since when the thread had nothing else to do
  int64_t begun_cpu_ns = 0;  // what this thread had of the CPU then
  int64_t waited_ns = 0;     // for a device that draws
  int64_t frames = 1;        // that were drawn
};

// A session as the scheduler and its rounds see it.
class Worked {
 public:
  // What it would do next. released_ns: when that may begin; kNever: not before something happens, of which the
  // scheduler is told by wake().
  struct Job {
    int64_t released_ns = kNever, deadline_ns = kNever;
  };
  static constexpr int64_t kNever = INT64_MAX;

  virtual Job next_job(int64_t now_ns) = 0;

  // ---- its part of a round ----
  // What its next frame has to hear first. False: nothing. Where the steps have been run together with others', heard()
  // follows; else begin() has them run alone.
  virtual bool gather(int64_t now_ns, EncodeCall& steps) = 0;
  virtual void heard() = 0;
  // Begins its next frame. True: that has to be drawn, by the job, and finish() follows whatever becomes of it.
  virtual bool begin(const Turn& turn, RenderJob& job) = 0;
  virtual void finish(const Turn& turn, Status drawn) = 0;
  virtual void deliver() = 0;  // the frame that has waited for longest to its callback, if it has one

  virtual bool real_clock() const = 0;
  virtual bool ended() const = 0;  // it will work no more
  // How long a frame that is made alone takes of the thread: what 99 in 100 do not exceed; nanoseconds.
  virtual int64_t cost_p99_ns() const = 0;
  virtual double load() const = 0;                // of one second, the share that its frames take
  virtual int64_t drawing_budget_ns() const = 0;  // what its latency leaves for drawing, its own and others' frames

 protected:
  ~Worked() = default;
};

int64_t thread_cpu_ns();  // what the calling thread has had of the CPU

class Round {
 public:
  // backend: that of all sessions of all rounds; it is there while one of them is. Claims memory for as many as it draws
  // at once: on the scheduler's thread nobody could be told that there is none.
  explicit Round(Backend& backend);

  // now_ns: of the sessions' clock. What a frame fails of is its session's alone. No callback is called.
  void make(const std::vector<Worked*>& sessions, int64_t now_ns, int64_t free_ns);

 private:
  void hear(const std::vector<Worked*>& sessions, int64_t now_ns);
  void draw();

  Backend& backend_;
  std::vector<Worked*> hearing_;
  std::vector<EncodeCall> steps_;
  // Of the frames that are drawn.
  std::vector<Worked*> drawn_;
  std::vector<DrawCall> calls_;
  std::vector<Receipt> before_;
  std::vector<Status> status_;
};

}  // namespace ts
