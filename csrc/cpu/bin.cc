// SPDX-License-Identifier: Apache-2.0
// bin — visible splats to per-tile lists in depth order.
// Phase 1  per part of the splats: an upper bound of its spans in each tile row, then emit_spans (cpu/kernels/bin.cc)
//          writes them there
// Phase 2  per tile row, claimed by threads: the parts' spans side by side, sorted by depth, counted into the row's
//          tile lists. A row fits in L1 and L2, so nothing but the spans themselves crosses from core to core
// Launch   phase 1 a part at a time, by the thread that projected it; phase 2 a tile row at a time
// Reads    Splat 64 B each     Writes   Span 20 B each, Instance 8 B each, TileList 8 B a tile
// Maths    least-significant-digit radix sort of (key - the row's smallest key): exact float depth order; ties are
//          then put in index order
// Cost     O(visible + spans + instances); bound by memory
// Order    independent of the number of parts and threads
// Edges    nothing visible: every list is empty. More than max_pair_bytes or 2^32 - 1 spans or instances: an error
// Oracle   tests/reference/bin.py      Bench  bench/ops/bench_raster.py
#include "cpu/bin.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "cpu/kernel_table.h"
#include "math/tile_span.h"

namespace ts {
namespace {

constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;

// Entries in the order of their key, those of equal keys as they came. Returns one of the two buffers.
uint64_t* sort_entries(uint64_t* entries, uint64_t* spare, int64_t n, uint32_t key_min, uint32_t key_max) {
  uint64_t* from = entries;
  uint64_t* to = spare;
  for (int shift = 0; shift < 32 && (key_max - key_min) >> shift; shift += kDigitBits) {
    uint32_t cursor[kDigits] = {};
    const auto digit_of = [=](uint64_t entry) {
      return ((static_cast<uint32_t>(entry >> 32) - key_min) >> shift) & (kDigits - 1);
    };
    for (int64_t i = 0; i < n; ++i) ++cursor[digit_of(from[i])];
    uint32_t sum = 0;
    for (uint32_t& slot : cursor) sum += std::exchange(slot, sum);
    for (int64_t i = 0; i < n; ++i) to[cursor[digit_of(from[i])]++] = from[i];
    std::swap(from, to);
  }
  return from;
}

// Puts spans of equal depth in the order of their splats' indices. An insertion sort: they lie side by side, are few
// and nearly in order.
void order_ties(uint64_t* entries, int64_t n, const Span* spans) {
  const auto splat_of = [&](int64_t i) { return spans[static_cast<uint32_t>(entries[i])].splat; };
  for (int64_t i = 1; i < n; ++i)
    for (int64_t k = i; k > 0 && entries[k] >> 32 == entries[k - 1] >> 32 && splat_of(k) < splat_of(k - 1); --k)
      std::swap(entries[k], entries[k - 1]);
}

// Tile rows and one more, rounded up to whole cache lines of four: a splat's end row is exclusive, so a splat in the
// last tile row marks its end one row past it.
int64_t rows_of_part(int tiles_y) { return (tiles_y + 4) / 4 * 4; }

// The tile lists of one row of n spans, its instances from `first`.
void order_row(const BinArgs& args, int row, int64_t n, uint32_t first, RowScratch& scratch) {
  const int tiles_x = tiles_across(args.width);
  const int64_t stride = rows_of_part(tiles_across(args.height));
  const SpanRow* rows = args.scratch->rows.data() + row;  // of part p: rows[p * stride]

  // The parts' spans side by side. cursor is first a difference array, +1 at a span's first tile and -1 after its last,
  // so that its running sum is how many spans cover a tile; then the place of each tile's next instance.
  Span* spans = scratch.spans.data();
  uint64_t* entries = scratch.entries[0].data();
  uint32_t* cursor = scratch.cursor.data();
  std::memset(cursor, 0, (tiles_x + kSpanTiles) * sizeof *cursor);
  uint32_t key_min = UINT32_MAX, key_max = 0;
  int64_t i = 0;
  for (int p = 0; p < args.n_parts; ++p) {
    const SpanRow& from = rows[p * stride];
    const Span* source = args.scratch->spans[p].data();
    for (uint32_t k = from.begin; k < from.end; ++k, ++i) {
      const Span& span = spans[i] = source[k];
      entries[i] = static_cast<uint64_t>(span.key) << 32 | static_cast<uint64_t>(i);
      key_min = std::min(key_min, span.key), key_max = std::max(key_max, span.key);
      const uint32_t tile = span.tile_and_count >> 2;
      ++cursor[tile];
      --cursor[tile + (span.tile_and_count & 3) + 1];
    }
  }
  TileList* lists = args.lists + static_cast<int64_t>(row) * tiles_x;
  uint32_t in_tile = 0, place = first;
  for (int t = 0; t < tiles_x; ++t) {
    in_tile += cursor[t];
    lists[t] = {place, place + in_tile};
    cursor[t] = place;
    place += in_tile + 1;
  }
  // Tiles past the end of the row: only unwanted writes go there, to the spare place of the last tile.
  for (int t = tiles_x; t < tiles_x + kSpanTiles; ++t) cursor[t] = place - 1;

  uint64_t* sorted = sort_entries(entries, scratch.entries[1].data(), n, key_min, key_max);
  order_ties(sorted, n, spans);
  Instance* instances = args.instances->data();
  for (int64_t k = 0; k < n; ++k) {
    const Span& span = spans[static_cast<uint32_t>(sorted[k])];
    const uint64_t masks = tile_masks(span.blocks[0] | static_cast<uint64_t>(span.blocks[1]) << 32);
    uint32_t* of_tile = cursor + (span.tile_and_count >> 2);
    const int last = static_cast<int>(span.tile_and_count & 3);
    // Writes to four tiles in any case and moves on only in those that the span covers, so that the next span
    // overwrites the rest: cheaper than a branch that cannot be predicted.
    for (int t = 0; t < kSpanTiles; ++t) {
      instances[of_tile[t]] = (masks >> (16 * t) & 0xffff) << 32 | span.splat;
      of_tile[t] += t <= last;
    }
  }
}

}  // namespace

uint64_t BinScratch::bytes() const {
  uint64_t sum = rows.bytes() + places.bytes();
  for (const Buffer<Span>& part : spans) sum += part.bytes();
  for (const RowScratch& row : order)
    sum += row.spans.bytes() + row.entries[0].bytes() + row.entries[1].bytes() + row.cursor.bytes();
  return sum;
}

void prepare_bin(const BinArgs& args, int threads) {
  BinScratch& scratch = *args.scratch;
  if (static_cast<int>(scratch.spans.size()) < args.n_parts) scratch.spans.resize(args.n_parts);
  if (static_cast<int>(scratch.order.size()) < threads) scratch.order.resize(threads);
  scratch.pair_bytes = 0;
  scratch.rows.reserve(args.n_parts * rows_of_part(tiles_across(args.height)));
}

bool bin_part(const BinArgs& args, int part, const KernelTable& kernels) {
  const int tiles_y = tiles_across(args.height);
  const int64_t n_rows = rows_of_part(tiles_y);
  SpanRow* rows = args.scratch->rows.data() + part * n_rows;
  std::memset(rows, 0, n_rows * sizeof *rows);
  // How many spans each tile row may get, again as a difference array: up at a splat's first row, down after its last
  // (modulo 2^32). `end` holds the differences until it becomes a place among the part's spans.
  const uint32_t* visible = args.visible + args.parts[part].begin;
  for (int64_t i = 0; i < args.parts[part].n_visible; ++i) {
    const Splat& s = args.splat[visible[i]];
    const uint32_t blocks = static_cast<uint32_t>(s.block_x1 - s.block_x0) + 1;
    constexpr uint32_t kSpanBlocks = kSpanTiles * kTile / kBlock;
    const uint32_t spans = (blocks + kSpanBlocks - 1) / kSpanBlocks;
    rows[s.tile_y0].end += spans;
    rows[s.tile_y1].end -= spans;
  }
  uint32_t spans = 0;
  uint64_t place = 0;
  for (int64_t row = 0; row < n_rows; ++row) {
    spans += rows[row].end;
    rows[row].begin = rows[row].end = static_cast<uint32_t>(place);
    place += spans;
  }
  if (place > std::numeric_limits<uint32_t>::max()) return false;
  const uint64_t bytes = place * sizeof(Span);
  if (args.scratch->pair_bytes.fetch_add(bytes) + bytes > args.max_pair_bytes) return false;
  try {
    args.scratch->spans[part].reserve(place);
  } catch (const std::bad_alloc&) {
    return false;
  }
  kernels.emit_spans(args, part, args.scratch->spans[part].data(), rows);
  return true;
}

namespace {

Status too_many_pairs(const BinArgs& args) {
  return error(
      StatusCode::kOutOfMemory,
      "bin: these Gaussians cover so much of the %dx%d picture, one over the other, that they need more than %llu "
      "MB of scratch memory. Render a smaller image or fewer Gaussians.",
      args.width, args.height, static_cast<unsigned long long>(args.max_pair_bytes >> 20));
}

}  // namespace

Status bin_rows(const BinArgs& args, ThreadPool& pool, uint64_t* n_instances) {
  const int tiles_x = tiles_across(args.width), tiles_y = tiles_across(args.height);
  BinScratch& scratch = *args.scratch;
  RowPlace* places = scratch.places.reserve(tiles_y);
  uint64_t sum = 0;
  uint32_t most_spans = 0;
  for (int row = 0; row < tiles_y; ++row) {
    places[row] = {static_cast<uint32_t>(sum), 0};
    for (int p = 0; p < args.n_parts; ++p) {
      const SpanRow& from = scratch.rows[p * rows_of_part(tiles_y) + row];
      places[row].n_spans += from.end - from.begin;
      sum += from.n_instances;
    }
    sum += tiles_x;  // the scatter may write, and then ignore, one instance after a list
    most_spans = std::max(most_spans, places[row].n_spans);
  }
  const uint64_t ordering = scratch.order.size() * uint64_t{most_spans} * (sizeof(Span) + 2 * sizeof(uint64_t));
  const uint64_t bytes = scratch.pair_bytes + ordering + sum * sizeof(Instance);
  if (bytes > args.max_pair_bytes || sum > std::numeric_limits<uint32_t>::max()) return too_many_pairs(args);
  args.instances->reserve(sum);
  // Every thread gets room for the longest row, because any thread may claim it: a later frame then allocates nothing.
  for (RowScratch& order : scratch.order) {
    order.spans.reserve(most_spans), order.entries[0].reserve(most_spans), order.entries[1].reserve(most_spans);
    order.cursor.reserve(tiles_x + kSpanTiles);
  }
  pool.run(tiles_y, [&](int64_t row, int slot) {
    order_row(args, static_cast<int>(row), places[row].n_spans, places[row].first, scratch.order[slot]);
  });
  *n_instances = sum - static_cast<uint64_t>(tiles_x) * tiles_y;
  return {};
}

Status no_memory_for_spans(const BinArgs& args) {
  if (args.scratch->pair_bytes > args.max_pair_bytes) return too_many_pairs(args);
  return error(StatusCode::kOutOfMemory,
               "bin: no memory for the spans of these Gaussians. Render a smaller image or fewer.");
}

}  // namespace ts
