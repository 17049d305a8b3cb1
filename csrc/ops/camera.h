// SPDX-License-Identifier: Apache-2.0
// Camera — a pinhole camera in OpenCV's axes: x right, y down, z forward.
#pragma once
#include "core/status.h"

namespace ts {

struct Camera {
  float cam_from_world[16];  // row-major 4x4, last row 0 0 0 1
  float fx, fy, cx, cy;      // pixels; cx = width / 2 is the middle
  float near_plane;          // Gaussians at camera depth <= this are culled; 0.2 in the reference
};

Status check(const Camera& camera);

}  // namespace ts
