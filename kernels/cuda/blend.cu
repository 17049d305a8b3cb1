// SPDX-License-Identifier: Apache-2.0
// blend — per-tile lists to pixels, front to back, layer by layer, and finish.
// Maths    math/blend.h. Between layers: out += T layer, T *= T of the layer; a dilated layer hides as much colour as
//          the most covered pixel near (ops/deform.h, dilate_px), and covers what it covers
// Launch   grid (tiles of the largest job, jobs), block 256: a tile; a warp is 8x4 of its pixels, a thread one of them
// Phase 1  a batch of 64 splats of the tile's list: four threads a splat bring it to shared memory, with all that
//          depends on the pixel row alone for each of the 16 rows. A barrier before, since warps still read the last
//          batch, and one after
// Phase 2  each warp lists the batch's splats whose mask names one of its two 4x4-pixel blocks, in order, by ballots:
//          no other warp needs the list, so no barrier. The list is filled up to whole turns with a splat that draws
//          nothing
// Phase 3  the listed splats, four a turn, without branches: transmittance and colours are in registers. A warp is done
//          when no pixel of it can take more, the block when all warps are
// Reads    instances 8 B and BlendSplat 32 B (reference: and SplatColor 16 B) per splat and tile
// Writes   the picture, 1.5 to 12 B a pixel; planes 4 B each
// Cost     about 22 instructions per warp and listed splat in fast precision on sm_75; bound by how many issue
// Order    deterministic: a pixel is one thread's, in depth order
// Edges    empty lists: the background. Pixels past the right and lower border are computed and not written
// Oracle   tests/simt/test_blend.cc, tests/reference/blend.py      Bench  bench/gpu
#include "kernels/cuda/blend.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/finish.h"
#include "math/blend.h"

namespace ts::cuda {

constexpr int kBatch = 64;  // splats
constexpr int kTurn = 4;    // splats that a warp evaluates between two looks at its transmittances
constexpr int kWarps = kBlendThreads / 32;
constexpr int kNoSplat = kBatch;  // record of the one that draws nothing
// In reference precision a layer is left out where less than this of it is seen. kMinTransmittance would not do: two
// opaque layers may let less through, and 1e-4 of the third is more than the tolerance.
constexpr float kSeenTransmittance = 1e-6f;
static_assert(kBlendThreads == kTilePixels && kBatch * 4 == kBlendThreads);

struct alignas(16) TileRecord {
  float2 row[kTile];  // c, q of math/blend.h
  float4 rest;        // a, red, green, blue
};

constexpr uint32_t kRecordBytes = sizeof(TileRecord);

struct BlendScratch {
  TileRecord record[kBatch + 1];  // first: lists have the bytes from here, which saves a multiplication a splat
  float depth[kBatch + 1];
  uint32_t mask[kBatch];
  alignas(8) uint16_t list[kWarps][kBatch + kTurn];  // offsets of records
};
static_assert(kBatch * sizeof(TileRecord) <= UINT16_MAX);

// What a layer leaves of a pixel.
struct LayerPixel {
  float red = 0, green = 0, blue = 0, depth = 0;
  Transmittance t = {f32(1.0f), f32(1.0f)};
};

template <bool kFast>
TS_DEVICE void bring(const BlendLayer& layer, uint32_t first, uint32_t count, float x0, float y0, bool depth,
                     BlendScratch& scratch) {
  const int k = static_cast<int>(threadIdx.x) / 4, rows = static_cast<int>(threadIdx.x) % 4 * 4;
  if (static_cast<uint32_t>(k) >= count) {
    if (rows == 0) scratch.mask[k] = 0;
    return;
  }
  const Instance instance = layer.instances[first + static_cast<uint32_t>(k)];
  const auto id = static_cast<uint32_t>(instance);
  const float4* words = reinterpret_cast<const float4*>(layer.splat + id);
  const float4 place = __ldg(words), rest = __ldg(words + 1);  // x_px y_px a d; slope log2_opacity, colours
  const TileTerms terms =
      tile_terms(f32(place.z), f32(place.w), f32(rest.x), f32(rest.y), f32(x0 - place.x), f32(y0 - place.y));
  TS_UNROLL
  for (int r = rows; r < rows + 4; ++r) {
    f32 c, q;
    row_terms(terms, f32(static_cast<float>(r)), c, q);
    scratch.record[k].row[r] = make_float2(c.v, q.v);
  }
  if (rows != 0) return;
  scratch.mask[k] = static_cast<uint32_t>(instance >> 32);
  if (kFast) {
    const float2 red_green = floats_of(__float_as_uint(rest.z)), blue = floats_of(__float_as_uint(rest.w));
    scratch.record[k].rest = make_float4(place.z, red_green.x, red_green.y, blue.x);
    if (depth) scratch.depth[k] = __uint_as_float(layer.key[id]);
  } else {
    const float4 color = __ldg(reinterpret_cast<const float4*>(layer.color + id));
    scratch.record[k].rest = make_float4(place.z, color.x, color.y, color.z);
    scratch.depth[k] = color.w;
  }
}

// The batch's splats that this warp's blocks may show; returns how many, to which turns are filled up.
TS_DEVICE int list_own(uint32_t blocks, BlendScratch& scratch, uint16_t* list) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int n = 0;
  TS_UNROLL
  for (int group = 0; group < kBatch; group += 32) {
    const bool mine = (scratch.mask[group + lane] & blocks) != 0;
    const uint32_t all = __ballot_sync(~0u, mine);
    if (mine) list[n + __popc(all & lanes_below())] = static_cast<uint16_t>((group + lane) * kRecordBytes);
    n += __popc(all);
  }
  if (lane < kTurn) list[n + lane] = kNoSplat * kRecordBytes;
  __syncwarp();
  return n;
}

template <bool kDepth>
TS_DEVICE void add(const BlendScratch& scratch, uint32_t at, float x, int row, LayerPixel& p) {
  const TileRecord& s = *reinterpret_cast<const TileRecord*>(reinterpret_cast<const char*>(&scratch) + at);
  const float2 of_row = s.row[row];
  const float4 rest = s.rest;
  const float w = p.t.take(alpha_at(f32(rest.x), f32(x), f32(of_row.x), f32(of_row.y))).v;
  p.red = fmaf(w, rest.y, p.red), p.green = fmaf(w, rest.z, p.green), p.blue = fmaf(w, rest.w, p.blue);
  if (kDepth) p.depth = fmaf(w, scratch.depth[at / kRecordBytes], p.depth);
}

// Returns whether any of the warp's pixels can take more.
template <bool kDepth>
TS_DEVICE bool add_listed(const BlendScratch& scratch, const uint16_t* list, int n, float x, int row, float t_stop,
                          LayerPixel& p) {
  const uint16_t* end = list + n;
#pragma unroll 1
  for (; list < end; list += kTurn) {
    const uint2 four = *reinterpret_cast<const uint2*>(list);
    add<kDepth>(scratch, four.x & 0xffff, x, row, p);
    add<kDepth>(scratch, four.x >> 16, x, row, p);
    add<kDepth>(scratch, four.y & 0xffff, x, row, p);
    add<kDepth>(scratch, four.y >> 16, x, row, p);
    if (!__any_sync(~0u, p.t.running.v >= t_stop)) return false;
  }
  return true;
}

// alive: this warp's pixels can take anything of the layer at all.
template <bool kFast>
TS_DEVICE LayerPixel draw_layer(const BlendLayer& layer, int tiles_x, bool depth, bool alive, BlendScratch& scratch) {
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int tile = static_cast<int>(blockIdx.x);
  const float x = static_cast<float>(warp % 2 * 8 + lane % 8);
  const int row = warp / 2 * 4 + lane / 8;
  const uint32_t blocks = 3u << (warp / 2 * 4 + warp % 2 * 2);
  const float x0 = static_cast<float>(tile % tiles_x * kTile), y0 = static_cast<float>(tile / tiles_x * kTile);
  const float t_stop = kFast ? kFastTransmittance : kMinTransmittance;
  const TileList own = layer.lists[tile];
  uint16_t* list = scratch.list[warp];  // written again behind the next batch's barriers alone
  LayerPixel p;
  for (uint32_t first = own.begin; first < own.end; first += kBatch) {
    if (!__syncthreads_or(alive)) break;
    bring<kFast>(layer, first, own.end - first, x0, y0, depth, scratch);
    __syncthreads();
    if (!alive) continue;
    const int n = list_own(blocks, scratch, list);
    alive = depth ? add_listed<true>(scratch, list, n, x, row, t_stop, p)
                  : add_listed<false>(scratch, list, n, x, row, t_stop, p);
  }
  return p;
}

// A layer that was drawn alone.
TS_DEVICE void put_under(const BlendLayer& layer, int at, Pixel& p) {
  const float4 alone = layer.alone[at];
  p.red = fmaf(p.color_t, alone.x, p.red);
  p.green = fmaf(p.color_t, alone.y, p.green);
  p.blue = fmaf(p.color_t, alone.z, p.blue);
  if (layer.alone_depth) p.depth = fmaf(p.coverage_t, layer.alone_depth[at], p.depth);
  p.color_t *= 1.0f - layer.reach[at];
  p.coverage_t *= 1.0f - alone.w;
}

template <bool kFast>
TS_DEVICE void blend(const BlendJob& job) {
  __shared__ BlendScratch scratch;
  const int tile = static_cast<int>(blockIdx.x), tiles_x = tiles_across(job.width);
  if (tile >= tiles_x * tiles_across(job.height)) return;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int x = tile % tiles_x * kTile + warp % 2 * 8 + lane % 8;
  const int y = tile / tiles_x * kTile + warp / 2 * 4 + lane / 8;
  if (thread < kTile) scratch.record[kNoSplat].row[thread] = make_float2(0.0f, -1e9f);
  if (thread == kTile) {
    scratch.record[kNoSplat].rest = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    scratch.depth[kNoSplat] = 0.0f;
  }
  Pixel out = {0.0f, 0.0f, 0.0f, 0.0f, 1.0f, 1.0f};
#pragma unroll 1
  for (int l = 0; l < job.n_layers; ++l) {
    const BlendLayer& layer = job.layer[l];
    if (!layer.lists) {
      if (x < job.width && y < job.height) put_under(layer, y * job.width + x, out);
      continue;
    }
    const bool alive = __any_sync(~0u, out.coverage_t >= (kFast ? kFastTransmittance : kSeenTransmittance));
    const LayerPixel p = draw_layer<kFast>(layer, tiles_x, job.depth != nullptr, alive, scratch);
    out.red = fmaf(out.color_t, p.red, out.red);
    out.green = fmaf(out.color_t, p.green, out.green);
    out.blue = fmaf(out.color_t, p.blue, out.blue);
    out.depth = fmaf(out.coverage_t, p.depth, out.depth);
    out.color_t *= p.t.accepted.v, out.coverage_t *= p.t.accepted.v;
  }
  const bool inside = x < job.width && y < job.height;
  const int at = y * job.width + x;
  if (!job.alone) return finish_pixel(job, x, y, inside, out);
  if (!inside) return;
  job.alone[at] = make_float4(out.red, out.green, out.blue, 1.0f - out.coverage_t);
  if (job.depth) job.depth[at] = out.depth;
}

TS_KERNEL void __launch_bounds__(kBlendThreads, 4) blend_fast_kernel(const Jobs<BlendJob> args) {
  blend<true>(args.job[blockIdx.y]);
}

TS_KERNEL void __launch_bounds__(kBlendThreads, 4) blend_reference_kernel(const Jobs<BlendJob> args) {
  blend<false>(args.job[blockIdx.y]);
}

}  // namespace ts::cuda
