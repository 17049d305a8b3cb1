// SPDX-License-Identifier: Apache-2.0
// rasterize — project, bin, blend and finish in order: Gaussians to a picture.
#pragma once
#include <cstdint>

#include "ops/camera.h"
#include "ops/gaussians.h"
#include "ops/image.h"

namespace ts {

constexpr float kDilation = 0.3f;  // px^2; the reference's, which every supported trainer used

struct RasterizeArgs {
  GaussianView gaussians;  // world; those that are not finite are skipped
  Camera camera;
  Background background;
  float dilation = kDilation;  // px^2, added to the diagonal of the 2-D covariance
  Precision precision = Precision::kReference;
  Image image;
  uint8_t* drawn = nullptr;  // FinishArgs
};

// What a frame took, by stage, in microseconds, and what it had to do. A GPU's stages are one graph: only the total is
// told, which is that of all frames that were drawn in the same call.
struct Receipt {
  float pose_us = 0, deform_us = 0;
  float project_us = 0;  // tile spans included
  float bin_us = 0;      // depth sort
  float blend_us = 0;    // finish included
  float total_us = 0;
  uint32_t n_gaussians = 0, n_visible = 0;
  uint64_t n_instances = 0;  // (Gaussian, tile) pairs
  // Visible Gaussians that were left out, the farthest, because the pairs exceeded the memory that a GPU's frame has for
  // them. 0 on a CPU, where it grows.
  uint64_t n_dropped = 0;
};

Status check(const RasterizeArgs& args);

}  // namespace ts
