// SPDX-License-Identifier: Apache-2.0
// peak — products from registers alone, as many as the CPU can: what deform's matrices are measured against.
// Launch   one thread     Cost  `turns` times kSums independent products of a register
#include "cpu/kernels/kernels.h"
#include "math/lanes.h"

#if defined(TS_TARGET_IS_AVX512_AMX) || defined(TS_TARGET_IS_AVX512_BF16)
#include "cpu/kernels/deform_bf16.h"
#endif

TS_TARGET_BEGIN

// FLOPs done.
int64_t peak_products(int64_t turns) {
#if defined(TS_TARGET_IS_AVX512_AMX)
  const MatrixUnit unit;
  alignas(64) const float zeros[256] = {};
  _tile_loadd(6, zeros, 64);
  _tile_loadd(7, zeros, 64);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t i = 0; i < turns; ++i) {
    _tile_dpbf16ps(0, 6, 7);
    _tile_dpbf16ps(1, 6, 7);
    _tile_dpbf16ps(2, 6, 7);
    _tile_dpbf16ps(3, 6, 7);
  }
  return turns * 4 * 2 * 16 * 16 * 32;
#else
  constexpr int kSums = 12;  // more than begin in the time that one takes, and fewer than there are registers
  // Numbers that the compiler does not know: it must not find that all sums are one.
  f32 a(0.0f), sum[kSums];
  asm volatile("" : "+m"(a));
  for (f32& s : sum) {
    s = f32(0.0f);
    asm volatile("" : "+m"(s));
  }
  for (int64_t i = 0; i < turns; ++i) {
    TS_UNROLL
    for (int s = 0; s < kSums; ++s) {
#if defined(TS_TARGET_IS_AVX512_BF16)
      const auto pairs = reinterpret_cast<__m512bh>(a.v);
      sum[s].v = _mm512_dpbf16_ps(sum[s].v, pairs, pairs);
#else
      sum[s] = fma(a, a, sum[s]);
#endif
    }
  }
  f32 total = sum[0];
  for (int s = 1; s < kSums; ++s) total = total + sum[s];
  const float kept = sum_of(total);
  asm volatile("" : : "m"(kept));
#if defined(TS_TARGET_IS_AVX512_BF16)
  return turns * kSums * 4 * kLanes;
#else
  return turns * kSums * 2 * kLanes;
#endif
#endif
}

TS_TARGET_END
