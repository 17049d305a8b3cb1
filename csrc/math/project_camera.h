// SPDX-License-Identifier: Apache-2.0
// ProjectCamera — a camera as project reads it, in plain floats: the same for a CPU's lanes and for a GPU's jobs.
#pragma once

namespace ts {

struct ProjectCamera {
  float r[9], t[3];      // cam_from_world: x_c = r x_w + t, r row-major
  float fx, fy, cx, cy;  // pixels
  float near_plane;
  float limit_x, limit_y;  // of x/z and y/z inside the Jacobian: 1.3 times the half field of view
  float dilation;          // px^2
  float eye_w[3];          // where spherical harmonics are seen from
};

}  // namespace ts
