// SPDX-License-Identifier: Apache-2.0
// project — world Gaussians to screen ellipses.
#pragma once
#include <cstdint>

#include "math/project_camera.h"
#include "math/splat.h"
#include "ops/camera.h"
#include "ops/gaussians.h"

namespace ts {

// Visible: camera depth above the near plane, everything finite, opacity >= 1/255, and a support (the reference's
// 3-sigma square of whole tiles, cut by the ellipse where alpha >= 1/255) that meets the image.
struct ProjectArgs {
  GaussianView gaussians;  // world
  Camera camera;
  int width, height;  // pixels
  float dilation;     // px^2, added to the diagonal of the 2-D covariance
  Splat* splat;       // [n]                                                            (out, visible rows only)
  uint32_t* visible;  // [n] indices of the visible ones                                 (out)
};

// What project reads of a camera and an image of width x height pixels.
TS_INLINE ProjectCamera project_camera(const Camera& camera, int width, int height, float dilation) {
  ProjectCamera c;
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) c.r[3 * row + column] = camera.cam_from_world[4 * row + column];
    c.t[row] = camera.cam_from_world[4 * row + 3];
  }
  c.fx = camera.fx, c.fy = camera.fy, c.cx = camera.cx, c.cy = camera.cy;
  c.near_plane = camera.near_plane;
  c.limit_x = 1.3f * (0.5f * static_cast<float>(width) / camera.fx);
  c.limit_y = 1.3f * (0.5f * static_cast<float>(height) / camera.fy);
  c.dilation = dilation;
  camera_position(camera, c.eye_w);
  return c;
}

}  // namespace ts
