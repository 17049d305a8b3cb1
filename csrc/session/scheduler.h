// SPDX-License-Identifier: Apache-2.0
// Scheduler — draws the frames of all sessions of a backend, the earliest deadline first: those of the real clock on a
// thread of its own, those of the caller's clock within step(). On a backend that draws one frame at a time, each has
// all its threads, so that one after the other is sooner done than two at once. On one that draws several at once, all
// that may be made now are a round (round.h).
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/status.h"
#include "session/round.h"
#include "session/session_clock.h"

namespace ts {

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
  // The thread, or step(): who makes rounds, and of whom.
  struct Worker {
    Worker(Backend& backend, bool of_real_clock) : real_clock(of_real_clock), round(backend) {
      at_work.reserve(backend.batch()), to_deliver.reserve(backend.batch());
    }

    const bool real_clock;
    Round round;
    struct Due {
      int64_t deadline_ns;
      size_t order;  // among sessions_
    };
    std::vector<Due> due;
    std::vector<Worked*> at_work;     // they are there until they are taken out again
    std::vector<Worked*> to_deliver;  // whose frames are made
  };

  explicit Scheduler(Backend& backend);
  void start();  // the thread, where there is none
  void stop();
  void run();
  bool choose(Worker& worker, int64_t now_ns, int64_t& next_ns);
  void work(Worker& worker, std::unique_lock<std::mutex>& lock, int64_t now_ns, int64_t free_ns);

  mutable std::mutex mutex_;
  std::condition_variable woken_, idle_;
  std::vector<Worked*> sessions_;
  Backend& backend_;  // which is there while a session is
  Worker live_, stepped_;
  bool changed_ = false, quit_ = false;
  std::mutex promising_;         // before all others
  std::mutex coming_and_going_;  // the thread's start and end; before mutex_
  std::mutex stepping_;
  std::atomic<int64_t> caller_ns_{0};
  std::thread thread_;
};

}  // namespace ts
