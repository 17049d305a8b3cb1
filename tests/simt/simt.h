// SPDX-License-Identifier: Apache-2.0
// simt — CUDA's words for a kernel file that is compiled as C++, so that the very kernels that a GPU runs are tested on a
// CPU. kernels/cuda/device.h includes it wherever nvcc does not compile.
//
// A thread of a block is a fiber (machine.h). It runs until it meets a barrier or an intrinsic of its warp and waits there
// until all whom that names have come; who runs next is the launch's Options::order. So a kernel that lacks a barrier
// reads stale values in one order or another, and results that must not depend on the order can be compared.
//
// Reported, with kernel, block, thread and line: a mask without the caller, lanes that have left, leave or wait elsewhere,
// a barrier at two places at once, deadlock, too many threads or too much shared memory. Shared memory that nobody wrote,
// and shuffles from lanes outside the mask, are NaN. AddressSanitizer sees accesses out of bounds; ThreadSanitizer, to
// which every thread of a block is a thread, and __syncthreads and __syncwarp the only synchronisation, races.
// Not seen: races between blocks that no order of blocks shows, and time.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "math/half.h"
#include "simt/machine.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// One block runs at a time, so what its threads share is static. The section is what a launch fills with NaN before each
// block. Under AddressSanitizer there is none, since it guards no variable of a named section; nor in templates, where GCC
// before 14 takes no notice of it: a kernel declares what its threads share, and hands it to those.
#if defined(SIMT_ASAN)
#define __shared__ static
#else
#define __shared__ __attribute__((section("simt_shared"))) static
#endif

#define TS_KERNEL [[maybe_unused]] static
#define TS_DEVICE static inline __attribute__((always_inline))
#define TS_DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(::simt::dynamic_shared())

#define threadIdx (::simt::now().thread_idx)
#define blockIdx (::simt::block().index)
#define blockDim (::simt::block().dim)
#define gridDim (::simt::block().grid)

struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// The caller's line, for messages.
#define SIMT_LINE int line = __builtin_LINE()

namespace simt {

template <class T>
uint64_t pack(T value) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  return word;
}
template <class T>
T unpack(uint64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}
// The lane that a shuffle reads within its part of the warp, or the caller's own where that lies outside.
template <class T>
T shuffle(uint32_t mask, T value, int source, bool inside, int line) {
  return unpack<T>(meet(Meeting::kShuffle, mask, pack(value), inside ? source : lane(), line));
}

}  // namespace simt

inline void __syncthreads(SIMT_LINE) { simt::barrier(false, line); }
inline int __syncthreads_or(int predicate, SIMT_LINE) { return simt::barrier(predicate != 0, line) != 0; }
inline int __syncthreads_and(int predicate, SIMT_LINE) { return simt::barrier(predicate == 0, line) == 0; }
inline int __syncthreads_count(int predicate, SIMT_LINE) { return simt::barrier(predicate != 0, line); }
inline void __syncwarp(uint32_t mask = ~0u, SIMT_LINE) { simt::meet(simt::Meeting::kSync, mask, 0, 0, line); }
inline uint32_t __ballot_sync(uint32_t mask, int predicate, SIMT_LINE) {
  return static_cast<uint32_t>(simt::meet(simt::Meeting::kBallot, mask, predicate != 0, 0, line));
}
inline int __any_sync(uint32_t mask, int predicate, SIMT_LINE) {
  return simt::meet(simt::Meeting::kBallot, mask, predicate != 0, 0, line) != 0;
}
inline int __all_sync(uint32_t mask, int predicate, SIMT_LINE) {
  return simt::meet(simt::Meeting::kBallot, mask, predicate != 0, 0, line) == mask;
}
template <class T>
uint32_t __match_any_sync(uint32_t mask, T value, SIMT_LINE) {
  return static_cast<uint32_t>(simt::meet(simt::Meeting::kMatch, mask, simt::pack(value), 0, line));
}
template <class T>
T __shfl_sync(uint32_t mask, T value, int source, int width = 32, SIMT_LINE) {
  return simt::shuffle(mask, value, (simt::lane() & ~(width - 1)) | (source & (width - 1)), true, line);
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = 32, SIMT_LINE) {
  const int source = simt::lane() ^ bits, first = simt::lane() & ~(width - 1);
  return simt::shuffle(mask, value, source, source < first + width, line);
}
template <class T>
T __shfl_up_sync(uint32_t mask, T value, unsigned by, int width = 32, SIMT_LINE) {
  const int source = simt::lane() - static_cast<int>(by), first = simt::lane() & ~(width - 1);
  return simt::shuffle(mask, value, source, source >= first, line);
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned by, int width = 32, SIMT_LINE) {
  const int source = simt::lane() + static_cast<int>(by), last = simt::lane() | (width - 1);
  return simt::shuffle(mask, value, source, source <= last, line);
}

// Of integers alone: what atomics add up in floats would depend on the order of threads.
template <class T>
T atomicAdd(T* at, std::common_type_t<T> value) {
  static_assert(std::is_integral_v<T>);
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicOr(T* at, std::common_type_t<T> value) {
  static_assert(std::is_integral_v<T>);
  return __atomic_fetch_or(at, value, __ATOMIC_RELAXED);
}
// A thread is never interrupted between two meetings: reading and writing is one step here too.
template <class T>
T atomicMax(T* at, std::common_type_t<T> value) {
  static_assert(std::is_integral_v<T>);
  const T before = __atomic_load_n(at, __ATOMIC_RELAXED);
  if (value > before) __atomic_store_n(at, value, __ATOMIC_RELAXED);
  return before;
}
template <class T>
T atomicMin(T* at, std::common_type_t<T> value) {
  static_assert(std::is_integral_v<T>);
  const T before = __atomic_load_n(at, __ATOMIC_RELAXED);
  if (value < before) __atomic_store_n(at, value, __ATOMIC_RELAXED);
  return before;
}
template <class T>
T atomicExch(T* at, std::common_type_t<T> value) {
  static_assert(std::is_integral_v<T>);
  return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicCAS(T* at, std::common_type_t<T> expected, std::common_type_t<T> value) {
  static_assert(std::is_integral_v<T>);
  __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (x >> i & 1u) << (31 - i);
  return reversed;
}
inline float __uint_as_float(unsigned x) { return simt::unpack<float>(x); }
inline unsigned __float_as_uint(float x) { return static_cast<unsigned>(simt::pack(x)); }
inline float __int_as_float(int x) { return simt::unpack<float>(static_cast<uint32_t>(x)); }
inline int __float_as_int(float x) { return static_cast<int>(simt::pack(x)); }
template <class T>
T __ldg(const T* p) {
  return *p;
}

namespace ts::cuda {

inline uint32_t lanes_below() { return (1u << simt::lane()) - 1; }

inline uint32_t half2_of(float low, float high) { return half_of_float(low) | uint32_t{half_of_float(high)} << 16; }
inline float2 floats_of(uint32_t half2) {
  return {float_of_half(static_cast<uint16_t>(half2)), float_of_half(static_cast<uint16_t>(half2 >> 16))};
}
inline uint32_t half2_max(uint32_t a, uint32_t b) {
  const float2 x = floats_of(a), y = floats_of(b);
  // As the GPU has it: NaN loses against a number, and -0 against 0.
  const auto larger = [](float p, float q) { return p > q || q != q || (p == q && std::signbit(q)) ? p : q; };
  return half2_of(larger(x.x, y.x), larger(x.y, y.y));
}
// Rounded to a float and then to a half, a sum of halves is what it is rounded once: a float's mantissa of 24 bits is two
// bits more than two of a half's (Figueroa, "When is double rounding innocuous?", 1995).
inline uint32_t half2_add(uint32_t a, uint32_t b) {
  const float2 x = floats_of(a), y = floats_of(b);
  return half2_of(x.x + y.x, x.y + y.y);
}

inline void mma_16x8x8(float d[4], uint32_t a0, uint32_t a1, uint32_t b, SIMT_LINE) {
  simt::Product product{d, {a0, a1}, b};
  simt::meet(simt::Meeting::kProduct, ~0u, simt::pack(&product), 0, line);
}
inline void mma_16x8x16(float d[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1,
                        SIMT_LINE) {
  mma_16x8x8(d, a0, a1, b0, line);
  mma_16x8x8(d, a2, a3, b1, line);
}

}  // namespace ts::cuda
