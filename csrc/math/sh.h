// SPDX-License-Identifier: Apache-2.0
// sh — real spherical harmonics of degree 0..3, the constants and signs of 3D Gaussian Splatting (Kerbl et al. 2023).
#pragma once
#include "math/lanes.h"

TS_TARGET_BEGIN

// Basis values for a unit direction; basis must hold 16. Returns how many there are.
TS_INLINE int sh_basis(int degree, f32 x, f32 y, f32 z, f32* basis) {
  basis[0] = f32(0.28209479177387814f);
  if (degree < 1) return 1;
  const f32 c1(0.4886025119029199f);
  basis[1] = -(c1 * y), basis[2] = c1 * z, basis[3] = -(c1 * x);
  if (degree < 2) return 4;
  const f32 xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
  basis[4] = f32(1.0925484305920792f) * xy;
  basis[5] = f32(-1.0925484305920792f) * yz;
  basis[6] = f32(0.31539156525252005f) * (zz + zz - xx - yy);
  basis[7] = f32(-1.0925484305920792f) * xz;
  basis[8] = f32(0.5462742152960396f) * (xx - yy);
  if (degree < 3) return 9;
  basis[9] = f32(-0.5900435899266435f) * y * (f32(3.0f) * xx - yy);
  basis[10] = f32(2.890611442640554f) * xy * z;
  basis[11] = f32(-0.4570457994644658f) * y * (f32(4.0f) * zz - xx - yy);
  basis[12] = f32(0.3731763325901154f) * z * (zz + zz - f32(3.0f) * (xx + yy));
  basis[13] = f32(-0.4570457994644658f) * x * (f32(4.0f) * zz - xx - yy);
  basis[14] = f32(1.445305721320277f) * z * (xx - yy);
  basis[15] = f32(-0.5900435899266435f) * x * (xx - f32(3.0f) * yy);
  return 16;
}

// colour = max(0, SH . basis(direction) + 0.5). coefficient(i) is called for i = 0, 1, 2, ... of a Gaussian's row, in
// which red, green and blue of a basis function lie side by side.
template <class Coefficient>
TS_INLINE void sh_color(int degree, const f32 direction[3], const Coefficient& coefficient, f32 rgb[3]) {
  const f32 length2 = fma(direction[0], direction[0], fma(direction[1], direction[1], direction[2] * direction[2]));
  const f32 inv = f32(1.0f) / sqrt(length2);
  f32 basis[16];
  const int n = sh_basis(degree, direction[0] * inv, direction[1] * inv, direction[2] * inv, basis);
  for (int c = 0; c < 3; ++c) rgb[c] = f32(0.5f);
  TS_UNROLL
  for (int k = 0; k < 16; ++k) {
    if (k == n) break;
    for (int c = 0; c < 3; ++c) rgb[c] = fma(basis[k], coefficient(3 * k + c), rgb[c]);
  }
  // What is not finite stays so: the caller hides it.
  for (int c = 0; c < 3; ++c) rgb[c] = select(is_finite(rgb[c]), max(f32(0.0f), rgb[c]), rgb[c]);
}

TS_TARGET_END
