// finish — one tile's planes to the image.
// Maths    ops/finish.h; NV12 by ITU-R BT.709: Y = 16 + 219 (0.2126 R + 0.7152 G + 0.0722 B),
//          Cb = 128 + 224 (B - Y') / 1.8556, Cr = 128 + 224 (R - Y') / 1.5748
// Launch   one 16x16 tile
// Reads    planes [kTilePlanes][256] f32     Writes   its pixels, 1.5 to 12 B each, and 4 B each of alpha and depth
// Cost     O(pixels); bound by the writes
// Edges    tiles over the right and lower border write only what lies inside
// Oracle   tests/reference/finish.py      Bench  bench/ops/bench_raster.py
#include "cpu/kernels/kernels.h"
#include "math/lanes.h"

TS_TARGET_BEGIN

namespace {

struct Rect {
  int x0, y0, w, h;
};

// Pixels of the tile, row by row, planes[channel][16 * y + x].
TS_INLINE const float* pixel(const float* planes, int channel, int x, int y) {
  return planes + channel * kTilePixels + kTile * y + x;
}

TS_INLINE void composite(const FinishArgs& args, const Rect& rect, float* planes) {
  float* transmittance = planes + 3 * kTilePixels;
  if (args.background_color) {
    for (int c = 0; c < 3; ++c) {
      const f32 color(args.background_color[c]);
      float* plane = planes + c * kTilePixels;
      for (int i = 0; i < kTilePixels; i += kLanes)
        store(plane + i, fma(load(transmittance + i), color, load(plane + i)));
    }
    return;
  }
  for (int y = 0; y < rect.h; ++y) {
    const int64_t row = (static_cast<int64_t>(rect.y0 + y) * args.width + rect.x0) * 3;
    for (int x = 0; x < rect.w; ++x) {
      const int i = kTile * y + x;
      for (int c = 0; c < 3; ++c) {
        const float background = args.background_f32
                                     ? args.background_f32[row + 3 * x + c]
                                     : static_cast<float>(args.background_u8[row + 3 * x + c]) * (1.0f / 255);
        planes[c * kTilePixels + i] += transmittance[i] * background;
      }
    }
  }
}

// C / (1 - T), and (1 - T) instead of T.
TS_INLINE void unpremultiply(float* planes) {
  for (int i = 0; i < kTilePixels; i += kLanes) {
    const f32 alpha = f32(1.0f) - load(planes + 3 * kTilePixels + i);
    const f32 scale = f32(1.0f) / max(alpha, f32(1e-6f));
    for (int c = 0; c < 3; ++c) store(planes + c * kTilePixels + i, load(planes + c * kTilePixels + i) * scale);
    store(planes + 3 * kTilePixels + i, alpha);
  }
}

// max() first: it turns NaN into 0.
TS_INLINE i32 to_byte(f32 x) { return round_to_int(min(max(x, f32(0.0f)), f32(1.0f)) * f32(255.0f)); }

TS_INLINE void write_rgba8(const FinishArgs& args, const Rect& rect, const float* planes, bool opaque) {
  for (int y = 0; y < rect.h; ++y) {
    alignas(64) int32_t packed[kTile];
    for (int x = 0; x < kTile; x += kLanes) {
      const i32 r = to_byte(load(pixel(planes, 0, x, y))), g = to_byte(load(pixel(planes, 1, x, y)));
      const i32 b = to_byte(load(pixel(planes, 2, x, y)));
      const i32 a = opaque ? i32(255) : to_byte(load(pixel(planes, 3, x, y)));
      store(packed + x, r | (g << 8) | (b << 16) | (a << 24));
    }
    uint8_t* row = static_cast<uint8_t*>(args.data) + (rect.y0 + y) * args.stride_bytes + 4 * rect.x0;
    if (rect.w == kTile)  // a constant size is one store, not a call
      __builtin_memcpy(row, packed, 4 * kTile);
    else
      __builtin_memcpy(row, packed, 4 * static_cast<size_t>(rect.w));
  }
}

TS_INLINE void write_rgb8(const FinishArgs& args, const Rect& rect, const float* planes) {
  for (int y = 0; y < rect.h; ++y) {
    alignas(64) int32_t channel[3][kTile];
    for (int c = 0; c < 3; ++c)
      for (int x = 0; x < kTile; x += kLanes) store(channel[c] + x, to_byte(load(pixel(planes, c, x, y))));
    uint8_t* row = static_cast<uint8_t*>(args.data) + (rect.y0 + y) * args.stride_bytes + 3 * rect.x0;
    for (int x = 0; x < rect.w; ++x)
      for (int c = 0; c < 3; ++c) row[3 * x + c] = static_cast<uint8_t>(channel[c][x]);
  }
}

TS_INLINE void write_f32(const FinishArgs& args, const Rect& rect, const float* planes) {
  for (int y = 0; y < rect.h; ++y) {
    alignas(64) float row[3 * kTile];
    for (int x = 0; x < kTile; x += kLanes)
      store3(row + 3 * x, load(pixel(planes, 0, x, y)), load(pixel(planes, 1, x, y)), load(pixel(planes, 2, x, y)));
    uint8_t* out =
        static_cast<uint8_t*>(args.data) + (rect.y0 + y) * args.stride_bytes + 12 * static_cast<int64_t>(rect.x0);
    __builtin_memcpy(out, row, 12 * static_cast<size_t>(rect.w));
  }
}

TS_INLINE float unit(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

// Tiles are even and so is the image: a 2x2 cell never straddles a border.
TS_INLINE void write_nv12(const FinishArgs& args, const Rect& rect, const float* planes) {
  uint8_t* luma = static_cast<uint8_t*>(args.data);
  uint8_t* chroma = luma + args.stride_bytes * args.height;
  for (int y = 0; y < rect.h; y += 2) {
    for (int x = 0; x < rect.w; x += 2) {
      float sum[3] = {0, 0, 0};
      for (int dy = 0; dy < 2; ++dy) {
        for (int dx = 0; dx < 2; ++dx) {
          float rgb[3];
          for (int c = 0; c < 3; ++c) sum[c] += rgb[c] = unit(*pixel(planes, c, x + dx, y + dy));
          const float v = 0.2126f * rgb[0] + 0.7152f * rgb[1] + 0.0722f * rgb[2];
          luma[(rect.y0 + y + dy) * args.stride_bytes + rect.x0 + x + dx] = static_cast<uint8_t>(16.5f + 219.0f * v);
        }
      }
      const float v = 0.25f * (0.2126f * sum[0] + 0.7152f * sum[1] + 0.0722f * sum[2]);
      uint8_t* cell = chroma + (rect.y0 + y) / 2 * args.stride_bytes + rect.x0 + x;
      cell[0] = static_cast<uint8_t>(128.5f + 224.0f * (0.25f * sum[2] - v) * (1.0f / 1.8556f));
      cell[1] = static_cast<uint8_t>(128.5f + 224.0f * (0.25f * sum[0] - v) * (1.0f / 1.5748f));
    }
  }
}

TS_INLINE void write_plane(const FinishArgs& args, const Rect& rect, const float* plane, bool one_minus, float* out) {
  for (int y = 0; y < rect.h; ++y) {
    float* row = out + static_cast<int64_t>(rect.y0 + y) * args.width + rect.x0;
    for (int x = 0; x < rect.w; ++x) row[x] = one_minus ? 1.0f - plane[kTile * y + x] : plane[kTile * y + x];
  }
}

}  // namespace

void finish_tile(const FinishArgs& args, int tile, float* planes) {
  const int tiles_x = tiles_across(args.width);
  Rect rect{tile % tiles_x * kTile, tile / tiles_x * kTile, kTile, kTile};
  rect.w = args.width - rect.x0 < kTile ? args.width - rect.x0 : kTile;
  rect.h = args.height - rect.y0 < kTile ? args.height - rect.y0 : kTile;

  if (args.alpha) write_plane(args, rect, planes + 3 * kTilePixels, true, args.alpha);
  if (args.depth) write_plane(args, rect, planes + 4 * kTilePixels, false, args.depth);
  const bool opaque = args.background_color || args.background_f32 || args.background_u8;
  if (opaque) composite(args, rect, planes);
  switch (args.format) {
    case TS_FORMAT_RGB_F32:
      return write_f32(args, rect, planes);
    case TS_FORMAT_RGBA8:
      if (!opaque) unpremultiply(planes);
      return write_rgba8(args, rect, planes, opaque);
    case TS_FORMAT_RGB8:
      return write_rgb8(args, rect, planes);
    case TS_FORMAT_NV12:
      return write_nv12(args, rect, planes);
  }
}

TS_TARGET_END
