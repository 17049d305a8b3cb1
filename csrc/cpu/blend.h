// SPDX-License-Identifier: Apache-2.0
// blend on the CPU: a thread takes a tile, brings its splats to its own scratch, and blends them block by block.
#pragma once
#include <cstdint>

#include "core/thread_pool.h"
#include "ops/blend.h"

namespace ts {

struct KernelTable;

// Splats of a tile that are blended at a time. A smaller batch would stay in L1, but pixels are stored and loaded again
// between batches, and that costs more.
constexpr int kBlendBatch = 512;

// A splat as one tile's pixels see it: p(x, y) = q[y] - (a x + c[y])^2, x and y counted from the tile's corner.
// Whatever depends on the row alone is here, once for the tile's sixteen columns.
struct alignas(32) TileSplat {
  float c[kTile];
  float q[kTile];
  float red, green, blue;
  float depth;
  float a;
};

// Scratch of one thread.
struct alignas(64) BlendScratch {
  TileSplat splat[kBlendBatch + 1];  // the last draws nothing
  int32_t mask[kBlendBatch + 16];    // block masks of the batch, zero-padded
  int32_t list[kBlendBatch + 32];    // one block's splats, as byte offsets into splat
  float planes[kTilePlanes * kTilePixels];
  float running_t[kTilePixels];  // below the limit where a pixel has stopped; planes keep the last accepted one
};

// scratch: [threads of the pool]
void blend_cpu(const BlendArgs& args, BlendScratch* scratch, const KernelTable& kernels, ThreadPool& pool);

}  // namespace ts
