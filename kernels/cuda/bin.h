// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/cuda/job.h"
#include "kernels/cuda/splat.h"
#include "ops/bin.h"

namespace ts::cuda {

constexpr int kBinChunk = 256;         // splats, in depth order; a thread each
constexpr int kBinWindow = 1024;       // tiles that a block of count, scatter and lists looks at
constexpr int kBinScanTiles = 32;      // tiles that a block of scan looks at, a lane each
constexpr int kBinScanThreads = 1024;  // a warp for each 32nd of the chunks

// Blocks in x are of count and scatter chunks times windows, of scan ceil(tiles / kBinScanTiles), of lists windows.
TS_INLINE int64_t bin_chunks(int64_t n) { return (n + kBinChunk - 1) / kBinChunk; }
TS_INLINE int64_t bin_windows(int64_t tiles) { return (tiles + kBinWindow - 1) / kBinWindow; }

// A layer; zeros and a status are an empty one. Where its pairs exceed the capacity whole chunks are left out, from the
// first that does not fit on; so a capacity of kBinChunk times the tiles always draws something.
struct BinJob {
  int32_t n;
  int32_t tiles_x, tiles_y;
  uint32_t capacity;        // instances
  const uint32_t* order;    // [n]
  const BlendSplat* blend;  // [n]
  const BinSplat* bin;      // [n]
  uint32_t* count;          // [chunks + 1][tiles] a chunk's pairs, then those of all chunks before it   (scratch)
  uint32_t* chunk_total;    // [chunks][windows] pairs                                                   (scratch)
  TileList* lists;          // [tiles]                                                                   (out)
  Instance* instances;      // [capacity]                                                                (out)
  LayerStatus* status;      // in: n_visible; out: n_instances (UINT32_MAX: or more), n_dropped
};

}  // namespace ts::cuda
