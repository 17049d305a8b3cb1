// SPDX-License-Identifier: Apache-2.0
#include "core/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "core/cpu_places.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace ts {
namespace {

inline void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Longer than a Python caller takes between two frames, far shorter than a frame. Measured by the clock, because a
// pause instruction takes from one to a hundred cycles, depending on the CPU.
constexpr std::chrono::microseconds kSpinTime{100};

// Until holds() or kSpinTime has passed.
template <class Holds>
bool spin(const Holds& holds) {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 64; ++i) {
      if (holds()) return true;
      pause_cpu();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

constexpr uint64_t kOpen = 1ull << 31;        // workers may enter
constexpr uint64_t kInside = kOpen - 1;       // how many workers are inside
constexpr uint64_t kGeneration = 1ull << 32;  // one per job

}  // namespace

// A worker enters the open job by a compare-and-swap on `state` that counts it in; the caller closes the job when no
// chunk is left and then waits for the count to fall to zero. So job fields never change under a worker, and a worker
// that was not scheduled in time cannot enter and is not waited for.
struct ThreadPool::Impl {
  explicit Impl(int threads) : places(static_cast<size_t>(threads - 1)) {}

  std::atomic<uint64_t> state{0};
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  std::unique_ptr<Share[]> shares;  // [n_shares] of the chunks
  int n_shares = 0;
  RawBody body = nullptr;
  const void* context = nullptr;

  std::mutex mutex;
  std::condition_variable job_opened, job_left;
  std::atomic<int> sleepers{0};
  std::atomic<bool> caller_sleeps{false};
  std::atomic<bool> quit{false};
  CpuPlaces places;
  std::vector<std::thread> workers;

  // A thread takes the chunks of its own share first, then those of the others' that nobody has begun.
  void work(int slot) {
    for (int i = 0; i < n_shares; ++i) {
      Share& share = shares[(slot + i) % n_shares];
      for (int64_t chunk; (chunk = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;)
        body(context, chunk, slot);
    }
  }

  bool is_new_job(uint64_t seen) const {
    const uint64_t now = state.load();
    return (now & kOpen) && now / kGeneration != seen;
  }

  void worker_main(int slot) {
    places.join(static_cast<size_t>(slot - 1));
    uint64_t seen = 0;
    for (;;) {
      if (!spin([&] { return is_new_job(seen) || quit.load(std::memory_order_relaxed); })) {
        std::unique_lock<std::mutex> lock(mutex);
        sleepers.fetch_add(1);
        job_opened.wait(lock, [&] { return is_new_job(seen) || quit.load(); });
        sleepers.fetch_sub(1);
      }
      if (quit.load()) return;
      uint64_t now = state.load();
      if (!(now & kOpen) || now / kGeneration == seen) continue;
      if (!state.compare_exchange_strong(now, now + 1)) continue;
      seen = now / kGeneration;
      work(slot);
      if (((state.fetch_sub(1) - 1) & kInside) == 0 && caller_sleeps.load()) {
        std::lock_guard<std::mutex> lock(mutex);
        job_left.notify_one();
      }
    }
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      quit.store(true);
      job_opened.notify_all();
    }
    for (std::thread& worker : workers) worker.join();
  }

  void open(int64_t n_chunks) {
    for (int i = 0; i < n_shares; ++i) {
      shares[i].next.store(n_chunks * i / n_shares, std::memory_order_relaxed);
      shares[i].end = n_chunks * (i + 1) / n_shares;
    }
    state.store((state.load(std::memory_order_relaxed) / kGeneration + 1) * kGeneration | kOpen);
    if (sleepers.load() > 0) {
      places.keep_off_this_cpu();
      std::lock_guard<std::mutex> lock(mutex);
      job_opened.notify_all();
    }
  }

  void close_and_wait() {
    if ((state.fetch_and(~kOpen) & kInside) == 0) return;
    const auto left = [&] { return (state.load() & kInside) == 0; };
    if (spin(left)) return;
    places.free();
    std::unique_lock<std::mutex> lock(mutex);
    caller_sleeps.store(true);
    job_left.wait(lock, left);
    caller_sleeps.store(false);
  }
};

int available_cpus() {
  int n = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
  // A container's quota: threads beyond it would be throttled in the middle of a frame.
  if (FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    long long quota = 0, period = 0;
    if (std::fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
      n = std::min<long long>(n, std::max<long long>(1, (quota + period - 1) / period));
    std::fclose(file);
  }
#endif
  return std::max(n, 1);
}

ThreadPool::ThreadPool(int threads) : threads_(threads > 0 ? threads : available_cpus()) {
  impl_ = std::make_unique<Impl>(threads_);
  impl_->n_shares = threads_;
  impl_->shares.reset(new Impl::Share[static_cast<size_t>(threads_)]);
  impl_->workers.reserve(static_cast<size_t>(threads_ - 1));
  try {
    for (int slot = 1; slot < threads_; ++slot) impl_->workers.emplace_back([this, slot] { impl_->worker_main(slot); });
  } catch (...) {
    impl_->stop();  // a thread that is destroyed while it runs would end the process
    throw;
  }
}

ThreadPool::~ThreadPool() { impl_->stop(); }

void ThreadPool::run_raw(int64_t n_chunks, RawBody body, const void* context) {
  if (threads_ == 1 || n_chunks <= 1) {
    for (int64_t chunk = 0; chunk < n_chunks; ++chunk) body(context, chunk, 0);
    return;
  }
  impl_->body = body;
  impl_->context = context;
  impl_->open(n_chunks);
  impl_->work(0);
  impl_->close_and_wait();
}

}  // namespace ts
