// SPDX-License-Identifier: Apache-2.0
// TS_TARGET names the instruction set that a kernel file is being compiled for. Code under TS_TARGET_BEGIN lives in
// a namespace of that name, so that copies for different instruction sets never merge at link time (an AVX-512 copy
// of an inline function reached from baseline code would be an illegal instruction on an older CPU).
#pragma once

#ifndef TS_TARGET
#define TS_TARGET scalar
#endif

#define TS_TARGET_BEGIN \
  namespace ts {        \
  inline namespace TS_TARGET {
#define TS_TARGET_END \
  }                   \
  }

// TS_HD: a function that nvcc compiles for the GPU too.
#if defined(__CUDACC__)
#define TS_HD __host__ __device__
#define TS_INLINE __host__ __device__ __forceinline__
#else
#define TS_HD
#define TS_INLINE inline __attribute__((always_inline))
#endif

// Before a loop of a constant number of turns over registers: an array of them stays in registers only if it is unrolled.
#if defined(__CUDACC__)
#define TS_UNROLL _Pragma("unroll")
#elif defined(__clang__)
#define TS_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TS_UNROLL _Pragma("GCC unroll 32")
#endif
