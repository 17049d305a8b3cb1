// SPDX-License-Identifier: Apache-2.0
// affine — 3x4 transforms and rotations in float64, for the few joints of a frame.
#pragma once
#include <cmath>

#include "math/target.h"

TS_TARGET_BEGIN

struct Affine {
  double m[12];  // row-major 3x4; the last row 0 0 0 1 is understood
};

TS_INLINE Affine compose(const Affine& a, const Affine& b) {
  Affine c;
  for (int row = 0; row < 3; ++row) {
    const double* r = a.m + 4 * row;
    for (int column = 0; column < 4; ++column) {
      c.m[4 * row + column] = r[0] * b.m[column] + r[1] * b.m[4 + column] + r[2] * b.m[8 + column];
    }
    c.m[4 * row + 3] += r[3];
  }
  return c;
}

// Rotation matrix of a unit quaternion wxyz.
TS_INLINE void rotation_of(const double* q, double r[9]) {
  const double w = q[0], x = q[1], y = q[2], z = q[3];
  r[0] = 1 - 2 * (y * y + z * z), r[1] = 2 * (x * y - w * z), r[2] = 2 * (x * z + w * y);
  r[3] = 2 * (x * y + w * z), r[4] = 1 - 2 * (x * x + z * z), r[5] = 2 * (y * z - w * x);
  r[6] = 2 * (x * z - w * y), r[7] = 2 * (y * z + w * x), r[8] = 1 - 2 * (x * x + y * y);
}

// q = q * p (Hamilton).
TS_INLINE void rotate_further(double* q, const double* p) {
  const double w = q[0], x = q[1], y = q[2], z = q[3];
  q[0] = w * p[0] - x * p[1] - y * p[2] - z * p[3];
  q[1] = w * p[1] + x * p[0] + y * p[3] - z * p[2];
  q[2] = w * p[2] - x * p[3] + y * p[0] + z * p[1];
  q[3] = w * p[3] + x * p[2] - y * p[1] + z * p[0];
}

// Unit quaternion of an axis-angle vector in radians. Exact to rounding for every finite angle, 0 included: below
// 1e-4 rad sin(a/2)/a is 1/2 - a^2/48 to the last bit.
TS_INLINE void quat_of_axis_angle(const float* r, double q[4]) {
  const double x = r[0], y = r[1], z = r[2];
  const double angle = std::sqrt(x * x + y * y + z * z);
  const double k = angle < 1e-4 ? 0.5 - angle * angle / 48 : std::sin(0.5 * angle) / angle;
  q[0] = std::cos(0.5 * angle), q[1] = k * x, q[2] = k * y, q[3] = k * z;
}

TS_TARGET_END
