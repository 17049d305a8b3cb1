// bin — visible splats to per-tile lists in depth order.
#pragma once
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "ops/project.h"

namespace ts {

// One splat in one tile: mask << 32 | splat index. Bit i of the mask: block i of the tile may hold a pixel with
// alpha >= 1/255.
using Instance = uint64_t;

// A splat's blocks in up to four neighbouring tiles of one tile row. blocks[0] holds block rows 0 and 1, blocks[1]
// rows 2 and 3, 16 bits each: bit c is block column c, counted from the left of first_tile.
struct Span {
  uint32_t splat;
  uint32_t tile_and_count;  // first_tile * 4 + (tiles - 1)
  uint32_t blocks[2];
};
static_assert(sizeof(Span) == 16);

// What one part of the depth order has emitted so far.
struct SpanWriter {
  int64_t next, end;  // entries of the depth order still to do
  Span* spans;
  int64_t n, capacity;
};

// Grows to a high-water mark.
struct BinScratch {
  Buffer<uint64_t> order[2];        // depth sort, ping-pong
  Buffer<uint32_t> histogram;       // [parts][digits]
  Buffer<uint32_t> cursor;          // [parts][tiles]
  std::vector<Buffer<Span>> spans;  // [parts]
  std::vector<SpanWriter> writers;  // [parts]
};

struct BinArgs {
  const Splat* splat;
  const uint64_t* visible;  // depth key << 32 | splat, in parts
  const ProjectPart* parts;
  int n_parts;
  int width, height;
  BinScratch* scratch;
  uint32_t* tile_start;         // [tiles + 1]                                                       (out)
  Buffer<Instance>* instances;  // [tile_start[tiles]], each tile's by depth, ties by splat index    (out)
};

Status bin_cpu(const BinArgs& args, const KernelTable& kernels, ThreadPool& pool);

TS_INLINE int tiles_across(int pixels) { return (pixels + kTile - 1) / kTile; }

}  // namespace ts
