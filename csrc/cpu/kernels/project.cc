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

// Coefficients of kLanes Gaussians are `stride` floats apart.
TS_INLINE void gathered_sh_color(int degree, int stride, const float* sh, const f32 direction[3], f32 rgb[3]) {
  alignas(64) float columns[3 * kMaxShCoefficients * kLanes];  // [coefficient][lane]
  transpose_rows(sh, stride, 3 * sh_coefficients(degree), columns);
  const auto coefficient = [&](int i) __attribute__((always_inline)) { return load(columns + i * kLanes); };
  sh_color(degree, direction, coefficient, rgb);
}

// One step of kLanes Gaussians; count of them are real. Returns the mask of visible ones.
TS_INLINE mask step(const ProjectArgs& args, const CameraLanes& camera, int count, const float* mean, const float* quat,
                    const float* scale, const float* opacity, const float* color, int sh_stride, Splat* out) {
  f32 m[3], q[4], s[3], rgb[3];
  load3(mean, m[0], m[1], m[2]);
  load4(quat, q[0], q[1], q[2], q[3]);
  load3(scale, s[0], s[1], s[2]);
  const f32 log2_opacity = log2_of_opacity(load(opacity));
  Ellipse e = project(camera, m[0], m[1], m[2], q[0], q[1], q[2], q[3], s[0], s[1], s[2], log2_opacity);
  e.visible = e.visible && first_lanes(count);
  if (!any(e.visible)) return e.visible;

  const Cover at = cover(e, tiles_across(args.width), tiles_across(args.height));
  e.visible = e.visible && at.hit;
  if (!any(e.visible)) return e.visible;

  if (args.gaussians.sh_degree < 0) {
    load3(color, rgb[0], rgb[1], rgb[2]);
  } else {
    const f32 direction[3] = {m[0] - camera.eye_w[0], m[1] - camera.eye_w[1], m[2] - camera.eye_w[2]};
    gathered_sh_color(args.gaussians.sh_degree, 3 * sh_stride, color, direction, rgb);
  }
  for (const f32& c : rgb) e.visible = e.visible && is_finite(c);

  f32 fields[kSplatFields];
  fields[kSplatX] = e.x_px, fields[kSplatY] = e.y_px;
  fields[kSplatA] = e.a, fields[kSplatD] = e.d;
  fields[kSplatLog2Opacity] = log2_opacity;
  fields[kSplatRed] = rgb[0], fields[kSplatGreen] = rgb[1], fields[kSplatBlue] = rgb[2];
  fields[kSplatDepth] = e.depth;
  fields[kSplatReach] = e.reach, fields[kSplatYAtXExtreme] = e.y_at_x_extreme;
  fields[kSplatInvA] = e.inv_a, fields[kSplatSlope] = e.slope;
  fields[kSplatBlockX0] = to_float(at.block_x0), fields[kSplatBlockX1] = to_float(at.block_x1);
  fields[kSplatTileY] = float_of(at.tile_y0 | (at.tile_y1 << 16));
  store_splats(out, bits(e.visible), fields);
  return e.visible;
}

}  // namespace

void project_part(const ProjectArgs& args, ProjectPart& part) {
  const CameraLanes camera = camera_lanes(project_camera(args.camera, args.width, args.height, args.dilation));
  const GaussianView& g = args.gaussians;
  const int64_t stride = color_stride(g);
  uint32_t* out = args.visible + part.begin;

  for (int64_t i = part.begin; i < part.end; i += kLanes) {
    const int count = part.end - i < kLanes ? static_cast<int>(part.end - i) : kLanes;
    mask visible;
    if (count == kLanes) {
      visible = step(args, camera, count, g.mean + 3 * i, g.quat + 4 * i, g.scale + 3 * i, g.opacity + i,
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
      visible = step(args, camera, count, mean, quat, scale, opacity, color, used / 3, args.splat + i);
    }
    for (uint32_t rest = bits(visible); rest; rest &= rest - 1) *out++ = static_cast<uint32_t>(i + __builtin_ctz(rest));
  }
  part.n_visible = out - (args.visible + part.begin);
}

TS_TARGET_END
