// SPDX-License-Identifier: Apache-2.0
// lanes — f32, i32 and mask: as many 32-bit values as one register of the target holds, with the same operations
// everywhere. Kernels are written once against these types; lanes_<isa>.h has the instructions.
//
// Contract of every target:
//   kLanes                               values per register
//   f32(x), i32(x)                       broadcast; f32::iota(), i32::iota() = 0, 1, 2, ...
//   load(p), store(p, v)                 kLanes values, any alignment
//   load_half(p)                         kLanes binary16 values as f32, any alignment; on the host alone
//   repeat4(p)                           p[0..3] again and again; p[0] where kLanes is 1
//   + - * /, fma(a,b,c) = a*b+c, fnma(a,b,c) = c-a*b   fused where the hardware fuses
//   min, max                             second operand when the first is NaN
//   sqrt_above(a)                        sqrt(max(a, 0)) or a little more: at most 1.001 times it plus 1e-9; for bounds
//   sqrt, abs, floor, round_to_int (nearest even), truncate_to_int, to_float
//   <, <=, >, >=, ==                     mask; false for NaN
//   + - * & | << >> of i32               wrapping; << also by lanes
//   first_lanes(n)                       the mask of lanes 0..n-1
//   select(mask, a, b), any, all, bits   bits(m): lane i is bit i
//   bits_of(f32), float_of(i32)          reinterpretation
//   keep(mask, a)                        a, or 0
//   append(p, mask, a)                   stores the masked lanes side by side, returns how many; may write kLanes
//   load3/store3, load4/store4           [kLanes][3 or 4] in memory <-> 3 or 4 registers
//   exp2_fast(x)                         2^x for x in [-126, 126], relative error < 2e-6; garbage outside
#pragma once
#include <cstddef>
#include <cstdint>

#include "math/target.h"

#if defined(TS_TARGET_IS_AVX512) || defined(TS_TARGET_IS_AVX512_BF16) || defined(TS_TARGET_IS_AVX512_AMX)
#include "math/lanes_avx512.h"
#elif defined(TS_TARGET_IS_AVX2)
#include "math/lanes_avx2.h"
#elif defined(TS_TARGET_IS_NEON)
#include "math/lanes_neon.h"
#else
#include "math/lanes_scalar.h"
#endif

TS_TARGET_BEGIN

TS_INLINE mask is_finite(f32 x) { return abs(x) < f32(3.402823466e38f) || abs(x) == f32(3.402823466e38f); }
TS_INLINE float sum_of(f32 x) {
  alignas(64) float lane[kLanes];
  store(lane, x);
  float sum = 0;
  for (float v : lane) sum += v;
  return sum;
}
TS_INLINE f32 clamp(f32 x, f32 low, f32 high) { return min(max(x, low), high); }

// log2 of a positive normal number, absolute error < 2e-7 for results in [-8, 1]: 2/ln2 * atanh((m-1)/(m+1)) with
// the mantissa m in [0.707, 1.414).
TS_INLINE f32 log2_accurate(f32 x) {
  const i32 raw = bits_of(x);
  const i32 exponent = (raw - i32(0x3f3504f3)) >> 23;
  const f32 m = float_of(raw - (exponent << 23));
  const f32 s = (m - f32(1.0f)) / (m + f32(1.0f));
  const f32 s2 = s * s;
  f32 p = fma(s2, f32(1.0f / 9), f32(1.0f / 7));
  p = fma(p, s2, f32(1.0f / 5));
  p = fma(p, s2, f32(1.0f / 3));
  p = fma(p, s2, f32(1.0f));
  return fma(s * p, f32(2.8853900817779268f), to_float(exponent));
}

TS_TARGET_END
