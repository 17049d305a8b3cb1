// SPDX-License-Identifier: Apache-2.0
// exp2_fast for targets without a register-wide table look-up: nearest integer out, degree-5 polynomial in.
#pragma once

TS_TARGET_BEGIN

// Minimax on [-0.5, 0.5], relative error 9.2e-8 before rounding.
TS_INLINE f32 exp2_fast(f32 x) {
  const f32 shifted = x + f32(12582912.0f);  // 1.5 * 2^23: the sum's low mantissa bits are round(x)
  const f32 f = x - (shifted - f32(12582912.0f));
  f32 p = fma(f, f32(1.3264726e-3f), f32(9.6715130e-3f));
  p = fma(p, f, f32(5.5507336e-2f));
  p = fma(p, f, f32(2.4022242e-1f));
  p = fma(p, f, f32(6.9314700e-1f));
  p = fma(p, f, f32(1.0f));
  return float_of(bits_of(p) + (bits_of(shifted) << 23));
}

TS_TARGET_END
