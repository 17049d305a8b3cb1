// SPDX-License-Identifier: Apache-2.0
// Which tiles, and which of their 4x4-pixel blocks, a splat may touch: its ellipse (a dx + b dy)^2 + (d dy)^2 <= reach
// cut by the bands of tile rows and block rows. The x interval is exact (Speedy-Splat's AccuTile, Hanson et al. 2025).
#pragma once
#include <cstdint>

#include "math/lanes.h"
#include "math/splat.h"

namespace ts {
constexpr int kSpanTiles = 4;  // of a span: tiles side by side
constexpr int kTileBlocks = kTile / kBlock;
constexpr int kSpanBlocks = kSpanTiles * kTileBlocks;
}  // namespace ts

TS_TARGET_BEGIN

// What a cut needs of a splat, as in math/splat.h.
struct Chords {
  f32 x_px, y_px, d, reach, y_at_x_extreme, inv_a, slope;
};

constexpr int kMissed = INT32_MAX / 2;  // beyond every column, and sums with it do not overflow

// A row of squares of kSize pixels whose first pixel row is `top` below the splat's centre: first and last column that
// the splat touches, of those from low to high; kMissed and -1 where it touches none.
template <int kSize>
TS_INLINE void cut(const Chords& s, f32 low, f32 high, f32 top, i32& first, i32& last) {
  const f32 inv_size(1.0f / kSize);
  const f32 bottom = top + f32(kSize - 1.0f);
  // The band's points nearest the ellipse's right-most and left-most point.
  const f32 y_right = clamp(s.y_at_x_extreme, top, bottom), y_left = clamp(-s.y_at_x_extreme, top, bottom);
  const f32 v_right = s.d * y_right, v_left = s.d * y_left;
  const f32 rest_right = fnma(v_right, v_right, s.reach), rest_left = fnma(v_left, v_left, s.reach);
  const f32 right = fma(s.slope, y_right, fma(sqrt_above(rest_right), s.inv_a, s.x_px));
  const f32 left = fma(s.slope, y_left, fnma(sqrt_above(rest_left), s.inv_a, s.x_px));
  // Square c holds pixel columns kSize c .. kSize c + kSize - 1.
  const f32 begin = max(-floor((f32(kSize - 1.0f) - left) * inv_size), low);
  const f32 end = min(floor(right * inv_size), high);
  const mask hit = (max(rest_right, rest_left) >= f32(0.0f)) && (begin <= end);
  first = select(hit, truncate_to_int(begin), i32(kMissed));
  last = select(hit, truncate_to_int(end), i32(-1));
}

// Of each block row of a tile row: the block columns that a splat touches.
struct BlockRows {
  i32 first[kTileBlocks], last[kTileBlocks];  // both inclusive; kMissed and -1 where there are none
};
// Blocks from column low to high of tile row tile_y.
TS_INLINE void cut_blocks(const Chords& s, f32 low, f32 high, i32 tile_y, BlockRows& rows) {
  f32 top = fma(to_float(tile_y), f32(kTile), -s.y_px);
  TS_UNROLL
  for (int r = 0; r < kTileBlocks; ++r, top = top + f32(kBlock))
    cut<kBlock>(s, low, high, top, rows.first[r], rows.last[r]);
}

// Tiles from column low to high of tile row tile_y. Has every tile of whose blocks cut_blocks() has one, but for
// rounding; and a tile without, where the ellipse reaches it only between two pixel rows.
TS_INLINE void cut_tiles(const Chords& s, f32 low, f32 high, i32 tile_y, i32& first, i32& last) {
  cut<kTile>(s, low, high, fma(to_float(tile_y), f32(kTile), -s.y_px), first, last);
}

// Sixteen bits of a span that starts at block column origin: those of columns first .. last.
TS_INLINE i32 span_bits(i32 first, i32 last, i32 origin) {
  const i32 one(1);
  const i32 begin = min(max(first - origin, i32(0)), i32(kSpanBlocks));
  const i32 end = max(min(last - origin + one, i32(kSpanBlocks)), begin);
  return (one << end) - (one << begin);
}

// A span's blocks: sixteen bits for each block row, upper rows 0 | 1 << 16, lower rows 2 | 3 << 16.
TS_INLINE void span_blocks(const BlockRows& rows, i32 origin, i32& upper, i32& lower) {
  upper = span_bits(rows.first[0], rows.last[0], origin) | (span_bits(rows.first[1], rows.last[1], origin) << 16);
  lower = span_bits(rows.first[2], rows.last[2], origin) | (span_bits(rows.first[3], rows.last[3], origin) << 16);
}

// From the above, upper | lower << 32, to block masks: sixteen bits for each of the span's four tiles. A 4x4 transpose
// of nibbles.
TS_INLINE uint64_t tile_masks(uint64_t rows) {
  uint64_t swap = (rows ^ rows >> 12) & 0x0000f0f00000f0f0ull;
  rows ^= swap ^ swap << 12;
  swap = (rows ^ rows >> 24) & 0x00000000ff00ff00ull;
  return rows ^ swap ^ swap << 24;
}

TS_TARGET_END
