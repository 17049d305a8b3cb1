// SPDX-License-Identifier: Apache-2.0
// sh — real spherical harmonics of degree 0..3, the constants and signs of 3D Gaussian Splatting (Kerbl et al. 2023).
#pragma once
#include "math/lanes.h"

TS_TARGET_BEGIN

// Basis values for a unit direction; basis must hold 16.
TS_INLINE void sh_basis(int degree, f32 x, f32 y, f32 z, f32* basis) {
  basis[0] = f32(0.28209479177387814f);
  if (degree < 1) return;
  const f32 c1(0.4886025119029199f);
  basis[1] = -(c1 * y), basis[2] = c1 * z, basis[3] = -(c1 * x);
  if (degree < 2) return;
  const f32 xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
  basis[4] = f32(1.0925484305920792f) * xy;
  basis[5] = f32(-1.0925484305920792f) * yz;
  basis[6] = f32(0.31539156525252005f) * (zz + zz - xx - yy);
  basis[7] = f32(-1.0925484305920792f) * xz;
  basis[8] = f32(0.5462742152960396f) * (xx - yy);
  if (degree < 3) return;
  basis[9] = f32(-0.5900435899266435f) * y * (f32(3.0f) * xx - yy);
  basis[10] = f32(2.890611442640554f) * xy * z;
  basis[11] = f32(-0.4570457994644658f) * y * (f32(4.0f) * zz - xx - yy);
  basis[12] = f32(0.3731763325901154f) * z * (zz + zz - f32(3.0f) * (xx + yy));
  basis[13] = f32(-0.4570457994644658f) * x * (f32(4.0f) * zz - xx - yy);
  basis[14] = f32(1.445305721320277f) * z * (xx - yy);
  basis[15] = f32(-0.5900435899266435f) * x * (xx - f32(3.0f) * yy);
}

TS_TARGET_END
