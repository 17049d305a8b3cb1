// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/cuda/job.h"
#include "kernels/cuda/splat.h"
#include "ops/bin.h"

namespace ts::cuda {

constexpr int kBinChunk = 256;    // splats, in depth order
constexpr int kBinWindow = 1024;  // tiles that a block of count and scatter looks at

// A layer. Where its pairs exceed the capacity whole chunks are left out, from the first that does not fit on; so a
// capacity of kBinChunk times the tiles always draws something.
struct BinJob {
  int32_t n;
  int32_t tiles_x, tiles_y;
  uint32_t capacity;        // instances
  const uint32_t* order;    // [n]
  const BlendSplat* blend;  // [n]
  const BinSplat* bin;      // [n]
  uint32_t* count;          // [chunks][tiles] pairs, then places                (scratch)
  uint32_t* chunk_total;    // [chunks][windows] pairs                           (scratch)
  uint32_t* tile_total;     // [tiles] pairs that fit                            (scratch)
  TileList* lists;          // [tiles]                                           (out)
  Instance* instances;      // [capacity]                                        (out)
  LayerStatus* status;      // in: n_visible; out: n_instances, n_dropped
};

}  // namespace ts::cuda
