// SPDX-License-Identifier: Apache-2.0
// triangle_axes — the local axes of a triangle that Gaussians are bound to (Qian et al. 2024, "GaussianAvatars",
// section 3.1): first edge, normal and their cross product as columns, mean of edge and height as size.
#pragma once
#include "math/quat.h"

TS_TARGET_BEGIN

struct Vec3 {
  f32 x, y, z;
};

TS_INLINE Vec3 operator-(const Vec3& a, const Vec3& b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
TS_INLINE f32 dot(const Vec3& a, const Vec3& b) { return fma(a.x, b.x, fma(a.y, b.y, a.z * b.z)); }
TS_INLINE Vec3 cross(const Vec3& a, const Vec3& b) {
  return {fnma(a.z, b.y, a.y * b.z), fnma(a.x, b.z, a.z * b.x), fnma(a.y, b.x, a.x * b.y)};
}

// The floor of the reference: a vector of length 0 has length 1e-10 and stays 0 when normalised.
TS_INLINE f32 length(const Vec3& a) { return sqrt(max(dot(a, a), f32(1e-20f))); }
TS_INLINE Vec3 unit(const Vec3& a) {
  const f32 inverse = f32(1.0f) / length(a);
  return {a.x * inverse, a.y * inverse, a.z * inverse};
}

struct TriangleAxes {
  Mat3 rotation;  // columns: edge, normal, -(normal x edge); zero columns where the triangle is degenerate
  Vec3 centre;
  f32 length;  // > 0
};

TS_INLINE TriangleAxes triangle_axes(const Vec3& a, const Vec3& b, const Vec3& c) {
  const Vec3 edge = b - a, side = c - a;
  const Vec3 a0 = unit(edge);
  const Vec3 a1 = unit(cross(a0, side));
  const Vec3 n = unit(cross(a1, a0));
  const Vec3 a2 = {-n.x, -n.y, -n.z};
  const f32 third(1.0f / 3);
  return {{{{a0.x, a1.x, a2.x}, {a0.y, a1.y, a2.y}, {a0.z, a1.z, a2.z}}},
          {(a.x + b.x + c.x) * third, (a.y + b.y + c.y) * third, (a.z + b.z + c.z) * third},
          f32(0.5f) * (length(edge) + abs(dot(a2, side)))};
}

TS_TARGET_END
