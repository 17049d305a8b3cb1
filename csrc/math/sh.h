// SPDX-License-Identifier: Apache-2.0
// sh — real spherical harmonics of degree 0..3, the constants and signs of 3D Gaussian Splatting (Kerbl et al. 2023).
#pragma once
#include "math/lanes.h"

TS_TARGET_BEGIN

// each(i, value) of basis function i for a unit direction, i = 0, 1, 2, ... (degree + 1)^2 - 1.
template <class Each>
TS_INLINE void sh_each(int degree, f32 x, f32 y, f32 z, const Each& each) {
  each(0, f32(0.28209479177387814f));
  if (degree < 1) return;
  const f32 c1(0.4886025119029199f);
  each(1, -(c1 * y)), each(2, c1 * z), each(3, -(c1 * x));
  if (degree < 2) return;
  const f32 xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
  each(4, f32(1.0925484305920792f) * xy);
  each(5, f32(-1.0925484305920792f) * yz);
  each(6, f32(0.31539156525252005f) * (zz + zz - xx - yy));
  each(7, f32(-1.0925484305920792f) * xz);
  each(8, f32(0.5462742152960396f) * (xx - yy));
  if (degree < 3) return;
  each(9, f32(-0.5900435899266435f) * y * (f32(3.0f) * xx - yy));
  each(10, f32(2.890611442640554f) * xy * z);
  each(11, f32(-0.4570457994644658f) * y * (f32(4.0f) * zz - xx - yy));
  each(12, f32(0.3731763325901154f) * z * (zz + zz - f32(3.0f) * (xx + yy)));
  each(13, f32(-0.4570457994644658f) * x * (f32(4.0f) * zz - xx - yy));
  each(14, f32(1.445305721320277f) * z * (xx - yy));
  each(15, f32(-0.5900435899266435f) * x * (xx - f32(3.0f) * yy));
}

// The same side by side; basis must hold 16.
TS_INLINE void sh_basis(int degree, f32 x, f32 y, f32 z, f32* basis) {
  sh_each(degree, x, y, z, [&](int i, f32 value) __attribute__((always_inline)) { basis[i] = value; });
}

// colour = max(0, SH . basis(direction) + 0.5). coefficient(i) is called for i = 0, 1, 2, ... of a Gaussian's row, in
// which red, green and blue of a basis function lie side by side.
template <class Coefficient>
TS_INLINE void sh_color(int degree, const f32 direction[3], const Coefficient& coefficient, f32 rgb[3]) {
  const f32 length2 = fma(direction[0], direction[0], fma(direction[1], direction[1], direction[2] * direction[2]));
  const f32 inv = f32(1.0f) / sqrt(length2);
  for (int c = 0; c < 3; ++c) rgb[c] = f32(0.5f);
  const auto add = [&](int i, f32 value) __attribute__((always_inline)) {
    for (int c = 0; c < 3; ++c) rgb[c] = fma(value, coefficient(3 * i + c), rgb[c]);
  };
  sh_each(degree, direction[0] * inv, direction[1] * inv, direction[2] * inv, add);
  // What is not finite stays so: the caller hides it.
  for (int c = 0; c < 3; ++c) rgb[c] = select(is_finite(rgb[c]), max(f32(0.0f), rgb[c]), rgb[c]);
}

TS_TARGET_END
