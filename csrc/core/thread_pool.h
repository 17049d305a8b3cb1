// SPDX-License-Identifier: Apache-2.0
// ThreadPool — runs a fixed number of chunks of work on the calling thread and its workers.
//
// Every thread has a contiguous share of the chunks, the same in every frame, so that its data stays in its core's
// cache. Chunks are claimed one at a time and a thread that is done takes from the others' shares: one that wakes late
// finds less left to do and never holds up the frame; the caller waits only for chunks that somebody has begun. Waits
// spin briefly (a frame has several short phases) and then sleep. run() allocates nothing.
#pragma once
#include <cstdint>
#include <memory>

namespace ts {

class ThreadPool {
 public:
  // threads counts the caller; 0: one per CPU that this process may run on. Throws std::system_error when a thread
  // cannot start.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls body(chunk, slot) once for every chunk in [0, n_chunks); slot in [0, threads()) is unique among the calls
  // that run at one time, for per-thread scratch. Returns when all are done. Not reentrant.
  template <class Body>
  void run(int64_t n_chunks, const Body& body) {
    run_raw(
        n_chunks,
        [](const void* context, int64_t chunk, int slot) { (*static_cast<const Body*>(context))(chunk, slot); }, &body);
  }

 private:
  using RawBody = void (*)(const void* context, int64_t chunk, int slot);
  void run_raw(int64_t n_chunks, RawBody body, const void* context);
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int threads_;
};

int available_cpus();

}  // namespace ts
