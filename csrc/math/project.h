// SPDX-License-Identifier: Apache-2.0
// project — a 3-D Gaussian through a pinhole camera to a screen ellipse: EWA splatting (Zwicker et al. 2001) with the
// clamps, the dilation and the 3-sigma support of the reference rasteriser (Kerbl et al. 2023).
#pragma once
#include "math/lanes.h"
#include "math/project_camera.h"
#include "math/splat.h"

TS_TARGET_BEGIN

// ProjectCamera, each field in every lane.
struct CameraLanes {
  f32 r[9], t[3];
  f32 fx, fy, cx, cy;
  f32 near_plane;
  f32 limit_x, limit_y;
  f32 dilation;
  f32 eye_w[3];
};

TS_INLINE CameraLanes camera_lanes(const ProjectCamera& camera) {
  CameraLanes c;
  for (int i = 0; i < 9; ++i) c.r[i] = f32(camera.r[i]);
  for (int i = 0; i < 3; ++i) c.t[i] = f32(camera.t[i]), c.eye_w[i] = f32(camera.eye_w[i]);
  c.fx = f32(camera.fx), c.fy = f32(camera.fy), c.cx = f32(camera.cx), c.cy = f32(camera.cy);
  c.near_plane = f32(camera.near_plane);
  c.limit_x = f32(camera.limit_x), c.limit_y = f32(camera.limit_y);
  c.dilation = f32(camera.dilation);
  return c;
}

// log2 of an opacity. 1 at most: the reference's activations cannot exceed it, and alpha is clamped below it anyway. Zero,
// negative and NaN become log2 of a tiny number: below 1/255, invisible.
TS_INLINE f32 log2_of_opacity(f32 opacity) {
  const mask positive = (opacity > f32(1e-6f)) && is_finite(opacity);
  return log2_accurate(select(positive, min(opacity, f32(1.0f)), f32(1e-6f)));
}

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

// Tile rectangle [begin, end) along one axis: the 3-sigma square's whole tiles, cut by the ellipse's extent.
TS_INLINE void tile_range(f32 centre, f32 square, f32 extent, int tiles, i32& begin, i32& end) {
  const f32 limit(static_cast<float>(tiles)), zero(0.0f), inv(1.0f / kTile);
  const f32 first = max(floor((centre - square) * inv), floor((centre - extent) * inv));
  const f32 square_end = floor((centre + square + f32(kTile - 1.0f)) * inv);
  const f32 extent_end = floor((centre + extent) * inv) + f32(1.0f);
  begin = truncate_to_int(clamp(first, zero, limit));
  end = truncate_to_int(clamp(min(square_end, extent_end), zero, limit));
}

// Where an ellipse may be seen in the image, as Splat has it.
struct Cover {
  i32 block_x0, block_x1;  // both inclusive
  i32 tile_y0, tile_y1;    // end exclusive
  mask hit;                // whether there is such a tile
};

TS_INLINE Cover cover(const Ellipse& e, int tiles_x, int tiles_y) {
  i32 x0, x1, y0, y1;
  tile_range(e.x_px, e.square_px, e.x_extent, tiles_x, x0, x1);
  tile_range(e.y_px, e.square_px, e.y_extent, tiles_y, y0, y1);
  static_assert(kTile / kBlock == 1 << 2);
  return {x0 << 2, (x1 << 2) - i32(1), y0, y1, (x0 < x1) && (y0 < y1)};
}

TS_TARGET_END
