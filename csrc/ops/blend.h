// blend — per-tile lists to pixels, front to back, and finish: background, alpha, conversion to the wanted format.
#pragma once
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "ops/bin.h"
#include "ops/finish.h"

namespace ts {

constexpr int kBlendBatch = 512;  // splats of a tile that are in L1 at a time

// A splat as one tile's pixels see it: (a x + b y + c)^2 + (d y + e)^2, x and y counted from the tile's corner. Takes
// two operations a pixel fewer than differences from the centre, and its numbers are small enough to lose nothing.
struct alignas(64) TileSplat {
  float c, e;  // in the place of Splat's centre; the rest is Splat's
  float a, b, d;
  float log2_opacity;
  float red, green, blue;
  float depth;
  float rest[6];
};

// One thread's; 44 KiB.
struct alignas(64) BlendScratch {
  TileSplat splat[kBlendBatch];
  int32_t mask[kBlendBatch + 16];  // block masks of the batch, zero-padded
  int32_t list[kBlendBatch + 16];  // one block's splats, as byte offsets into splat
  float planes[kTilePlanes * kTilePixels];
  float running_t[kTilePixels];  // below the limit where a pixel has stopped; planes keep the last accepted one
};

struct BlendArgs {
  const Splat* splat;
  const uint32_t* tile_start;  // [tiles + 1]
  const Instance* instances;
  ts_precision precision;
  FinishArgs finish;      // the image
  BlendScratch* scratch;  // [threads of the pool]
};

Status blend_cpu(const BlendArgs& args, const KernelTable& kernels, ThreadPool& pool);

}  // namespace ts
