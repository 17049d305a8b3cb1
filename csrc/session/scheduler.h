// SPDX-License-Identifier: Apache-2.0
// Scheduler — draws the frames of all sessions of a backend, one at a time, the earliest deadline first: those of the
// real clock on a thread of its own, those of the caller's clock within step(). A frame has all the backend's threads,
// so that one after the other is sooner done than two at once.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/status.h"
#include "session/session_clock.h"

namespace ts {

class Backend;

// A session as the scheduler sees it.
class Worked {
 public:
  // What it would do next. released_ns: when that may begin; kNever: not before something happens, of which the
  // scheduler is told by wake().
  struct Job {
    int64_t released_ns = kNever, deadline_ns = kNever;
  };
  static constexpr int64_t kNever = INT64_MAX;

  virtual Job next_job(int64_t now_ns) = 0;
  // Makes one frame. free_ns: since when the thread has had nothing else to do.
  virtual void work(int64_t now_ns, int64_t free_ns) = 0;
  virtual bool real_clock() const = 0;
  virtual bool ended() const = 0;  // it will work no more
  // How long it takes of the thread, for one frame: what 99 in 100 do not exceed, and the usual; nanoseconds.
  virtual int64_t cost_p99_ns() const = 0;
  virtual double load() const = 0;                // of one second, the share that its frames take
  virtual int64_t drawing_budget_ns() const = 0;  // what its latency leaves for drawing, its own and others' frames

 protected:
  ~Worked() = default;
};

class Scheduler {
 public:
  // The one of that backend.
  static std::shared_ptr<Scheduler> of(const std::shared_ptr<Backend>& backend);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void add(Worked& session);                      // throws std::system_error where the thread cannot start
  void remove(Worked& session);                   // when this returns it does not work, and never will
  void wake();                                    // a session's next job may have changed; holds no lock of a session
  std::mutex& promising() { return promising_; }  // held by who measures what it may promise
  int sessions() const;
  // Of all that are open and have the real clock.
  struct Promised {
    int64_t cost_ns = 0;  // of a frame of each, p99
    double load = 0;
    int64_t least_budget_ns = INT64_MAX;
  };
  Promised promised() const;

  // Makes what is due in the sessions that have the caller's clock. kInvalidArgument: time runs back.
  Status step(int64_t time_ns, int64_t& n_frames);
  int64_t caller_ns() const { return caller_ns_.load(); }  // what step() was last told

 private:
  Scheduler() = default;
  void start();  // the thread, where there is none
  void stop();
  void run();
  Worked* earliest(int64_t now_ns, bool real_clock, int64_t& next_ns);

  mutable std::mutex mutex_;
  std::condition_variable woken_, idle_;
  std::vector<Worked*> sessions_;
  Worked* working_[2] = {nullptr, nullptr};  // of the thread, and of step()
  bool changed_ = false, quit_ = false;
  std::mutex promising_;         // before all others
  std::mutex coming_and_going_;  // the thread's start and end; before mutex_
  std::mutex stepping_;
  std::atomic<int64_t> caller_ns_{0};
  std::thread thread_;
};

}  // namespace ts
