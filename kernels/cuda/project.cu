// SPDX-License-Identifier: Apache-2.0
// project — world Gaussians to screen ellipses, and how near, how far and how many they are.
// Maths    math/project.h, math/sh.h: what cpu/kernels/project.cc computes, to the bit where that fuses (AVX2)
// Launch   grid (ceil(n / kProjectThreads), jobs), block kProjectThreads; a thread per Gaussian; 8 B of shared memory
// Reads    mean_w [n,3] · quat [n,4] · scale [n,3] · opacity [n] f32, 44 B each; of those in the picture also color, 12 B
//          or a row of SH, up to 192 B
// Writes   key [n], 4 B each; of the visible ones BlendSplat and BinSplat, 32 B each, and in reference precision
//          SplatColor, 16 B
// Cost     O(n), about 450 instructions each; bound by bandwidth: 128 B each with a colour, 320 B with SH of degree 3
// Order    deterministic: the status is made by minima, maxima and sums of integers, in whichever order blocks come
// Edges    n = 0 writes nothing; NaN or infinity in any field hides that Gaussian alone; a colour that a half cannot hold
//          becomes the largest that it can
// Oracle   tests/reference/project.py through the CPU's kernel, tests/simt/test_project.cc      Bench  bench/gpu
//
// Each thread projects its Gaussian and writes the records that blend and bin read. A warp then finds its nearest and its
// farthest visible depth by shuffles, a block those of its warps in shared memory, and the block's first thread adds them
// to the layer's status: three atomics for 256 Gaussians. The first barrier has the two words of shared memory set before
// a warp uses them, the second has all warps done before they are read; it also counts.
#include "kernels/cuda/device.h"
//
#include "kernels/cuda/project.h"
#include "math/project.h"
#include "math/sh.h"
#include "ops/bin.h"

namespace ts::cuda {

TS_DEVICE void load_row3(const float* rows, int i, f32 row[3]) {
  for (int c = 0; c < 3; ++c) row[c] = f32(__ldg(rows + 3 * i + c));
}

// A row of SH is read from its front, 16 bytes at a time where all rows begin at a multiple of that: threads' rows are far
// apart in memory, and each load of a warp costs as many turns as it touches lines.
TS_DEVICE void color_of_row(const ProjectJob& job, int i, const f32 direction[3], f32 rgb[3]) {
  const float* row = job.color + 3 * static_cast<int64_t>(job.sh_stride) * i;
  if (job.sh_stride % 4 == 0) {
    float4 four{};
    sh_color(
        job.sh_degree, direction,
        [&](int k) {
          if (k % 4 == 0) four = __ldg(reinterpret_cast<const float4*>(row) + k / 4);
          return f32(k % 4 == 0 ? four.x : k % 4 == 1 ? four.y : k % 4 == 2 ? four.z : four.w);
        },
        rgb);
  } else {
    sh_color(job.sh_degree, direction, [&](int k) { return f32(__ldg(row + k)); }, rgb);
  }
}

// Projects Gaussian i, writes its records if it is visible, and returns its key.
TS_DEVICE uint32_t project_gaussian(const ProjectJob& job, int i) {
  const CameraLanes camera = camera_lanes(job.camera);
  const float4 q = __ldg(reinterpret_cast<const float4*>(job.quat) + i);
  f32 m[3], s[3], rgb[3];
  load_row3(job.mean_w, i, m);
  load_row3(job.scale, i, s);
  const f32 log2_opacity = log2_of_opacity(f32(__ldg(job.opacity + i)));
  const Ellipse e = project(camera, m[0], m[1], m[2], f32(q.x), f32(q.y), f32(q.z), f32(q.w), s[0], s[1], s[2],
                            log2_opacity);  // wxyz
  const Cover at = cover(e, tiles_across(job.width), tiles_across(job.height));
  if (!any(e.visible && at.hit)) return kHidden;

  if (job.sh_degree < 0) {
    load_row3(job.color, i, rgb);
  } else {
    const f32 direction[3] = {m[0] - camera.eye_w[0], m[1] - camera.eye_w[1], m[2] - camera.eye_w[2]};
    color_of_row(job, i, direction, rgb);
  }
  if (!all(is_finite(rgb[0]) && is_finite(rgb[1]) && is_finite(rgb[2]))) return kHidden;

  BlendSplat blend{e.x_px.v, e.y_px.v, e.a.v, e.d.v, e.slope.v, log2_opacity.v, 0, 0};
  if (job.color_px) {
    job.color_px[i] = {rgb[0].v, rgb[1].v, rgb[2].v, e.depth.v};
  } else {
    const f32 largest(65504.0f);  // of a half
    for (f32& c : rgb) c = clamp(c, -largest, largest);
    blend.red_green = half2_of(rgb[0].v, rgb[1].v), blend.blue = half2_of(rgb[2].v, 0.0f);
  }
  job.blend[i] = blend;
  const auto pair = [](i32 low, i32 high) {
    return static_cast<uint32_t>(low.v) | static_cast<uint32_t>(high.v) << 16;
  };
  // Whole: of a sector that is written in part, memory has to be asked for the rest.
  job.bin[i] = {e.reach.v, e.y_at_x_extreme.v, e.inv_a.v, pair(at.block_x0, at.block_x1), pair(at.tile_y0, at.tile_y1),
                {0, 0, 0}};
  return __float_as_uint(e.depth.v);
}

TS_KERNEL void __launch_bounds__(kProjectThreads) project_kernel(const Jobs<ProjectJob> args) {
  const ProjectJob& job = args.job[blockIdx.y];
  const int first = static_cast<int>(blockIdx.x) * kProjectThreads, thread = static_cast<int>(threadIdx.x);
  if (first >= job.n) return;
  __shared__ uint32_t block_min, block_max;
  if (thread == 0) block_min = kHidden, block_max = 0;
  __syncthreads();

  uint32_t key = kHidden;
  if (first + thread < job.n) {
    key = project_gaussian(job, first + thread);
    job.key[first + thread] = key;
  }
  const bool visible = key != kHidden;
  uint32_t depth_min = key, depth_max = visible ? key : 0;
  for (int step = 16; step > 0; step /= 2) {
    const uint32_t other_min = __shfl_xor_sync(~0u, depth_min, step), other_max = __shfl_xor_sync(~0u, depth_max, step);
    depth_min = other_min < depth_min ? other_min : depth_min;
    depth_max = other_max > depth_max ? other_max : depth_max;
  }
  if (thread % 32 == 0) atomicMin(&block_min, depth_min), atomicMax(&block_max, depth_max);
  const int n_visible = __syncthreads_count(visible);
  if (thread == 0 && n_visible > 0) {
    atomicMin(&job.status->depth_min, block_min);
    atomicMax(&job.status->depth_max, block_max);
    atomicAdd(&job.status->n_visible, static_cast<uint32_t>(n_visible));
  }
}

}  // namespace ts::cuda
