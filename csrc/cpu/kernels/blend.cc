// SPDX-License-Identifier: Apache-2.0
// blend — per-tile lists to pixels, front to back.
// Maths    math/blend.h: alpha = min(0.99, 2^p), skipped below 1/255; C += alpha T colour; T -= alpha T; a pixel stops
//          before the splat that would take T below 1e-4. fast: a block ends when all its T are below 1/255
// Launch   one tile at a time, claimed by threads; inside, 4x4-pixel blocks of 16 / kLanes registers
// Phase 1  a batch of the tile's splats is brought to this thread's scratch, with all that depends on the row alone:
//          one miss per splat instead of one per block, and less work per pixel
// Phase 2  per block, the splats whose mask names it are listed, then evaluated with T and colour in registers
// Reads    instances 8 B each · splat 64 B each     Writes   through finish_tile
// Cost     20 operations and 6 loads per 16 pixels and listed splat; bound by how many of both retire
// Order    deterministic: each pixel is one thread's, in depth order
// Edges    empty tile: background alone. Lists of any length: batches
// Oracle   tests/reference/blend.py      Bench  bench/ops/bench_raster.py
#include "cpu/blend.h"

#include <cstddef>

#include "cpu/kernels/kernels.h"
#include "math/blend.h"

TS_TARGET_BEGIN

namespace {

constexpr int kRegisters = kBlock * kBlock / kLanes;  // registers per block
constexpr int kTransmittance = 3;                     // its plane

// Column by column: lane i of register r is pixel (column n / 4, row n % 4) of the block, n = r * kLanes + i. So a
// register of values that depend on the row alone is four floats repeated, which a load does for free.
TS_INLINE int column_of(int n) { return n / kBlock; }
TS_INLINE int row_of(int n) { return n % kBlock; }

TS_INLINE f32 load_block(const float* plane, int reg) {
  alignas(64) float pixels[kLanes];
  for (int i = 0; i < kLanes; ++i) pixels[i] = plane[row_of(reg * kLanes + i) * kTile + column_of(reg * kLanes + i)];
  return load(pixels);
}
TS_INLINE void store_block(float* plane, int reg, f32 value) {
#if defined(TS_TARGET_IS_AVX512)
  (void)reg;  // a 4x4 transpose, then its rows
  const __m512i rows = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512 v = _mm512_permutexvar_ps(rows, value.v);
  _mm_storeu_ps(plane, _mm512_castps512_ps128(v));
  _mm_storeu_ps(plane + kTile, _mm512_extractf32x4_ps(v, 1));
  _mm_storeu_ps(plane + 2 * kTile, _mm512_extractf32x4_ps(v, 2));
  _mm_storeu_ps(plane + 3 * kTile, _mm512_extractf32x4_ps(v, 3));
#else
  alignas(64) float pixels[kLanes];
  store(pixels, value);
  for (int i = 0; i < kLanes; ++i) plane[row_of(reg * kLanes + i) * kTile + column_of(reg * kLanes + i)] = pixels[i];
#endif
}

TS_INLINE void to_tile(const Splat& s, float x0, float y0, TileSplat& out) {
  const TileTerms terms =
      tile_terms(f32(s.a), f32(s.d), f32(s.slope), f32(s.log2_opacity), f32(x0 - s.x_px), f32(y0 - s.y_px));
  for (int r = 0; r < kTile; r += kLanes) {
    f32 c, q;
    row_terms(terms, f32::iota() + f32(static_cast<float>(r)), c, q);
    store(out.c + r, c);
    store(out.q + r, q);
  }
  static_assert(offsetof(Splat, depth) == offsetof(Splat, red) + 12 &&
                offsetof(TileSplat, depth) == offsetof(TileSplat, red) + 12);
  __builtin_memcpy(&out.red, &s.red, 16);  // to depth
  out.a = s.a;
}

// Splats per turn of the loop: their alphas must fit in registers beside those of the next turn.
constexpr int kGroup = 4;

// Lists the byte offsets of the batch's splats whose mask has the block's bit; the count is of whole groups.
TS_INLINE int list_block(const int32_t* mask_of, int n, int block, int32_t* list) {
  constexpr int kBytes = sizeof(TileSplat);
  const i32 bit(1 << block), zero(0), step(kLanes * kBytes);
  i32 offset = i32::iota() * i32(kBytes);
  int count = 0;
  for (int i = 0; i < n; i += kLanes, offset = offset + step)
    count += append(list + count, zero < (load(mask_of + i) & bit), offset);
  // Up to a whole group, of splats that draw nothing.
  for (int i = 0; i < kGroup; ++i) list[count + i] = kBlendBatch * kBytes;
  return (count + kGroup - 1) / kGroup * kGroup;
}

template <bool kDepth>
struct Pixels {
  f32 x;    // from the tile's corner
  int row;  // of the block's first pixel, likewise
  f32 red, green, blue, depth;
  Transmittance t;

  TS_INLINE f32 alpha(const TileSplat& s) const {
    return alpha_at(f32(s.a), x, repeat4(s.c + row), repeat4(s.q + row));
  }

  TS_INLINE void add(const TileSplat& s, f32 alpha) {
    const f32 w = t.take(alpha);
    red = fma(w, f32(s.red), red);
    green = fma(w, f32(s.green), green);
    blue = fma(w, f32(s.blue), blue);
    if (kDepth) depth = fma(w, f32(s.depth), depth);
  }
};

// One block against the listed splats; returns whether any pixel can still take more.
template <bool kDepth>
TS_INLINE bool blend_block(const BlendScratch& scratch, int count, int reg, int x0, int y0, f32 t_stop,
                           bool first_batch, float* planes, float* running_t) {
  Pixels<kDepth> px;
  px.x =
      floor((f32::iota() + f32(static_cast<float>(reg * kLanes))) * f32(1.0f / kBlock)) + f32(static_cast<float>(x0));
  px.row = y0 + (kLanes < kBlock ? row_of(reg * kLanes) : 0);
  const f32 zero(0.0f);
  if (first_batch) {
    px.red = px.green = px.blue = px.depth = zero;
    px.t = {f32(1.0f), f32(1.0f)};
  } else {
    px.red = load_block(planes, reg), px.green = load_block(planes + kTilePixels, reg);
    px.blue = load_block(planes + 2 * kTilePixels, reg);
    px.t.accepted = load_block(planes + 3 * kTilePixels, reg);
    px.t.running = load_block(running_t, reg);
    if (kDepth) px.depth = load_block(planes + 4 * kTilePixels, reg);
  }

  const auto splat = [&](int i) -> const TileSplat& {
    return *reinterpret_cast<const TileSplat*>(reinterpret_cast<const char*>(scratch.splat) + scratch.list[i]);
  };
  // A splat's T depends on the splat before it, its alpha does not: the next group's alphas are computed between this
  // group's additions, so that neither waits for the other.
  if (count > 0) {
    f32 alpha[kGroup], next[kGroup];
    for (int j = 0; j < kGroup; ++j) alpha[j] = px.alpha(splat(j));
    int i = 0;
    bool alive = true;
    for (; alive && i + kGroup < count; i += kGroup) {
      for (int j = 0; j < kGroup; ++j) {
        next[j] = px.alpha(splat(i + kGroup + j));
        px.add(splat(i + j), alpha[j]);
      }
      for (int j = 0; j < kGroup; ++j) alpha[j] = next[j];
      alive = any(px.t.running >= t_stop);
    }
    if (alive)
      for (int j = 0; j < kGroup; ++j) px.add(splat(i + j), alpha[j]);
  }

  store_block(planes, reg, px.red), store_block(planes + kTilePixels, reg, px.green);
  store_block(planes + 2 * kTilePixels, reg, px.blue);
  store_block(planes + 3 * kTilePixels, reg, px.t.accepted);
  store_block(running_t, reg, px.t.running);
  if (kDepth) store_block(planes + 4 * kTilePixels, reg, px.depth);
  return any(px.t.running >= t_stop);
}

template <bool kDepth>
TS_INLINE void blend(const BlendArgs& args, int tile, BlendScratch& scratch) {
  const int tiles_x = tiles_across(args.finish.image.width);
  const float x0 = static_cast<float>(tile % tiles_x * kTile), y0 = static_cast<float>(tile / tiles_x * kTile);
  const f32 t_stop(args.precision == Precision::kFast ? kFastTransmittance : kMinTransmittance);
  const Instance* instances = args.instances + args.lists[tile].begin;
  const int64_t n = args.lists[tile].end - args.lists[tile].begin;
  float* planes = scratch.planes;
  uint32_t alive = 0xffff;  // blocks
  scratch.splat[kBlendBatch] = TileSplat{};
  for (float& q : scratch.splat[kBlendBatch].q) q = -1e9f;

  for (int64_t begin = 0; begin == 0 || (begin < n && alive); begin += kBlendBatch) {
    const int batch = n - begin < kBlendBatch ? static_cast<int>(n - begin) : kBlendBatch;
    for (int i = 0; i < batch; ++i) {
      const Instance instance = instances[begin + i];
      if (begin + i + 16 < n) __builtin_prefetch(args.splat + static_cast<uint32_t>(instances[begin + i + 16]));
      to_tile(args.splat[static_cast<uint32_t>(instance)], x0, y0, scratch.splat[i]);
      scratch.mask[i] = static_cast<int32_t>(instance >> 32);
    }
    for (int i = batch; i < batch + 16; ++i) scratch.mask[i] = 0;
    for (int block = 0; block < 16; ++block) {
      if (!(alive >> block & 1)) continue;
      const int count = list_block(scratch.mask, batch, block, scratch.list);
      const int origin = block / 4 * (kBlock * kTile) + block % 4 * kBlock;
      bool any_alive = false;
      for (int reg = 0; reg < kRegisters; ++reg)
        any_alive |= blend_block<kDepth>(scratch, count, reg, block % 4 * kBlock, block / 4 * kBlock, t_stop,
                                         begin == 0, planes + origin, scratch.running_t + origin);
      if (!any_alive) alive &= ~(1u << block);
    }
  }
}

}  // namespace

void blend_tile(const BlendArgs& args, int tile, BlendScratch& scratch) {
  const bool empty = args.lists[tile].begin == args.lists[tile].end;
  uint8_t* drawn = args.finish.drawn;
  if (drawn && empty) {
    if (drawn != args.finish.background.drawn) drawn[tile] = 0;
    return;
  }
  if (empty) {
    for (int i = 0; i < kTilePlanes * kTilePixels; ++i)
      scratch.planes[i] = i / kTilePixels == kTransmittance ? 1.0f : 0.0f;
  } else if (args.finish.image.depth) {
    blend<true>(args, tile, scratch);
  } else {
    blend<false>(args, tile, scratch);
  }
  finish_tile(args.finish, tile, scratch.planes);
  if (drawn) drawn[tile] = 1;
}

TS_TARGET_END
