// SPDX-License-Identifier: Apache-2.0
// axes — the local coordinates that a bound Gaussian lives in, and what it is in the world: of a vertex the blend of its
// joints' matrices (linear-blend skinning), of a triangle its directions times its size.
#pragma once
#include "math/triangle_axes.h"

TS_TARGET_BEGIN

struct Axes {
  f32 m[3][4];  // rows of [matrix | origin]
};

TS_INLINE Axes zero_axes() {
  Axes a;
  TS_UNROLL
  for (int i = 0; i < 12; ++i) a.m[i / 4][i % 4] = f32(0.0f);
  return a;
}

// sum += weight * joint, a joint's row-major 3x4 matrix.
TS_INLINE void add_joint(Axes& sum, f32 weight, const float* joint) {
  TS_UNROLL
  for (int i = 0; i < 12; ++i) sum.m[i / 4][i % 4] = fma(weight, f32(joint[i]), sum.m[i / 4][i % 4]);
}

// A local point in the world.
TS_INLINE Vec3 apply(const Axes& a, const Vec3& p) {
  const auto& m = a.m;
  return {fma(m[0][0], p.x, fma(m[0][1], p.y, fma(m[0][2], p.z, m[0][3]))),
          fma(m[1][0], p.x, fma(m[1][1], p.y, fma(m[1][2], p.z, m[1][3]))),
          fma(m[2][0], p.x, fma(m[2][1], p.y, fma(m[2][2], p.z, m[2][3])))};
}

// The same directions about another origin.
TS_INLINE Axes about(const Axes& a, const Vec3& origin) {
  const auto& m = a.m;
  return {{{m[0][0], m[0][1], m[0][2], origin.x},
           {m[1][0], m[1][1], m[1][2], origin.y},
           {m[2][0], m[2][1], m[2][2], origin.z}}};
}

TS_INLINE Quat quat_of_nearest_rotation(const Axes& a) {
  const auto& m = a.m;
  return quat_of_nearest_rotation(
      Mat3{{{m[0][0], m[0][1], m[0][2]}, {m[1][0], m[1][1], m[1][2]}, {m[2][0], m[2][1], m[2][2]}}});
}

// What the scales of Gaussians on a triangle are multiplied by.
TS_INLINE f32 size_of(const TriangleAxes& t, bool inverse_length) {
  return inverse_length ? f32(1.0f) / t.length : t.length;
}

// A triangle's directions, times a size, about its centre.
TS_INLINE Axes sized_axes(const TriangleAxes& t, f32 size) {
  const auto& r = t.rotation.m;
  return {{{size * r[0][0], size * r[0][1], size * r[0][2], t.centre.x},
           {size * r[1][0], size * r[1][1], size * r[1][2], t.centre.y},
           {size * r[2][0], size * r[2][1], size * r[2][2], t.centre.z}}};
}

TS_TARGET_END
