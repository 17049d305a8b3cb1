// SPDX-License-Identifier: Apache-2.0
#include "session/scheduler.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <tuple>
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
    std::shared_ptr<Scheduler> scheduler;  // which keeps no backend
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
  if (!entry.scheduler) entry = {backend, std::shared_ptr<Scheduler>(new Scheduler(*backend))};
  return entry.scheduler;
}

Scheduler::Scheduler(Backend& backend) : backend_(backend), live_(backend, true), stepped_(backend, false) {}

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
  for (Worker* worker : {&live_, &stepped_}) worker->due.reserve(sessions_.size() + 1);
  sessions_.push_back(&session);
}

void Scheduler::remove(Worked& session) {
  {
    // Its callback may be running, and may make or destroy other sessions.
    std::unique_lock<std::mutex> lock(mutex_);
    const auto forget = [&](std::vector<Worked*>& all) {
      all.erase(std::remove(all.begin(), all.end(), &session), all.end());
    };
    forget(sessions_);
    // Whose frame was being made is among those to deliver when it is no more at work.
    const auto left = [&](Worker& worker) {
      forget(worker.to_deliver);
      return std::find(worker.at_work.begin(), worker.at_work.end(), &session) == worker.at_work.end();
    };
    idle_.wait(lock, [&] { return left(live_) && left(stepped_); });
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

// The sessions of the worker's next round: as many as the backend draws at once. False: there are none; next_ns then says
// when there may be.
bool Scheduler::choose(Worker& worker, int64_t now, int64_t& next_ns) {
  next_ns = Worked::kNever;
  worker.due.clear();
  for (size_t i = 0; i < sessions_.size(); ++i) {
    if (sessions_[i]->real_clock() != worker.real_clock) continue;
    const Worked::Job job = sessions_[i]->next_job(now);
    if (job.released_ns > now)
      next_ns = std::min(next_ns, job.released_ns);
    else
      worker.due.push_back({job.deadline_ns, i});
  }
  if (worker.due.empty()) return false;
  const size_t n = std::min(worker.due.size(), backend_.batch());
  const auto last = worker.due.begin() + static_cast<std::ptrdiff_t>(n);
  std::partial_sort(worker.due.begin(), last, worker.due.end(), [](const Worker::Due& a, const Worker::Due& b) {
    return std::tie(a.deadline_ns, a.order) < std::tie(b.deadline_ns, b.order);
  });
  worker.at_work.clear();
  for (auto due = worker.due.begin(); due != last; ++due) worker.at_work.push_back(sessions_[due->order]);
  return true;
}

// A round of the sessions that are at work. When all its frames are there, each session goes its own way: its callback
// may take long, and may destroy others of the round.
void Scheduler::work(Worker& worker, std::unique_lock<std::mutex>& lock, int64_t now, int64_t free_ns) {
  lock.unlock();
  worker.round.make(worker.at_work, now, free_ns);
  lock.lock();
  worker.to_deliver.swap(worker.at_work);
  while (!worker.to_deliver.empty()) {
    worker.at_work.assign(1, worker.to_deliver.front());
    worker.to_deliver.erase(worker.to_deliver.begin());
    idle_.notify_all();
    lock.unlock();
    worker.at_work.front()->deliver();
    lock.lock();
    worker.at_work.clear();
  }
  idle_.notify_all();
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
    if (choose(live_, now, next_ns)) {
      work(live_, lock, now, free_ns);
      free_ns = now_ns();
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
  while (choose(stepped_, time_ns, next_ns)) {
    n_frames += static_cast<int64_t>(stepped_.at_work.size());
    work(stepped_, lock, time_ns, time_ns);
  }
  return {};
}

}  // namespace ts
