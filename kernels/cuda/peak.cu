// SPDX-License-Identifier: Apache-2.0
// peak — how fast this GPU multiplies: the rates that the time of a deform network is a fraction of.
// Maths    a chain is x = a x + b with |a| < 1, which stays finite for any number of turns
// Launch   grid: some blocks for each multiprocessor, block kPeakThreads; no shared memory
// Reads    nothing     Writes   4 B a thread
// Cost     turns * kPeakChains products a thread (fma) or a warp (mma, 16x8x16 each); bound by the pipe alone
// Order    deterministic; no atomics
// Edges    turns = 0 writes what the chains started from
// Oracle   tests/simt/test_peak.cc      Bench  Backend::measure_peak
#include "kernels/cuda/device.h"
//
#include "kernels/cuda/peak.h"

namespace ts::cuda {

TS_KERNEL void __launch_bounds__(kPeakThreads) peak_fma_kernel(const PeakArgs args) {
  float x[kPeakChains];
#pragma unroll
  for (int i = 0; i < kPeakChains; ++i) x[i] = static_cast<float>(threadIdx.x + i);
  for (int turn = 0; turn < args.turns; ++turn) {
#pragma unroll
    for (int i = 0; i < kPeakChains; ++i) x[i] = fmaf(0.5f, x[i], 1.0f);
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPeakChains; ++i) sum += x[i];
  args.sum[blockIdx.x * kPeakThreads + threadIdx.x] = sum;
}

// Every element of A is 1/32 and of B 1: a product adds half to each sum. Chains start apart, or the compiler would keep
// one of them.
TS_KERNEL void __launch_bounds__(kPeakThreads) peak_mma_kernel(const PeakArgs args) {
  const uint32_t a = half2_of(1.0f / 32, 1.0f / 32), b = half2_of(1, 1);
  float d[kPeakChains][4];
#pragma unroll
  for (int i = 0; i < kPeakChains; ++i) d[i][0] = d[i][1] = d[i][2] = d[i][3] = static_cast<float>(i);
  for (int turn = 0; turn < args.turns; ++turn) {
#pragma unroll
    for (int i = 0; i < kPeakChains; ++i) mma_16x8x16(d[i], a, a, a, a, b, b);
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPeakChains; ++i) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
  args.sum[blockIdx.x * kPeakThreads + threadIdx.x] = sum;
}

}  // namespace ts::cuda
