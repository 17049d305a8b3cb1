// Engine — threads, kernels and scratch memory, shared by the avatars that are loaded on it. One frame at a time.
#pragma once
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "cpu/kernel_table.h"
#include "ops/rasterize.h"

namespace ts {

struct Engine {
  Engine(const KernelTable& table, int threads, ts_precision frame_precision)
      : kernels(table), pool(threads), rasterizer(table, pool), precision(frame_precision) {
    scratch_bytes = rasterizer.scratch_bytes();
  }

  // Here and not where it was made: a child of fork() has the memory, but no worker, and `busy` as it was then.
  bool forked() const { return pid != getpid(); }

  const KernelTable& kernels;
  ThreadPool pool;
  Rasterizer rasterizer;
  const ts_precision precision;         // of avatar frames
  mutable std::mutex busy;              // held while a frame uses pool, rasterizer or a posed avatar
  std::atomic<uint64_t> scratch_bytes;  // the rasterizer's after its last frame: to be read without waiting for one
  const pid_t pid = getpid();
};

}  // namespace ts
