// SPDX-License-Identifier: Apache-2.0
// Rasterizer — project, bin, blend and finish on the CPU, with the scratch memory that they share. One frame at a time.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "cpu/bin.h"
#include "cpu/blend.h"
#include "cpu/project.h"
#include "ops/rasterize.h"

namespace ts {

struct KernelTable;

class Rasterizer {
 public:
  Rasterizer(const KernelTable& kernels, ThreadPool& pool, uint64_t max_pair_bytes = kMaxPairBytes);

  // Adds its stages to the receipt.
  Status draw(const RasterizeArgs& args, Receipt& receipt);

  uint64_t scratch_bytes() const;

 private:
  const KernelTable& kernels_;
  ThreadPool& pool_;
  const uint64_t max_pair_bytes_;
  Buffer<Splat> splats_;
  Buffer<uint32_t> visible_;
  ProjectPart parts_[kMaxParts];
  BinScratch bin_;
  Buffer<TileList> lists_;
  Buffer<Instance> instances_;
  Buffer<BlendScratch> blend_;
};

}  // namespace ts
