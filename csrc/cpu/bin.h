// SPDX-License-Identifier: Apache-2.0
// bin on the CPU: spans by part and tile row, then every tile row sorted by depth and scattered to its tiles' lists.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/status.h"
#include "core/thread_pool.h"
#include "cpu/project.h"
#include "math/tile_span.h"
#include "ops/bin.h"

namespace ts {

struct KernelTable;

// A splat's blocks in up to four neighbouring tiles of one tile row. blocks[0] holds block rows 0 and 1, blocks[1]
// rows 2 and 3, 16 bits each: bit c is block column c, counted from the left of the first tile.
struct Span {
  uint32_t splat;
  uint32_t tile_and_count;  // the first tile's column * 4 + (tiles - 1)
  uint32_t blocks[2];
  uint32_t key;  // depth: a positive float's bits are in its order
};
static_assert(sizeof(Span) == 20);

// One tile row of one part: where its spans are among the part's, and how many instances they are. Four to a cache
// line, so that parts on two cores share none.
struct SpanRow {
  uint32_t begin, end;
  uint64_t n_instances;
};

// Scratch of one thread while it orders a tile row.
struct RowScratch {
  Buffer<Span> spans;
  Buffer<uint64_t> entries[2];  // key << 32 | span
  Buffer<uint32_t> cursor;      // [tiles across + kSpanTiles] places in the instances
};

// Where a tile row's instances begin, and from how many spans they come.
struct RowPlace {
  uint32_t first, n_spans;
};

// Grows to a high-water mark.
struct BinScratch {
  std::vector<Buffer<Span>> spans;      // [parts]
  Buffer<SpanRow> rows;                 // [parts][rows_of_part()]
  std::vector<RowScratch> order;        // [threads]
  Buffer<RowPlace> places;              // [tile rows]
  std::atomic<uint64_t> pair_bytes{0};  // what this frame's parts have asked for
  uint64_t bytes() const;
};

struct BinArgs {
  const Splat* splat;
  const uint32_t* visible;  // in parts
  const ProjectPart* parts;
  int n_parts;
  int width, height;
  uint64_t max_pair_bytes;
  BinScratch* scratch;
  TileList* lists;              // [tiles]                                                       (out)
  Buffer<Instance>* instances;  // of all lists                                                  (out)
};

// Allocates what this frame's parts and rows need before any part is binned.
void prepare_bin(const BinArgs& args, int threads);
// Phase 1 of one part, on the thread that has just projected it: its splats are still in that core's cache. False: no
// memory, or more than max_pair_bytes (workers do not throw).
bool bin_part(const BinArgs& args, int part, const KernelTable& kernels);
// Phase 2, when all parts are done.
Status bin_rows(const BinArgs& args, ThreadPool& pool, uint64_t* n_instances);
Status no_memory_for_spans(const BinArgs& args);

}  // namespace ts
