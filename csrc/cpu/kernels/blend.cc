// blend — per-tile lists to pixels, front to back.
// Maths    alpha = min(0.99, 2^p), p as in math/splat.h; skipped below 1/255; C += alpha T colour; T -= alpha T; a
// pixel
//          stops before the splat that would take T below 1e-4 (Kerbl et al. 2023). fast: stops below 1/255
// Launch   one tile at a time, claimed by threads; inside, 4x4-pixel blocks of 16 / kLanes registers
// Phase 1  a batch of the tile's splats is copied to this thread's scratch: one miss per splat instead of one per block
// Phase 2  per block, the splats whose mask names it are listed, then evaluated with T and colour in registers
// Reads    instances 8 B each · splat 64 B each     Writes   through finish_tile
// Cost     25 operations per 16 pixels and listed splat; bound by arithmetic
// Order    deterministic: each pixel is one thread's, in depth order
// Edges    empty tile: background alone. Lists of any length: batches
// Oracle   tests/reference/blend.py      Bench  bench/ops/bench_raster.py
#include "ops/blend.h"

#include <cstddef>

#include "cpu/kernels/kernels.h"
#include "math/lanes.h"

TS_TARGET_BEGIN

namespace {

constexpr int kParts = kBlock * kBlock / kLanes;  // registers per block
constexpr float kFastTransmittance = 1.0f / 255;

TS_INLINE void to_tile(const Splat& s, float x0, float y0, TileSplat& out) {
  static_assert(sizeof(Splat) == sizeof(TileSplat) && offsetof(TileSplat, a) == offsetof(Splat, a) &&
                offsetof(TileSplat, depth) == offsetof(Splat, depth));
  __builtin_memcpy(&out, &s, sizeof out);
  const float x = x0 - s.x_px, y = y0 - s.y_px;
  out.c = s.a * x + s.b * y;
  out.e = s.d * y;
}

// A register of block pixels: part p holds pixels p * kLanes ... of the block, row by row.
TS_INLINE f32 load_block(const float* plane, int part) {
  alignas(64) float pixels[kLanes];
  for (int i = 0; i < kLanes; ++i)
    pixels[i] = plane[(part * kLanes + i) / kBlock * kTile + (part * kLanes + i) % kBlock];
  return load(pixels);
}
TS_INLINE void store_block(float* plane, int part, f32 value) {
  alignas(64) float pixels[kLanes];
  store(pixels, value);
  for (int i = 0; i < kLanes; ++i)
    plane[(part * kLanes + i) / kBlock * kTile + (part * kLanes + i) % kBlock] = pixels[i];
}

// Appends the byte offsets of the batch's splats whose mask has the block's bit.
TS_INLINE int list_block(const int32_t* mask_of, int n, int block, int32_t* list) {
  const i32 bit(1 << block), zero(0), step(kLanes * static_cast<int>(sizeof(TileSplat)));
  i32 offset = i32::iota() << 6;
  static_assert(sizeof(TileSplat) == 1 << 6);
  int count = 0;
  for (int i = 0; i < n; i += kLanes, offset = offset + step)
    count += append(list + count, zero < (load(mask_of + i) & bit), offset);
  return count;
}

// Splats are evaluated side by side in groups: their exponents do not depend on each other, and the registers that wait
// for one are the limit of out-of-order execution.
constexpr int kGroup = kLanes >= 8 ? 8 : 4;

template <bool kDepth>
struct Pixels {
  f32 x, y;  // from the tile's corner
  f32 red, green, blue, depth;
  f32 t;           // falls freely; the splats that take it below the limit, and all after, add nothing
  f32 accepted_t;  // after the last splat that was added

  // The next kCount splats, at byte offsets[j] from splats.
  template <int kCount>
  TS_INLINE void add(const char* splats, const int32_t* offsets, f32 t_min) {
    const auto get = [&](int j) -> const TileSplat& {
      return *reinterpret_cast<const TileSplat*>(splats + offsets[j]);
    };
    f32 u[kCount], v[kCount], p[kCount], alpha[kCount];
    for (int j = 0; j < kCount; ++j) u[j] = fma(f32(get(j).b), y, f32(get(j).c));
    for (int j = 0; j < kCount; ++j) v[j] = fma(f32(get(j).d), y, f32(get(j).e));
    for (int j = 0; j < kCount; ++j) u[j] = fma(f32(get(j).a), x, u[j]);
    for (int j = 0; j < kCount; ++j) p[j] = fnma(v[j], v[j], f32(get(j).log2_opacity));
    for (int j = 0; j < kCount; ++j) p[j] = fnma(u[j], u[j], p[j]);
    exp2_fast<kCount>(p, alpha);
    for (int j = 0; j < kCount; ++j) alpha[j] = keep(p[j] >= f32(kLog2MinAlpha), min(alpha[j], f32(kMaxAlpha)));
    for (int j = 0; j < kCount; ++j) {
      const f32 weight = alpha[j] * t;
      t = t - weight;
      const mask alive = t >= t_min;
      const f32 w = keep(alive, weight);
      red = fma(w, f32(get(j).red), red);
      green = fma(w, f32(get(j).green), green);
      blue = fma(w, f32(get(j).blue), blue);
      if (kDepth) depth = fma(w, f32(get(j).depth), depth);
      accepted_t = accepted_t - w;
    }
  }
};

// One block against the listed splats; returns whether any pixel can still take more.
template <bool kDepth>
TS_INLINE bool blend_block(const BlendScratch& scratch, int count, int part, float x0, float y0, f32 t_min,
                           bool first_batch, float* planes, float* running_t) {
  const f32 pixel = f32::iota() + f32(static_cast<float>(part * kLanes));
  const f32 row = floor(pixel * f32(1.0f / kBlock));
  Pixels<kDepth> px;
  px.x = fnma(row, f32(kBlock), pixel) + f32(x0);
  px.y = row + f32(y0);
  const f32 zero(0.0f);
  if (first_batch) {
    px.red = px.green = px.blue = px.depth = zero;
    px.t = px.accepted_t = f32(1.0f);
  } else {
    px.red = load_block(planes, part), px.green = load_block(planes + kTilePixels, part);
    px.blue = load_block(planes + 2 * kTilePixels, part);
    px.accepted_t = load_block(planes + 3 * kTilePixels, part);
    px.t = load_block(running_t, part);
    if (kDepth) px.depth = load_block(planes + 4 * kTilePixels, part);
  }

  const char* splats = reinterpret_cast<const char*>(scratch.splat);
  int i = 0;
  bool alive = true;
  for (; alive && i + kGroup <= count; i += kGroup) {
    px.template add<kGroup>(splats, scratch.list + i, t_min);
    alive = any(px.t >= t_min);
  }
  for (; alive && i < count; ++i) px.template add<1>(splats, scratch.list + i, t_min);

  store_block(planes, part, px.red), store_block(planes + kTilePixels, part, px.green);
  store_block(planes + 2 * kTilePixels, part, px.blue);
  store_block(planes + 3 * kTilePixels, part, px.accepted_t);
  store_block(running_t, part, px.t);
  if (kDepth) store_block(planes + 4 * kTilePixels, part, px.depth);
  return any(px.t >= t_min);
}

template <bool kDepth>
TS_INLINE void blend(const BlendArgs& args, int tile, BlendScratch& scratch) {
  const int tiles_x = tiles_across(args.finish.width);
  const float x0 = static_cast<float>(tile % tiles_x * kTile), y0 = static_cast<float>(tile / tiles_x * kTile);
  const f32 t_min(args.precision == TS_PRECISION_FAST ? kFastTransmittance : kMinTransmittance);
  const Instance* instances = args.instances + args.tile_start[tile];
  const int64_t n = args.tile_start[tile + 1] - args.tile_start[tile];
  float* planes = scratch.planes;
  uint32_t alive = 0xffff;  // blocks

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
      for (int part = 0; part < kParts; ++part)
        any_alive |= blend_block<kDepth>(scratch, count, part, static_cast<float>(block % 4 * kBlock),
                                         static_cast<float>(block / 4 * kBlock), t_min, begin == 0, planes + origin,
                                         scratch.running_t + origin);
      if (!any_alive) alive &= ~(1u << block);
    }
  }
}

}  // namespace

void blend_tile(const BlendArgs& args, int tile, BlendScratch& scratch) {
  if (args.finish.depth)
    blend<true>(args, tile, scratch);
  else
    blend<false>(args, tile, scratch);
  finish_tile(args.finish, tile, scratch.planes);
}

TS_TARGET_END
