// SPDX-License-Identifier: Apache-2.0
// quat — quaternions of lanes, wxyz, and the quaternion of a matrix.
//
// For a matrix M and a unit quaternion q, trace(R(q)^T M) = q^T K q with a symmetric, traceless 4x4 matrix K that is
// linear in M (Horn 1987, "Closed-form solution of absolute orientation using unit quaternions", section 4). So the
// rotation nearest to M is K's leading eigenvector. For a rotation, K + I = 4 q q^T: every column is q times one of
// its entries, and the column of the largest diagonal entry (>= 1) is safe at every angle, 180 degrees included.
#pragma once
#include "math/lanes.h"

TS_TARGET_BEGIN

struct Quat {
  f32 w, x, y, z;
};

struct Mat3 {
  f32 m[3][3];  // row, column
};

TS_INLINE Quat operator*(const Quat& a, const Quat& b) {
  return {fnma(a.z, b.z, fnma(a.y, b.y, fnma(a.x, b.x, a.w * b.w))),
          fnma(a.z, b.y, fma(a.y, b.z, fma(a.x, b.w, a.w * b.x))),
          fma(a.z, b.x, fma(a.y, b.w, fnma(a.x, b.z, a.w * b.y))),
          fma(a.z, b.w, fnma(a.y, b.x, fma(a.x, b.y, a.w * b.z)))};
}

// Upper triangle of a symmetric 4x4 matrix over (w, x, y, z).
struct QuatForm {
  f32 ww, xx, yy, zz, wx, wy, wz, xy, xz, yz;
};

// K + shift * I.
TS_INLINE QuatForm quat_form(const Mat3& a, f32 shift) {
  const auto& m = a.m;
  return {shift + (m[0][0] + m[1][1] + m[2][2]),
          shift + (m[0][0] - m[1][1] - m[2][2]),
          shift + (m[1][1] - m[0][0] - m[2][2]),
          shift + (m[2][2] - m[0][0] - m[1][1]),
          m[2][1] - m[1][2],
          m[0][2] - m[2][0],
          m[1][0] - m[0][1],
          m[0][1] + m[1][0],
          m[0][2] + m[2][0],
          m[1][2] + m[2][1]};
}

// A column of a form, and the diagonal entry in it.
struct FormColumn {
  f32 diagonal;
  Quat q;
};

// The one with the larger diagonal entry; a where they are equal.
TS_INLINE FormColumn larger(const FormColumn& a, const FormColumn& b) {
  const mask better = b.diagonal > a.diagonal;
  return {select(better, b.diagonal, a.diagonal),
          {select(better, b.q.w, a.q.w), select(better, b.q.x, a.q.x), select(better, b.q.y, a.q.y),
           select(better, b.q.z, a.q.z)}};
}

// The column with the largest diagonal entry, normalised. The form's trace must be positive.
TS_INLINE Quat leading_column(const QuatForm& k) {
  FormColumn best = {k.ww, {k.ww, k.wx, k.wy, k.wz}};
  best = larger(best, {k.xx, {k.wx, k.xx, k.xy, k.xz}});
  best = larger(best, {k.yy, {k.wy, k.xy, k.yy, k.yz}});
  best = larger(best, {k.zz, {k.wz, k.xz, k.yz, k.zz}});
  const Quat& q = best.q;
  const f32 inverse = f32(1.0f) / sqrt(fma(q.w, q.w, fma(q.x, q.x, fma(q.y, q.y, q.z * q.z))));
  return {q.w * inverse, q.x * inverse, q.y * inverse, q.z * inverse};
}

// Of a rotation matrix. Some unit quaternion for anything else that is finite: the form's trace is 4.
TS_INLINE Quat quat_of_rotation(const Mat3& m) { return leading_column(quat_form(m, f32(1.0f))); }

TS_INLINE f32 dot4(f32 a0, f32 b0, f32 a1, f32 b1, f32 a2, f32 b2, f32 a3, f32 b3) {
  return fma(a0, b0, fma(a1, b1, fma(a2, b2, a3 * b3)));
}

TS_INLINE QuatForm square(const QuatForm& k) {
  return {dot4(k.ww, k.ww, k.wx, k.wx, k.wy, k.wy, k.wz, k.wz), dot4(k.wx, k.wx, k.xx, k.xx, k.xy, k.xy, k.xz, k.xz),
          dot4(k.wy, k.wy, k.xy, k.xy, k.yy, k.yy, k.yz, k.yz), dot4(k.wz, k.wz, k.xz, k.xz, k.yz, k.yz, k.zz, k.zz),
          dot4(k.ww, k.wx, k.wx, k.xx, k.wy, k.xy, k.wz, k.xz), dot4(k.ww, k.wy, k.wx, k.xy, k.wy, k.yy, k.wz, k.yz),
          dot4(k.ww, k.wz, k.wx, k.xz, k.wy, k.yz, k.wz, k.zz), dot4(k.wx, k.wy, k.xx, k.xy, k.xy, k.yy, k.xz, k.yz),
          dot4(k.wx, k.wz, k.xx, k.xz, k.xy, k.yz, k.xz, k.zz), dot4(k.wy, k.wz, k.xy, k.xz, k.yy, k.yz, k.yz, k.zz)};
}

// Of the rotation nearest to M. Squaring the form (scaled to trace 1) squares the ratio of every eigenvalue to the
// leading one and makes all of them positive; then the squared entries sum to 1 exactly where the form has rank one.
// A rotation times a scale is there after one squaring; eight are enough for two rotations blended half and half up to
// 177 degrees apart; at 180 no rotation is nearest. M = 0 gives 1 0 0 0.
TS_INLINE Quat quat_of_nearest_rotation(const Mat3& a) {
  f32 sum(0.0f);
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) sum = fma(a.m[i][j], a.m[i][j], sum);
  }
  // Shifting by the mean singular value zeroes three eigenvalues of a scaled rotation, and lets no negative one of any
  // other matrix outweigh the leading one.
  const f32 inverse = f32(1.0f) / (f32(4.0f) * sqrt(max(sum * f32(1.0f / 3), f32(1e-30f))));
  Mat3 unit;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) unit.m[i][j] = a.m[i][j] * inverse;
  }
  QuatForm k = quat_form(unit, f32(0.25f));
  for (int i = 0; i < 8; ++i) {
    k = square(k);
    const f32 scale = f32(1.0f) / (k.ww + k.xx + k.yy + k.zz);
    k = {k.ww * scale, k.xx * scale, k.yy * scale, k.zz * scale, k.wx * scale,
         k.wy * scale, k.wz * scale, k.xy * scale, k.xz * scale, k.yz * scale};
    const f32 off = fma(k.wx, k.wx, fma(k.wy, k.wy, fma(k.wz, k.wz, fma(k.xy, k.xy, fma(k.xz, k.xz, k.yz * k.yz)))));
    const f32 squares = fma(k.ww, k.ww, fma(k.xx, k.xx, fma(k.yy, k.yy, fma(k.zz, k.zz, off + off))));
    if (!any(squares < f32(1.0f - 2e-6f))) break;
  }
  return leading_column(k);
}

TS_TARGET_END
