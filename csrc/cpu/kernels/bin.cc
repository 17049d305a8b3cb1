// SPDX-License-Identifier: Apache-2.0
// emit_spans — one part's visible splats to the 4x4-pixel blocks that they may touch, by tile row.
// Maths    math/tile_span.h: the ellipse's exact x interval in the 4-pixel-high band of each block row
// Launch   one part; a splat at one of its tile rows per lane, the four block rows of that one after the other
// Reads    splat [n] 64 B     Writes   Span, 20 B each
// Cost     about 200 operations per kLanes pairs of splat and tile row, and 12 per span; bound by arithmetic
// Order    deterministic; the spans of a tile row are in index order, or nearly (bin sorts ties by index)
// Edges    the caller has made room for every span that a splat's tiles allow
// Oracle   tests/reference/bin.py      Bench  bench/ops/bench_raster.py
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/splat_lanes.h"
#include "math/lanes.h"
#include "math/tile_span.h"

TS_TARGET_BEGIN

namespace {

// A splat at one of its tile rows: row << 32 | splat.
using Work = uint64_t;
constexpr int kQueue = 256;  // a multiple of kLanes

// The spans of `count` <= kLanes pieces of work; the array holds kLanes.
TS_INLINE void emit(const Splat* splats, const Work* work, int count, Span* spans, SpanRow* rows) {
  alignas(64) uint32_t ids[kLanes];
  alignas(64) int32_t y_of[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    ids[lane] = static_cast<uint32_t>(work[lane]);
    y_of[lane] = static_cast<int32_t>(work[lane] >> 32);
  }
  f32 s[kSplatFields];
  load_splats(splats, ids, s);
  const Chords chords{s[kSplatX],           s[kSplatY],    s[kSplatD],    s[kSplatReach],
                      s[kSplatYAtXExtreme], s[kSplatInvA], s[kSplatSlope]};
  const i32 id = load(reinterpret_cast<const int32_t*>(ids));
  alignas(64) float depth[kLanes];
  store(depth, s[kSplatDepth]);

  BlockRows blocks;
  cut_blocks(chords, s[kSplatBlockX0], s[kSplatBlockX1], load(y_of), blocks);
  const i32 *first = blocks.first, *last = blocks.last;
  const i32 last_tile = max(max(last[0], last[1]), max(last[2], last[3])) >> 2;
  const mask live = first_lanes(count);
  for (i32 tile_x = min(min(first[0], first[1]), min(first[2], first[3])) >> 2;; tile_x = tile_x + i32(kSpanTiles)) {
    const mask in_x = live && (tile_x <= last_tile);
    if (!any(in_x)) break;
    const i32 origin = tile_x << 2;
    i32 upper, lower;
    span_blocks(blocks, origin, upper, lower);
    const i32 tile_and_count = origin | min(last_tile - tile_x, i32(kSpanTiles - 1));
    alignas(64) float four[4 * kLanes];
    store4(four, float_of(id), float_of(tile_and_count), float_of(upper), float_of(lower));
    for (uint32_t rest = bits(in_x); rest; rest &= rest - 1) {
      const int lane = __builtin_ctz(rest);
      SpanRow& row = rows[y_of[lane]];
      Span& span = spans[row.end++];
      __builtin_memcpy(&span, four + 4 * lane, 16);
      __builtin_memcpy(&span.key, depth + lane, 4);  // a positive float's bits are in its order
      row.n_instances += (span.tile_and_count & (kSpanTiles - 1)) + 1;
    }
  }
}

}  // namespace

void emit_spans(const BinArgs& args, int part, Span* spans, SpanRow* rows) {
  const uint32_t* visible = args.visible + args.parts[part].begin;
  const int64_t n = args.parts[part].n_visible;
  constexpr int kAtOnce = 4;
  alignas(64) Work queue[kQueue + kAtOnce + kLanes];
  int queued = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Splat& s = args.splat[visible[i]];
    for (int y = s.tile_y0; y < s.tile_y1; y += kAtOnce) {
      // Four are always written, and those that exist are kept: splats differ in how many they have, and a branch on
      // that number would be mispredicted.
      for (int k = 0; k < kAtOnce; ++k) queue[queued + k] = static_cast<Work>(y + k) << 32 | visible[i];
      queued += s.tile_y1 - y < kAtOnce ? s.tile_y1 - y : kAtOnce;
      if (queued < kQueue) continue;
      for (int k = 0; k < kQueue; k += kLanes) emit(args.splat, queue + k, kLanes, spans, rows);
      queued -= kQueue;
      for (int k = 0; k < queued; ++k) queue[k] = queue[kQueue + k];
    }
  }
  // Lanes past the end compute on some splat that exists; emit() leaves them out.
  for (int k = queued; k < queued + kLanes; ++k) queue[k] = queued ? queue[0] : 0;
  for (int k = 0; k < queued; k += kLanes)
    emit(args.splat, queue + k, queued - k < kLanes ? queued - k : kLanes, spans, rows);
}

TS_TARGET_END
