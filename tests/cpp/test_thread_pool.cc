// SPDX-License-Identifier: Apache-2.0
// ThreadPool: every chunk once, slots never shared, work done by late and early threads alike, quick teardown; workers
// that wake elsewhere than on the caller's CPU.
#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"
#include "core/thread_pool.h"

using ts::ThreadPool;

namespace {

void every_chunk_runs_once(int threads) {
  ThreadPool pool(threads);
  CHECK(pool.threads() == threads);
  for (int64_t n : {0, 1, 2, 3, 17, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(n));
    pool.run(n, [&](int64_t chunk, int) { runs[static_cast<size_t>(chunk)].fetch_add(1); });
    for (const auto& count : runs) CHECK(count.load() == 1);
  }
}

// A slot is scratch memory: two calls that run at one time must never have the same.
void slots_are_exclusive(int threads) {
  ThreadPool pool(threads);
  std::vector<std::atomic<int>> inside(static_cast<size_t>(threads));
  std::atomic<int> shared{0};
  for (int job = 0; job < 200; ++job) {
    pool.run(64, [&](int64_t, int slot) {
      if (inside[static_cast<size_t>(slot)].fetch_add(1) != 0) shared.fetch_add(1);
      inside[static_cast<size_t>(slot)].fetch_sub(1);
    });
  }
  CHECK(shared.load() == 0);
}

// Jobs follow each other faster than a sleeping worker wakes; results must be complete when run() returns.
void many_short_jobs(int threads) {
  ThreadPool pool(threads);
  int64_t wrong = 0;
  for (int job = 0; job < 20000; ++job) {
    std::atomic<int64_t> sum{0};
    pool.run(4, [&](int64_t chunk, int) { sum.fetch_add(chunk + job); });
    wrong += sum.load() != 6 + 4 * static_cast<int64_t>(job);
  }
  CHECK(wrong == 0);
}

// Workers that sleep are woken, and a pool whose workers sleep ends at once.
void sleeps_between_jobs() {
  ThreadPool pool(4);
  for (int job = 0; job < 5; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> done{0};
    pool.run(8, [&](int64_t, int) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      done.fetch_add(1);
    });
    CHECK(done.load() == 8);
  }
}

#if defined(__linux__)
void pin(const cpu_set_t& cpus) { CHECK(sched_setaffinity(0, sizeof cpus, &cpus) == 0); }

cpu_set_t only(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  return cpus;
}

// Where the one worker of a pool may run after it was woken by a caller that is pinned to cpu. The caller's chunk lasts
// until the worker has begun; then the caller's or the worker's lasts for longer.
cpu_set_t worker_cpus(ThreadPool& pool, int cpu, bool caller_sleeps) {
  const std::chrono::milliseconds longer(20);
  std::this_thread::sleep_for(longer);  // the worker sleeps, too
  pin(only(cpu));
  cpu_set_t cpus;
  std::atomic<bool> begun{false};
  pool.run(2, [&](int64_t, int slot) {
    if (slot == 0) {
      while (!begun.load()) std::this_thread::yield();
      return;
    }
    if (!caller_sleeps) CHECK(sched_getaffinity(0, sizeof cpus, &cpus) == 0);
    begun.store(true);
    if (!caller_sleeps) return;
    std::this_thread::sleep_for(longer);
    CHECK(sched_getaffinity(0, sizeof cpus, &cpus) == 0);
  });
  return cpus;
}

void workers_wake_elsewhere() {
  cpu_set_t all;
  CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &all)) cpus.push_back(cpu);
  if (cpus.size() < 2) return;
  ThreadPool pool(2);
  for (const int cpu : {cpus[0], cpus[1], cpus[1], cpus[0]}) {
    cpu_set_t elsewhere = all;
    CPU_CLR(cpu, &elsewhere);
    const cpu_set_t now = worker_cpus(pool, cpu, false);
    CHECK(CPU_EQUAL(&now, &elsewhere));
    const cpu_set_t later = worker_cpus(pool, cpu, true);  // the caller sleeps: its CPU is free
    CHECK(CPU_EQUAL(&later, &all));
  }
  // A pool of a process that may run on one CPU only has that one.
  pin(only(cpus[0]));
  ThreadPool narrow(2);
  const cpu_set_t one = only(cpus[0]), now = worker_cpus(narrow, cpus[0], false);
  CHECK(CPU_EQUAL(&now, &one));
  pin(all);
}
#else
void workers_wake_elsewhere() {}
#endif

}  // namespace

int main() {
  for (int threads : {1, 2, 3, 8}) {
    every_chunk_runs_once(threads);
    slots_are_exclusive(threads);
    many_short_jobs(threads);
  }
  sleeps_between_jobs();
  workers_wake_elsewhere();
  CHECK(ts::available_cpus() >= 1);
  return ts_test::report("test_thread_pool");
}
