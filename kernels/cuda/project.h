// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/cuda/job.h"
#include "kernels/cuda/splat.h"
#include "math/project_camera.h"

namespace ts::cuda {

constexpr int kProjectThreads = 256;  // a Gaussian each

// A layer. Of a splat that is not visible only the key is written.
struct ProjectJob {
  int32_t n;
  int32_t width, height;  // pixels
  int32_t sh_degree, sh_stride;
  const float* mean_w;   // [n,3]
  const float* quat;     // [n,4]; begins at a multiple of 16 bytes, as color does
  const float* scale;    // [n,3]
  const float* opacity;  // [n]
  const float* color;    // [n,3], or [n,sh_stride,3]
  ProjectCamera camera;
  BlendSplat* blend;     // [n]                                             (out)
  BinSplat* bin;         // [n]                                             (out)
  SplatColor* color_px;  // [n]; nullptr: in fast precision                 (out)
  uint32_t* key;         // [n] kHidden, or the depth's bits                (out)
  LayerStatus* status;   // depth_min, depth_max, n_visible                 (out)
};

}  // namespace ts::cuda
