// SPDX-License-Identifier: Apache-2.0
// project — a 3-D Gaussian through a pinhole camera to a screen ellipse: EWA splatting (Zwicker et al. 2001) with the
// clamps, the dilation and the 3-sigma support of the reference rasteriser (Kerbl et al. 2023).
#pragma once
#include "math/lanes.h"
#include "math/splat.h"

TS_TARGET_BEGIN

struct CameraLanes {
  f32 r[9], t[3];  // cam_from_world
  f32 fx, fy, cx, cy;
  f32 near_plane;
  f32 limit_x, limit_y;  // of x/z and y/z inside the Jacobian: 1.3 times the half field of view
  f32 dilation;
};

struct Ellipse {
  f32 x_px, y_px, a, d, reach, y_at_x_extreme, inv_a, slope;  // as in Splat
  f32 depth;
  f32 x_extent, y_extent;  // half width and height of the ellipse where alpha = 1/255, px
  f32 square_px;           // half side of the 3-sigma square, a whole number
  mask visible;
};

// mean and scale in world units, quat of any length > 0, log2_opacity finite where visible.
TS_INLINE Ellipse project(const CameraLanes& cam, f32 mx, f32 my, f32 mz, f32 qw, f32 qx, f32 qy, f32 qz, f32 sx,
                          f32 sy, f32 sz, f32 log2_opacity) {
  Ellipse e;
  const f32 x = fma(cam.r[0], mx, fma(cam.r[1], my, fma(cam.r[2], mz, cam.t[0])));
  const f32 y = fma(cam.r[3], mx, fma(cam.r[4], my, fma(cam.r[5], mz, cam.t[1])));
  const f32 z = fma(cam.r[6], mx, fma(cam.r[7], my, fma(cam.r[8], mz, cam.t[2])));
  e.depth = z;

  const f32 inv_z = f32(1.0f) / z;
  // The reference divides the centre (only) by z + 1e-7.
  const f32 inv_zc = f32(1.0f) / (z + f32(1e-7f));
  e.x_px = fma(cam.fx * x, inv_zc, cam.cx - f32(0.5f));
  e.y_px = fma(cam.fy * y, inv_zc, cam.cy - f32(0.5f));

  // Jacobian rows [j0 0 j2], [0 k1 k2] with the clamped direction.
  const f32 j0 = cam.fx * inv_z, k1 = cam.fy * inv_z;
  const f32 j2 = -(j0 * clamp(x * inv_z, -cam.limit_x, cam.limit_x));
  const f32 k2 = -(k1 * clamp(y * inv_z, -cam.limit_y, cam.limit_y));
  // Rows of J W (world to screen).
  const f32 u0 = fma(j0, cam.r[0], j2 * cam.r[6]), u1 = fma(j0, cam.r[1], j2 * cam.r[7]);
  const f32 u2 = fma(j0, cam.r[2], j2 * cam.r[8]);
  const f32 v0 = fma(k1, cam.r[3], k2 * cam.r[6]), v1 = fma(k1, cam.r[4], k2 * cam.r[7]);
  const f32 v2 = fma(k1, cam.r[5], k2 * cam.r[8]);

  // Rotation matrix of q / |q|.
  const f32 n = f32(2.0f) / fma(qw, qw, fma(qx, qx, fma(qy, qy, qz * qz)));
  const f32 xs = n * qx, ys = n * qy, zs = n * qz;
  const f32 xx = xs * qx, yy = ys * qy, zz = zs * qz, xy = xs * qy, xz = xs * qz, yz = ys * qz;
  const f32 wx = xs * qw, wy = ys * qw, wz = zs * qw;
  const f32 one(1.0f);
  const f32 r00 = one - (yy + zz), r01 = xy - wz, r02 = xz + wy;
  const f32 r10 = xy + wz, r11 = one - (xx + zz), r12 = yz - wx;
  const f32 r20 = xz - wy, r21 = yz + wx, r22 = one - (xx + yy);

  // Rows p, q of J W R S; the covariance is their Gram matrix plus the dilation.
  const f32 p0 = fma(u0, r00, fma(u1, r10, u2 * r20)) * sx, q0 = fma(v0, r00, fma(v1, r10, v2 * r20)) * sx;
  const f32 p1 = fma(u0, r01, fma(u1, r11, u2 * r21)) * sy, q1 = fma(v0, r01, fma(v1, r11, v2 * r21)) * sy;
  const f32 p2 = fma(u0, r02, fma(u1, r12, u2 * r22)) * sz, q2 = fma(v0, r02, fma(v1, r12, v2 * r22)) * sz;
  const f32 pp = fma(p0, p0, fma(p1, p1, p2 * p2)), qq = fma(q0, q0, fma(q1, q1, q2 * q2));
  const f32 cov_xy = fma(p0, q0, fma(p1, q1, p2 * q2));
  const f32 cov_xx = pp + cam.dilation, cov_yy = qq + cam.dilation;
  // det = |p x q|^2 + dilation (|p|^2 + |q|^2 + dilation), by Lagrange's identity: xx yy - xy^2 would cancel for
  // needles.
  const f32 c0 = fnma(p2, q1, p1 * q2), c1 = fnma(p0, q2, p2 * q0), c2 = fnma(p1, q0, p0 * q1);
  const f32 det = fma(c0, c0, fma(c1, c1, fma(c2, c2, cam.dilation * (pp + qq + cam.dilation))));

  const f32 k(0.7213475204444817f);  // log2(e) / 2
  const f32 inv_yy = one / cov_yy;
  e.d = sqrt(k * inv_yy);
  e.a = sqrt(k * cov_yy / det);
  e.inv_a = one / e.a;
  e.slope = cov_xy * inv_yy;

  // A little more than needed, so that rounding cannot lose a pixel whose alpha is 1/255.
  const f32 reach = log2_opacity - f32(kLog2MinAlpha);
  e.reach = fma(reach, f32(1.0001f), f32(1e-4f));
  const f32 scaled = e.reach * f32(1.0f / 0.7213475204444817f);  // dx^T conic dx on the border
  e.x_extent = sqrt(scaled * cov_xx), e.y_extent = sqrt(scaled * cov_yy);
  e.y_at_x_extreme = cov_xy * e.x_extent / cov_xx;

  const f32 mid = f32(0.5f) * (cov_xx + cov_yy);
  const f32 lambda = mid + sqrt(max(f32(0.1f), fma(mid, mid, -det)));
  e.square_px = -floor(-(f32(3.0f) * sqrt(lambda)));

  e.visible = (n > f32(0.0f)) && (z > cam.near_plane) && (reach >= f32(0.0f)) && (det > f32(0.0f)) &&
              is_finite(e.x_px) && is_finite(e.y_px) && is_finite(e.a) && is_finite(e.slope) && (e.d > f32(0.0f)) &&
              is_finite(e.square_px);
  return e;
}

TS_TARGET_END
