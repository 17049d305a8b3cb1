// SPDX-License-Identifier: Apache-2.0
// exp, sigmoid and silu of lanes, as networks use them.
#pragma once
#include "math/activation_kind.h"
#include "math/lanes.h"

TS_TARGET_BEGIN

// e^x for x in [-87, 87], relative error < 1e-5 (2e-6 of exp2_fast, and the rounding of x / ln 2); clamped outside.
TS_INLINE f32 exp_fast(f32 x) { return exp2_fast(clamp(x, f32(-87.0f), f32(87.0f)) * f32(1.4426950408889634f)); }

// 1 / (1 + e^-x), relative error < 1e-5.
TS_INLINE f32 sigmoid_fast(f32 x) { return f32(1.0f) / (f32(1.0f) + exp_fast(-x)); }
TS_INLINE f32 silu_fast(f32 x) { return x * sigmoid_fast(x); }

// e^x, relative error < 3e-7; clamped to e^+-87. Cody and Waite's reduction by ln 2 in two parts, then Taylor to the sixth.
TS_INLINE f32 exp_accurate(f32 x) {
  x = clamp(x, f32(-87.0f), f32(87.0f));
  const i32 n = round_to_int(x * f32(1.4426950408889634f));
  const f32 k = to_float(n);
  const f32 r = fnma(k, f32(1.428606765330187e-6f), fnma(k, f32(0.693145751953125f), x));
  f32 p = fma(r, f32(1.0f / 720), f32(1.0f / 120));
  p = fma(p, r, f32(1.0f / 24));
  p = fma(p, r, f32(1.0f / 6));
  p = fma(p, r, f32(0.5f));
  p = fma(p * r, r, r) + f32(1.0f);
  return float_of(bits_of(p) + (n << 23));
}

// Absolute error < 2e-7.
TS_INLINE f32 sigmoid_accurate(f32 x) { return f32(1.0f) / (f32(1.0f) + exp_accurate(-x)); }
TS_INLINE f32 tanh_accurate(f32 x) { return f32(1.0f) - f32(2.0f) / (f32(1.0f) + exp_accurate(x + x)); }

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), relative error < 1e-6: log1p(y) = 2 atanh(y / (2 + y)), whose series ends early
// since y <= 1.
TS_INLINE f32 softplus_accurate(f32 x) {
  const f32 y = exp_accurate(-abs(x));
  const f32 s = y / (f32(2.0f) + y), s2 = s * s;
  f32 p = fma(s2, f32(1.0f / 15), f32(1.0f / 13));
  p = fma(p, s2, f32(1.0f / 11));
  p = fma(p, s2, f32(1.0f / 9));
  p = fma(p, s2, f32(1.0f / 7));
  p = fma(p, s2, f32(1.0f / 5));
  p = fma(p, s2, f32(1.0f / 3));
  p = fma(p, s2, f32(1.0f));
  return fma(s + s, p, max(x, f32(0.0f)));
}

// Of one number; a softmax is over many.
TS_INLINE f32 activated(Activation activation, f32 slope, f32 x) {
  const f32 zero(0.0f);
  switch (activation) {
    case Activation::kRelu:
      return max(x, zero);
    case Activation::kLeakyRelu:
      return fma(slope, min(x, zero), max(x, zero));
    case Activation::kTanh:
      return tanh_accurate(x);
    default:
      return x;
  }
}

TS_TARGET_END
