// SPDX-License-Identifier: Apache-2.0
// dilate — the largest coverage of a layer near each of its pixels, by which it hides what lies behind: this closes the
// gaps between a mouth's Gaussians.
// Maths    csrc/ops/deform.h, dilate_px: the maximum over a square of px by px pixels, from px / 2 before a pixel on;
//          nothing is covered beyond the border. A maximum over rows, then over columns of that
// Launch   grid (ceil(pixels / 256) of the largest job, jobs), block 256: a thread a pixel
// Reads    rows: coverage 4 B of 16, px times, from L1; columns: 4 B, px times
// Writes   4 B a pixel each
// Cost     O(px) a pixel; bound by L1
// Order    none: a maximum has none
// Edges    windows are cut at the border
// Oracle   tests/simt/test_blend.cc      Bench  bench/gpu
#include "kernels/cuda/blend.h"
#include "kernels/cuda/device.h"

namespace ts::cuda {

// The window of a pixel along one axis, end exclusive.
TS_DEVICE int window_begin(int i, int px) { return i < px / 2 ? 0 : i - px / 2; }
TS_DEVICE int window_end(int i, int px, int size) { return i - px / 2 + px < size ? i - px / 2 + px : size; }

TS_KERNEL void __launch_bounds__(kDilateThreads) dilate_rows_kernel(const Jobs<DilateJob> args) {
  const DilateJob& job = args.job[blockIdx.y];
  const int at = static_cast<int>(blockIdx.x * kDilateThreads + threadIdx.x);
  if (at >= job.width * job.height) return;
  const int x = at % job.width;
  const float4* row = job.alone + (at - x);
  float most = 0;
  for (int i = window_begin(x, job.px); i < window_end(x, job.px, job.width); ++i) most = fmaxf(most, row[i].w);
  job.rows[at] = most;
}

TS_KERNEL void __launch_bounds__(kDilateThreads) dilate_columns_kernel(const Jobs<DilateJob> args) {
  const DilateJob& job = args.job[blockIdx.y];
  const int at = static_cast<int>(blockIdx.x * kDilateThreads + threadIdx.x);
  if (at >= job.width * job.height) return;
  const int x = at % job.width, y = at / job.width;
  float most = 0;
  for (int i = window_begin(y, job.px); i < window_end(y, job.px, job.height); ++i)
    most = fmaxf(most, job.rows[i * job.width + x]);
  job.reach[at] = most;
}

}  // namespace ts::cuda
