// SPDX-License-Identifier: Apache-2.0
// emit_spans — one part's visible splats to the 4x4-pixel blocks that they may touch, by tile row.
// Maths    the ellipse (a dx + b dy)^2 + (d dy)^2 <= reach cut by the 4-pixel-high band of each block row: its x
//          interval is exact (Speedy-Splat's AccuTile, Hanson et al. 2025, here per block row, not per tile row)
// Launch   one part; a splat at one of its tile rows per lane, the four block rows of that one after the other
// Reads    splat [n] 64 B     Writes   Span, 20 B each
// Cost     about 200 operations per kLanes pairs of splat and tile row, and 12 per span; bound by arithmetic
// Order    deterministic; the spans of a tile row are in index order, or nearly (bin sorts ties by index)
// Edges    the caller has made room for every span that a splat's tiles allow
// Oracle   tests/reference/bin.py      Bench  bench/ops/bench_raster.py
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/splat_lanes.h"
#include "math/lanes.h"

TS_TARGET_BEGIN

namespace {

constexpr int kTileBlocks = kTile / kBlock;
constexpr int kSpanBlocks = kSpanTiles * kTileBlocks;
constexpr int kMissed = INT32_MAX / 2;  // beyond every column, and sums with it do not overflow

// What cut() needs of a splat.
struct Chords {
  f32 x_px, d, reach, y_at_x_extreme, inv_a, slope;
  f32 low, high;  // block columns that it may touch
};

// First and last block column that the splat touches in the block row whose first pixel row is `top` below the splat's
// centre; kMissed and -1 where it does not.
TS_INLINE void cut(const Chords& s, f32 top, i32& first, i32& last) {
  const f32 quarter(1.0f / kBlock);
  const f32 bottom = top + f32(kBlock - 1.0f);
  // The band's points nearest the ellipse's right-most and left-most point.
  const f32 y_right = clamp(s.y_at_x_extreme, top, bottom), y_left = clamp(-s.y_at_x_extreme, top, bottom);
  const f32 v_right = s.d * y_right, v_left = s.d * y_left;
  const f32 rest_right = fnma(v_right, v_right, s.reach), rest_left = fnma(v_left, v_left, s.reach);
  const f32 right = fma(s.slope, y_right, fma(sqrt_above(rest_right), s.inv_a, s.x_px));
  const f32 left = fma(s.slope, y_left, fnma(sqrt_above(rest_left), s.inv_a, s.x_px));
  // Block c holds pixel columns 4c .. 4c+3.
  const f32 begin = max(-floor((f32(kBlock - 1.0f) - left) * quarter), s.low);
  const f32 end = min(floor(right * quarter), s.high);
  const mask hit = (max(rest_right, rest_left) >= f32(0.0f)) && (begin <= end);
  first = select(hit, truncate_to_int(begin), i32(kMissed));
  last = select(hit, truncate_to_int(end), i32(-1));
}

// Sixteen bits of a span that starts at block column origin: those of columns first .. last.
TS_INLINE i32 span_bits(i32 first, i32 last, i32 origin) {
  const i32 one(1);
  const i32 begin = min(max(first - origin, i32(0)), i32(kSpanBlocks));
  const i32 end = max(min(last - origin + one, i32(kSpanBlocks)), begin);
  return (one << end) - (one << begin);
}

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
  const Chords chords{s[kSplatX],    s[kSplatD],     s[kSplatReach],   s[kSplatYAtXExtreme],
                      s[kSplatInvA], s[kSplatSlope], s[kSplatBlockX0], s[kSplatBlockX1]};
  const i32 id = load(reinterpret_cast<const int32_t*>(ids));
  alignas(64) float depth[kLanes];
  store(depth, s[kSplatDepth]);

  i32 first[kTileBlocks], last[kTileBlocks];
  f32 top = fma(to_float(load(y_of)), f32(kTile), -s[kSplatY]);
  for (int r = 0; r < kTileBlocks; ++r, top = top + f32(kBlock)) cut(chords, top, first[r], last[r]);
  const i32 last_tile = max(max(last[0], last[1]), max(last[2], last[3])) >> 2;
  const mask live = first_lanes(count);
  for (i32 tile_x = min(min(first[0], first[1]), min(first[2], first[3])) >> 2;; tile_x = tile_x + i32(kSpanTiles)) {
    const mask in_x = live && (tile_x <= last_tile);
    if (!any(in_x)) break;
    const i32 origin = tile_x << 2;
    const i32 upper = span_bits(first[0], last[0], origin) | (span_bits(first[1], last[1], origin) << 16);
    const i32 lower = span_bits(first[2], last[2], origin) | (span_bits(first[3], last[3], origin) << 16);
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
