// SPDX-License-Identifier: Apache-2.0
#include "session/scheduler.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "core/fork.h"
#include "ops/backend.h"

namespace ts {
namespace {

struct Registry {
  const unsigned forks = fork_count();
  std::mutex mutex;
  struct Entry {
    std::weak_ptr<Backend> backend;
    std::shared_ptr<Scheduler> scheduler;  // which knows no backend
  };
  std::unordered_map<const Backend*, Entry> entries;
};

// Never destroyed: sessions may be open when the process ends. A child of fork() begins another, as some thread may have
// held the parent's lock.
Registry& registry() {
  static std::atomic<Registry*> current{new Registry};
  Registry* all = current.load();
  if (all->forks != fork_count()) {
    auto* const anew = new Registry;
    all = current.compare_exchange_strong(all, anew) ? anew : current.load();
  }
  return *all;
}

}  // namespace

int64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::shared_ptr<Scheduler> Scheduler::of(const std::shared_ptr<Backend>& backend) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (auto it = all.entries.begin(); it != all.entries.end();)
    it = it->second.backend.expired() ? all.entries.erase(it) : std::next(it);
  Registry::Entry& entry = all.entries[backend.get()];
  if (!entry.scheduler) entry = {backend, std::shared_ptr<Scheduler>(new Scheduler)};
  return entry.scheduler;
}

Scheduler::~Scheduler() { stop(); }

void Scheduler::start() {
  if (thread_.joinable()) return;
  quit_ = false;
  thread_ = std::thread([this] { run(); });
}

void Scheduler::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    quit_ = true;
  }
  woken_.notify_all();
  thread_.join();
}

void Scheduler::add(Worked& session) {
  const std::lock_guard<std::mutex> one_at_a_time(coming_and_going_);
  if (session.real_clock()) start();
  const std::lock_guard<std::mutex> lock(mutex_);
  sessions_.push_back(&session);
}

void Scheduler::remove(Worked& session) {
  {
    // Its callback may be running, and may make or destroy other sessions.
    std::unique_lock<std::mutex> lock(mutex_);
    sessions_.erase(std::remove(sessions_.begin(), sessions_.end(), &session), sessions_.end());
    idle_.wait(lock, [&] { return working_[0] != &session && working_[1] != &session; });
  }
  const std::lock_guard<std::mutex> one_at_a_time(coming_and_going_);
  bool any_real = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Worked* other : sessions_) any_real = any_real || other->real_clock();
  }
  if (!any_real) stop();
}

void Scheduler::wake() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    changed_ = true;
  }
  woken_.notify_one();
}

int Scheduler::sessions() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(
      std::count_if(sessions_.begin(), sessions_.end(), [](const Worked* session) { return !session->ended(); }));
}

Scheduler::Promised Scheduler::promised() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Promised all;
  for (const Worked* session : sessions_) {
    if (!session->real_clock() || session->ended()) continue;
    all.cost_ns += session->cost_p99_ns();
    all.load += session->load();
    all.least_budget_ns = std::min(all.least_budget_ns, session->drawing_budget_ns());
  }
  return all;
}

// Nullable: nothing may begin now; next_ns then says when something may.
Worked* Scheduler::earliest(int64_t now, bool real_clock, int64_t& next_ns) {
  Worked* first = nullptr;
  int64_t deadline = Worked::kNever;
  next_ns = Worked::kNever;
  for (Worked* session : sessions_) {
    if (session->real_clock() != real_clock) continue;
    const Worked::Job job = session->next_job(now);
    if (job.released_ns > now) {
      next_ns = std::min(next_ns, job.released_ns);
    } else if (!first || job.deadline_ns < deadline) {
      first = session, deadline = job.deadline_ns;
    }
  }
  return first;
}

void Scheduler::run() {
#if defined(__linux__)
  prctl(PR_SET_TIMERSLACK, 1000UL);  // a frame's turn comes when it is due, not 50 us later
  prctl(PR_SET_NAME, "talksplat live");
#endif
  std::unique_lock<std::mutex> lock(mutex_);
  int64_t free_ns = now_ns();
  while (!quit_) {
    changed_ = false;
    int64_t next_ns;
    const int64_t now = now_ns();
    Worked* const session = earliest(now, true, next_ns);
    if (session) {
      working_[0] = session;
      lock.unlock();
      session->work(now, free_ns);
      lock.lock();
      working_[0] = nullptr;
      free_ns = now_ns();
      idle_.notify_all();
      continue;
    }
    const auto woken = [this] { return changed_ || quit_; };
    if (next_ns == Worked::kNever) {
      woken_.wait(lock, woken);
    } else {
      const std::chrono::steady_clock::time_point until{
          std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::nanoseconds(next_ns))};
      woken_.wait_until(lock, until, woken);
    }
  }
}

Status Scheduler::step(int64_t time_ns, int64_t& n_frames) {
  const std::lock_guard<std::mutex> one_at_a_time(stepping_);
  n_frames = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  if (time_ns < caller_ns_)
    return error(StatusCode::kInvalidArgument, "time_ns must not run back: it was %lld, and is %lld.",
                 static_cast<long long>(caller_ns_.load()), static_cast<long long>(time_ns));
  caller_ns_ = time_ns;
  int64_t next_ns;
  while (Worked* const session = earliest(time_ns, false, next_ns)) {
    working_[1] = session;
    lock.unlock();
    session->work(time_ns, time_ns);
    lock.lock();
    working_[1] = nullptr;
    idle_.notify_all();
    ++n_frames;
  }
  return {};
}

}  // namespace ts
