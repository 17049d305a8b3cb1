// Engine — threads, kernels and scratch memory, shared by the avatars that are loaded on it. One frame at a time.
#pragma once
#include <mutex>

#include "cpu/kernel_table.h"
#include "ops/rasterize.h"

namespace ts {

struct Engine {
  Engine(const KernelTable& table, int threads, ts_precision frame_precision)
      : kernels(table), pool(threads), rasterizer(table, pool), precision(frame_precision) {}

  const KernelTable& kernels;
  ThreadPool pool;
  Rasterizer rasterizer;
  const ts_precision precision;  // of avatar frames
  mutable std::mutex busy;       // held while a frame uses pool, rasterizer or a posed avatar
};

}  // namespace ts
