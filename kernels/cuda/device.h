// SPDX-License-Identifier: Apache-2.0
// What kernels need of the machine, in the same words under nvcc and under tests/simt, which runs these very files on a
// CPU.
#pragma once
// The build says so already; who compiles a kernel by hand may leave it out and include this first.
#if !defined(TS_TARGET)
#define TS_TARGET cuda_lanes
#define TS_TARGET_IS_CUDA
#endif

#if defined(__CUDACC__)
#include <cuda_fp16.h>

#include <cstdint>

#define TS_KERNEL extern "C" __global__
#define TS_DEVICE __device__ __forceinline__
// Shared memory whose size the launch gives.
#define TS_DYNAMIC_SHARED(type, name)                            \
  extern __shared__ __align__(16) unsigned char dynamic_bytes[]; \
  type* name = reinterpret_cast<type*>(dynamic_bytes)

namespace ts::cuda {

// The lanes of this warp before the calling one.
TS_DEVICE uint32_t lanes_below() {
  uint32_t mask;
  asm("mov.u32 %0, %%lanemask_lt;" : "=r"(mask));
  return mask;
}

// Two halves in a word, the first in its lower half; rounded to nearest even.
TS_DEVICE uint32_t half2_of(float low, float high) {
  const __half2 h = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&h);
}
TS_DEVICE float2 floats_of(uint32_t half2) { return __half22float2(*reinterpret_cast<const __half2*>(&half2)); }
TS_DEVICE uint32_t half2_max(uint32_t a, uint32_t b) {
  const __half2 h = __hmax2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b));
  return *reinterpret_cast<const uint32_t*>(&h);
}
TS_DEVICE uint32_t half2_add(uint32_t a, uint32_t b) {
  const __half2 h = __hadd2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b));
  return *reinterpret_cast<const uint32_t*>(&h);
}

// d [16,8] += a [16,8] b [8,8]: halves in, floats out; the shape that Turing has. Of the PTX ISA's fragments: with
// g = lane / 4 and t = lane % 4, a0 is (row g, columns 2t, 2t+1), a1 the same of row g + 8, b is (rows 2t, 2t+1, column
// g), d0 d1 are (row g, columns 2t, 2t+1), d2 d3 the same of row g + 8.
TS_DEVICE void mma_16x8x8(float d[4], uint32_t a0, uint32_t a1, uint32_t b) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(b));
}
// d [16,8] += a [16,16] b [16,8], as two of the above side by side: a0 a1 b0 are columns 0..7, a2 a3 b1 columns 8..15.
TS_DEVICE void mma_16x8x16(float d[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
#else
  mma_16x8x8(d, a0, a1, b0);
  mma_16x8x8(d, a2, a3, b1);
#endif
}

}  // namespace ts::cuda

#else
#include "simt/simt.h"
#endif
