// SPDX-License-Identifier: Apache-2.0
// Camera — a pinhole camera in OpenCV's axes: x right, y down, z forward.
#pragma once
#include "core/status.h"
#include "math/target.h"

namespace ts {

struct Camera {
  float cam_from_world[16];  // row-major 4x4, last row 0 0 0 1
  float fx, fy, cx, cy;      // pixels; cx = width / 2 is the middle
  float near_plane;          // Gaussians at camera depth <= this are culled; 0.2 in the reference
};

Status check(const Camera& camera);

// Its centre in the world, -R^T t for a rotation R.
TS_INLINE void camera_position(const Camera& camera, float position[3]) {
  const float* m = camera.cam_from_world;
  for (int i = 0; i < 3; ++i) position[i] = -(m[i] * m[3] + m[4 + i] * m[7] + m[8 + i] * m[11]);
}

}  // namespace ts
