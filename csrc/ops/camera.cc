// SPDX-License-Identifier: Apache-2.0
#include "ops/camera.h"

#include <cmath>

namespace ts {

Status check(const Camera& camera) {
  const auto invalid = StatusCode::kInvalidArgument;
  for (int i = 0; i < 16; ++i)
    if (!std::isfinite(camera.cam_from_world[i]))
      return error(invalid, "camera: cam_from_world[%d] must be finite; got %g.", i, camera.cam_from_world[i]);
  const float* last = camera.cam_from_world + 12;
  if (last[0] != 0 || last[1] != 0 || last[2] != 0 || last[3] != 1)
    return error(invalid, "camera: the last row of cam_from_world must be 0 0 0 1; got %g %g %g %g. Is it transposed?",
                 last[0], last[1], last[2], last[3]);
  if (!(camera.fx > 0 && camera.fy > 0 && std::isfinite(camera.fx) && std::isfinite(camera.fy)))
    return error(invalid, "camera: fx and fy must be positive pixels; got %g, %g.", camera.fx, camera.fy);
  if (!std::isfinite(camera.cx) || !std::isfinite(camera.cy))
    return error(invalid, "camera: cx and cy must be finite pixels; got %g, %g.", camera.cx, camera.cy);
  if (!(camera.near_plane > 0 && std::isfinite(camera.near_plane)))
    return error(invalid, "camera: near_plane must be positive; got %g. The reference uses 0.2.", camera.near_plane);
  return {};
}

}  // namespace ts
