// SPDX-License-Identifier: Apache-2.0
// finish — one tile's planes to the image.
// Maths    ops/finish.h, math/finish.h
// Launch   one 16x16 tile
// Reads    planes [kTilePlanes][256] f32     Writes   its pixels, 1.5 to 12 B each, and 4 B each of alpha and depth
// Cost     O(pixels); bound by the writes
// Bytes    are joined and split in 32-bit words, as little-endian memory has them; load3, load4, store3 and store4 bring
//          neighbouring words to the same lane
// Edges    tiles over the right and lower border write only what lies inside
// Oracle   tests/reference/finish.py      Bench  bench/ops/bench_raster.py
#include "math/finish.h"

#include "cpu/kernels/kernels.h"

TS_TARGET_BEGIN

namespace {

struct Rect {
  int x0, y0, w, h;
};

// Pixels of a row that lie inside the image. A whole row is a constant size: a few moves, not a call.
template <int kPixelBytes>
TS_INLINE void copy_row(void* to, const void* from, int w) {
  if (w == kTile)
    __builtin_memcpy(to, from, kPixelBytes * kTile);
  else
    __builtin_memcpy(to, from, kPixelBytes * static_cast<size_t>(w));
}

TS_INLINE uint8_t* image_row(const FinishArgs& args, const Rect& rect, int pixel_bytes, int y) {
  return static_cast<uint8_t*>(args.image.data) + (rect.y0 + y) * args.image.stride_bytes +
         static_cast<int64_t>(pixel_bytes) * rect.x0;
}

// A whole tile, rows side by side.
template <int kPixelBytes>
TS_INLINE void write_rows(const FinishArgs& args, const Rect& rect, const void* tile) {
  for (int y = 0; y < rect.h; ++y)
    copy_row<kPixelBytes>(image_row(args, rect, kPixelBytes, y),
                          static_cast<const char*>(tile) + kPixelBytes * kTile * y, rect.w);
}

TS_INLINE void over(f32 red, f32 green, f32 blue, float* planes, int i) {
  const f32 transmittance = load(planes + 3 * kTilePixels + i);
  const f32 background[3] = {red, green, blue};
  for (int c = 0; c < 3; ++c) {
    float* p = planes + c * kTilePixels + i;
    store(p, fma(transmittance, background[c], load(p)));
  }
}

TS_INLINE void over_color(const float* color, float* planes) {
  for (int i = 0; i < kTilePixels; i += kLanes) over(f32(color[0]), f32(color[1]), f32(color[2]), planes, i);
}

// The Gaussians of the picture behind: they are seen through these.
TS_INLINE void over_planes(const FinishArgs& args, const Rect& rect, float* planes) {
  const Background& behind = args.background;
  alignas(64) float alpha[kTile] = {}, depth[kTile] = {};
  for (int y = 0; y < rect.h; ++y) {
    const int64_t first = static_cast<int64_t>(rect.y0 + y) * args.image.width + rect.x0;
    copy_row<4>(alpha, behind.alpha + first, rect.w);
    if (behind.depth) copy_row<4>(depth, behind.depth + first, rect.w);
    for (int x = 0; x < kTile; x += kLanes) {
      float *t = planes + 3 * kTilePixels + kTile * y + x, *d = t + kTilePixels;
      const f32 through = load(t);
      if (behind.depth) store(d, fma(through, load(depth + x), load(d)));
      store(t, fnma(through, load(alpha + x), through));
    }
  }
}

// The picture is read in place, except where load3 would read beyond its row.
TS_INLINE void over_f32(const FinishArgs& args, const Rect& rect, float* planes) {
  alignas(64) float copy[3 * kTile] = {};
  for (int y = 0; y < rect.h; ++y) {
    const float* row = args.background.image_f32 + (static_cast<int64_t>(rect.y0 + y) * args.image.width + rect.x0) * 3;
    if (rect.w < kTile) {
      copy_row<12>(copy, row, rect.w);
      row = copy;
    }
    for (int x = 0; x < kTile; x += kLanes) {
      f32 r, g, b;
      load3(row + 3 * x, r, g, b);
      over(r, g, b, planes, kTile * y + x);
    }
  }
}

// Bytes r g b to words r g b 0: three words make four. They travel as floats, which is what load3 and store4 move.
TS_INLINE void over_u8(const FinishArgs& args, const Rect& rect, float* planes) {
  alignas(64) float packed[kTilePixels * 3 / 4] = {}, spread[kTilePixels];  // black beyond the border
  for (int y = 0; y < rect.h; ++y)
    copy_row<3>(packed + kTile * 3 / 4 * y,
                args.background.image_u8 + (static_cast<int64_t>(rect.y0 + y) * args.image.width + rect.x0) * 3,
                rect.w);
  for (int i = 0; i < kTilePixels / 4; i += kLanes) {
    f32 p, q, r;
    load3(packed + 3 * i, p, q, r);
    const i32 a = bits_of(p), b = bits_of(q), c = bits_of(r);
    store4(spread + 4 * i, p, float_of(((a >> 24) & i32(255)) | (b << 8)),
           float_of(((b >> 16) & i32(0xffff)) | (c << 16)), float_of(c >> 8));
  }
  const i32 byte(255);
  const f32 step(1.0f / 255);
  for (int i = 0; i < kTilePixels; i += kLanes) {
    const i32 rgb = bits_of(load(spread + i));
    over(to_float(rgb & byte) * step, to_float((rgb >> 8) & byte) * step, to_float((rgb >> 16) & byte) * step, planes,
         i);
  }
}

TS_INLINE void write_rgba8(const FinishArgs& args, const Rect& rect, const float* planes, bool opaque) {
  for (int y = 0; y < rect.h; ++y) {
    alignas(64) int32_t pixels[kTile];
    for (int x = 0; x < kTile; x += kLanes) {
      const float* p = planes + kTile * y + x;
      f32 r = load(p), g = load(p + kTilePixels), b = load(p + 2 * kTilePixels);
      i32 a(255);
      if (!opaque) {  // C / (1 - T)
        const f32 alpha = f32(1.0f) - load(p + 3 * kTilePixels);
        const f32 scale = straight_scale(alpha);
        r = r * scale, g = g * scale, b = b * scale;
        a = to_byte(alpha);
      }
      store(pixels + x, word_of(to_byte(r), to_byte(g), to_byte(b), a));
    }
    copy_row<4>(image_row(args, rect, 4, y), pixels, rect.w);
  }
}

// The way back: four words make three.
TS_INLINE void write_rgb8(const FinishArgs& args, const Rect& rect, const float* planes) {
  alignas(64) float spread[kTilePixels], packed[kTilePixels * 3 / 4];
  for (int i = 0; i < kTilePixels; i += kLanes) {
    const f32 r = load(planes + i), g = load(planes + kTilePixels + i), b = load(planes + 2 * kTilePixels + i);
    store(spread + i, float_of(word_of(to_byte(r), to_byte(g), to_byte(b), i32(0))));
  }
  for (int i = 0; i < kTilePixels / 4; i += kLanes) {
    f32 p, q, r, s;
    load4(spread + 4 * i, p, q, r, s);
    const i32 a = bits_of(p), b = bits_of(q), c = bits_of(r), d = bits_of(s);
    store3(packed + 3 * i, float_of(a | (b << 24)), float_of((b >> 8) | (c << 16)), float_of((c >> 16) | (d << 8)));
  }
  write_rows<3>(args, rect, packed);
}

TS_INLINE void write_f32(const FinishArgs& args, const Rect& rect, const float* planes) {
  alignas(64) float pixels[3 * kTilePixels];
  for (int i = 0; i < kTilePixels; i += kLanes)
    store3(pixels + 3 * i, load(planes + i), load(planes + kTilePixels + i), load(planes + 2 * kTilePixels + i));
  write_rows<12>(args, rect, pixels);
}

// Tiles are even and so is the image: a 2x2 cell never straddles a border.
TS_INLINE void write_nv12(const FinishArgs& args, const Rect& rect, const float* planes) {
  alignas(64) float luma[kTilePixels], sum[3][kTilePixels / 2];  // sum of two rows
  for (int y = 0; y < kTile; y += 2) {
    for (int x = 0; x < kTile; x += kLanes) {
      const int i = kTile * y + x;
      f32 upper[3], lower[3];
      for (int c = 0; c < 3; ++c) {
        upper[c] = saturate(load(planes + c * kTilePixels + i));
        lower[c] = saturate(load(planes + c * kTilePixels + i + kTile));
        store(sum[c] + kTile / 2 * y + x, upper[c] + lower[c]);
      }
      store(luma + i, luma_of(upper[0], upper[1], upper[2]));
      store(luma + i + kTile, luma_of(lower[0], lower[1], lower[2]));
    }
  }

  alignas(64) int32_t codes[kTilePixels / 4];  // four bytes each
  for (int i = 0; i < kTilePixels / 4; i += kLanes) {
    f32 a, b, c, d;
    load4(luma + 4 * i, a, b, c, d);
    store(codes + i, word_of(luma_code(a), luma_code(b), luma_code(c), luma_code(d)));
  }
  write_rows<1>(args, rect, codes);

  for (int i = 0; i < kTilePixels / 8; i += kLanes) {
    f32 left[3], right[3];  // means of two neighbouring cells
    for (int c = 0; c < 3; ++c) {
      f32 p, q, r, s;
      load4(sum[c] + 4 * i, p, q, r, s);
      left[c] = (p + q) * f32(0.25f), right[c] = (r + s) * f32(0.25f);
    }
    store(codes + i, chroma_codes(left[0], left[1], left[2]) | (chroma_codes(right[0], right[1], right[2]) << 16));
  }
  uint8_t* chroma =
      static_cast<uint8_t*>(args.image.data) + (args.image.height + rect.y0 / 2) * args.image.stride_bytes + rect.x0;
  for (int y = 0; y < rect.h / 2; ++y) copy_row<1>(chroma + y * args.image.stride_bytes, codes + kTile / 4 * y, rect.w);
}

TS_INLINE void write_plane(const FinishArgs& args, const Rect& rect, const float* plane, bool one_minus, float* out) {
  for (int y = 0; y < rect.h; ++y) {
    alignas(64) float row[kTile];
    for (int x = 0; x < kTile; x += kLanes) {
      const f32 v = load(plane + kTile * y + x);
      store(row + x, one_minus ? f32(1.0f) - v : v);
    }
    copy_row<4>(out + static_cast<int64_t>(rect.y0 + y) * args.image.width + rect.x0, row, rect.w);
  }
}

}  // namespace

void finish_tile(const FinishArgs& given, int tile, float* planes) {
  FinishArgs args = given;
  if (args.background.drawn && !args.background.drawn[tile]) args.background = *given.background.elsewhere;
  const int tiles_x = tiles_across(args.image.width);
  Rect rect{tile % tiles_x * kTile, tile / tiles_x * kTile, kTile, kTile};
  rect.w = args.image.width - rect.x0 < kTile ? args.image.width - rect.x0 : kTile;
  rect.h = args.image.height - rect.y0 < kTile ? args.image.height - rect.y0 : kTile;

  const bool opaque =
      !args.background.transparent && (args.background.color || args.background.image_f32 || args.background.image_u8);
  if (args.background.color)
    over_color(args.background.color, planes);
  else if (args.background.image_f32)
    over_f32(args, rect, planes);
  else if (args.background.image_u8)
    over_u8(args, rect, planes);
  if (args.background.alpha) over_planes(args, rect, planes);
  if (args.image.alpha) write_plane(args, rect, planes + 3 * kTilePixels, true, args.image.alpha);
  if (args.image.depth) write_plane(args, rect, planes + 4 * kTilePixels, false, args.image.depth);
  switch (args.image.format) {
    case Format::kRgbF32:
      return write_f32(args, rect, planes);
    case Format::kRgba8:
      return write_rgba8(args, rect, planes, opaque);
    case Format::kRgb8:
      return write_rgb8(args, rect, planes);
    case Format::kNv12:
      return write_nv12(args, rect, planes);
  }
}

TS_TARGET_END
