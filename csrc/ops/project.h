// SPDX-License-Identifier: Apache-2.0
// project — world Gaussians to screen ellipses.
#pragma once
#include <cstdint>

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

}  // namespace ts
