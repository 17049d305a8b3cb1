// SPDX-License-Identifier: Apache-2.0
// ThreadPool: every chunk once, slots never shared, work done by late and early threads alike, quick teardown.
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

}  // namespace

int main() {
  for (int threads : {1, 2, 3, 8}) {
    every_chunk_runs_once(threads);
    slots_are_exclusive(threads);
    many_short_jobs(threads);
  }
  sleeps_between_jobs();
  CHECK(ts::available_cpus() >= 1);
  return ts_test::report("test_thread_pool");
}
