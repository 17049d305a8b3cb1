// SPDX-License-Identifier: Apache-2.0
// What deform's sums become: a rotation, and a colour as an eye sees it.
#pragma once
#include "math/lanes.h"
#include "math/sh.h"

TS_TARGET_BEGIN

// A rotation's quaternion wxyz before it is normalised; one of length 0 (or that is no number) turns nothing.
TS_INLINE void unit_rotation(f32 (&q)[4]) {
  f32 norm2(0.0f);
  for (const f32& c : q) norm2 = fma(c, c, norm2);
  const mask turns = norm2 > f32(1e-24f);
  const f32 scale = f32(1.0f) / sqrt(max(norm2, f32(1e-24f)));
  for (int c = 0; c < 4; ++c) q[c] = select(turns, q[c] * scale, f32(c == 0 ? 1.0f : 0.0f));
}

// The basis of SH in the direction from the eye to (x, y, z); 0 above the degree.
TS_INLINE void sh_basis_from(const float* eye_w, int degree, f32 x, f32 y, f32 z, f32 (&basis)[16]) {
  x = x - f32(eye_w[0]), y = y - f32(eye_w[1]), z = z - f32(eye_w[2]);
  const f32 scale = f32(1.0f) / sqrt(max(fma(x, x, fma(y, y, z * z)), f32(1e-30f)));
  for (f32& value : basis) value = f32(0.0f);
  sh_basis(degree, x * scale, y * scale, z * scale, basis);
}

TS_TARGET_END
