// SPDX-License-Identifier: Apache-2.0
// project — world Gaussians to screen ellipses.
// Maths    math/project.h, math/sh.h; specs of the reference rasteriser. Departs from it: the support is also cut by
//          the ellipse where alpha >= 1/255 (no pixel changes), the determinant is computed without cancellation, and
//          quaternions are normalised
// Launch   one part of the Gaussians at a time; kLanes Gaussians per step
// Reads    mean_w [n,3] · quat [n,4] · scale [n,3] · opacity [n] · color [n,3] or [n,K,3]     56 B each, more with SH
// Writes   splat [n] 64 B and visible [n] 4 B, of the visible ones
// Cost     O(n), about 150 operations a Gaussian; bound by arithmetic
// Order    visible is in index order; the picture does not depend on the number of parts
// Edges    n = 0 does nothing; NaN or infinity in any field hides that Gaussian alone
// Oracle   tests/reference/project.py      Bench  bench/ops/bench_raster.py
#include "math/project.h"

#include "cpu/kernels/kernels.h"
#include "cpu/kernels/splat_lanes.h"
#include "math/sh.h"

TS_TARGET_BEGIN

namespace {

CameraLanes camera_lanes(const ProjectArgs& args) {
  const Camera& camera = args.camera;
  CameraLanes c;
  for (int row = 0; row < 3; ++row) {
    for (int col = 0; col < 3; ++col) c.r[3 * row + col] = f32(camera.cam_from_world[4 * row + col]);
    c.t[row] = f32(camera.cam_from_world[4 * row + 3]);
  }
  c.fx = f32(camera.fx), c.fy = f32(camera.fy), c.cx = f32(camera.cx), c.cy = f32(camera.cy);
  c.near_plane = f32(camera.near_plane);
  c.limit_x = f32(1.3f * (0.5f * static_cast<float>(args.width) / camera.fx));
  c.limit_y = f32(1.3f * (0.5f * static_cast<float>(args.height) / camera.fy));
  c.dilation = f32(args.dilation);
  return c;
}

// colour = max(0, SH . basis(direction) + 0.5). Coefficients of kLanes Gaussians are `stride` floats apart.
TS_INLINE void sh_color(int degree, int sh_stride, const float* sh, const f32 direction[3], f32 rgb[3]) {
  const f32 length2 = fma(direction[0], direction[0], fma(direction[1], direction[1], direction[2] * direction[2]));
  const f32 inv = f32(1.0f) / sqrt(length2);
  f32 basis[16];
  sh_basis(degree, direction[0] * inv, direction[1] * inv, direction[2] * inv, basis);
  const int stride = sh_stride * 3, used = sh_coefficients(degree) * 3;
  alignas(64) float gathered[48 * kLanes];  // [coefficient][lane]
  transpose_rows(sh, stride, used, gathered);
  for (int c = 0; c < 3; ++c) {
    rgb[c] = f32(0.5f);
    for (int i = c, k = 0; i < used; i += 3, ++k) rgb[c] = fma(basis[k], load(gathered + i * kLanes), rgb[c]);
    // What is not finite stays so: the caller hides it.
    rgb[c] = select(is_finite(rgb[c]), max(f32(0.0f), rgb[c]), rgb[c]);
  }
}

// Tile rectangle [x0, x1) along one axis: the 3-sigma square's whole tiles, cut by the ellipse's extent.
TS_INLINE void tile_range(f32 centre, f32 square, f32 extent, int tiles, i32& begin, i32& end) {
  const f32 limit(static_cast<float>(tiles)), zero(0.0f), inv(1.0f / kTile);
  const f32 first = max(floor((centre - square) * inv), floor((centre - extent) * inv));
  const f32 square_end = floor((centre + square + f32(kTile - 1.0f)) * inv);
  const f32 extent_end = floor((centre + extent) * inv) + f32(1.0f);
  begin = truncate_to_int(clamp(first, zero, limit));
  end = truncate_to_int(clamp(min(square_end, extent_end), zero, limit));
}

// One step of kLanes Gaussians; count of them are real. Returns the mask of visible ones.
TS_INLINE mask step(const ProjectArgs& args, const CameraLanes& camera, const float* eye, int count, const float* mean,
                    const float* quat, const float* scale, const float* opacity, const float* color, int sh_stride,
                    Splat* out) {
  f32 m[3], q[4], s[3], rgb[3];
  load3(mean, m[0], m[1], m[2]);
  load4(quat, q[0], q[1], q[2], q[3]);
  load3(scale, s[0], s[1], s[2]);
  // 1 at most: the reference's activations cannot exceed it, and alpha is clamped below it anyway. Zero, negative and
  // NaN become log2 of a tiny number: below 1/255, invisible.
  const f32 o = load(opacity);
  const f32 log2_opacity = log2_accurate(select((o > f32(1e-6f)) && is_finite(o), min(o, f32(1.0f)), f32(1e-6f)));
  Ellipse e = project(camera, m[0], m[1], m[2], q[0], q[1], q[2], q[3], s[0], s[1], s[2], log2_opacity);
  e.visible = e.visible && first_lanes(count);
  if (!any(e.visible)) return e.visible;

  i32 x0, x1, y0, y1;
  tile_range(e.x_px, e.square_px, e.x_extent, tiles_across(args.width), x0, x1);
  tile_range(e.y_px, e.square_px, e.y_extent, tiles_across(args.height), y0, y1);
  e.visible = e.visible && (x0 < x1) && (y0 < y1);
  if (!any(e.visible)) return e.visible;

  if (args.gaussians.sh_degree < 0) {
    load3(color, rgb[0], rgb[1], rgb[2]);
  } else {
    const f32 direction[3] = {m[0] - f32(eye[0]), m[1] - f32(eye[1]), m[2] - f32(eye[2])};
    sh_color(args.gaussians.sh_degree, sh_stride, color, direction, rgb);
  }
  for (const f32& c : rgb) e.visible = e.visible && is_finite(c);

  const f32 block_x0 = to_float(x0 << 2), block_x1 = to_float((x1 << 2) - i32(1));
  static_assert(kTile / kBlock == 1 << 2);
  f32 fields[kSplatFields];
  fields[kSplatX] = e.x_px, fields[kSplatY] = e.y_px;
  fields[kSplatA] = e.a, fields[kSplatD] = e.d;
  fields[kSplatLog2Opacity] = log2_opacity;
  fields[kSplatRed] = rgb[0], fields[kSplatGreen] = rgb[1], fields[kSplatBlue] = rgb[2];
  fields[kSplatDepth] = e.depth;
  fields[kSplatReach] = e.reach, fields[kSplatYAtXExtreme] = e.y_at_x_extreme;
  fields[kSplatInvA] = e.inv_a, fields[kSplatSlope] = e.slope;
  fields[kSplatBlockX0] = block_x0, fields[kSplatBlockX1] = block_x1;
  fields[kSplatTileY] = float_of(y0 | (y1 << 16));
  store_splats(out, bits(e.visible), fields);
  return e.visible;
}

}  // namespace

void project_part(const ProjectArgs& args, ProjectPart& part) {
  const CameraLanes camera = camera_lanes(args);
  const GaussianView& g = args.gaussians;
  float eye[3];
  camera_position(args.camera, eye);
  const int64_t stride = color_stride(g);
  uint32_t* out = args.visible + part.begin;

  for (int64_t i = part.begin; i < part.end; i += kLanes) {
    const int count = part.end - i < kLanes ? static_cast<int>(part.end - i) : kLanes;
    mask visible;
    if (count == kLanes) {
      visible = step(args, camera, eye, count, g.mean + 3 * i, g.quat + 4 * i, g.scale + 3 * i, g.opacity + i,
                     g.color + stride * i, g.sh_stride, args.splat + i);
    } else {  // the last, partial step reads from a padded copy
      alignas(64) float mean[3 * kLanes] = {}, quat[4 * kLanes] = {}, scale[3 * kLanes] = {}, opacity[kLanes] = {};
      alignas(64) float color[3 * kMaxShCoefficients * kLanes] = {};
      const int used = g.sh_degree < 0 ? 3 : 3 * sh_coefficients(g.sh_degree);
      for (int k = 0; k < count; ++k) {
        for (int c = 0; c < 3; ++c) mean[3 * k + c] = g.mean[3 * (i + k) + c];
        for (int c = 0; c < 4; ++c) quat[4 * k + c] = g.quat[4 * (i + k) + c];
        for (int c = 0; c < 3; ++c) scale[3 * k + c] = g.scale[3 * (i + k) + c];
        opacity[k] = g.opacity[i + k];
        for (int c = 0; c < used; ++c) color[used * k + c] = g.color[stride * (i + k) + c];
      }
      visible = step(args, camera, eye, count, mean, quat, scale, opacity, color, used / 3, args.splat + i);
    }
    for (uint32_t rest = bits(visible); rest; rest &= rest - 1) *out++ = static_cast<uint32_t>(i + __builtin_ctz(rest));
  }
  part.n_visible = out - (args.visible + part.begin);
}

TS_TARGET_END
