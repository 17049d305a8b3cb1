// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/cuda/job.h"
#include "kernels/cuda/splat.h"

namespace ts::cuda {

constexpr int kProjectThreads = 256;  // a Gaussian each

// A camera as kernels read it: math/project.h, CameraLanes.
struct CameraJob {
  float r[9], t[3];  // cam_from_world
  float fx, fy, cx, cy;
  float near_plane;
  float limit_x, limit_y;
  float dilation;
  float eye_w[3];  // where SH is seen from
};

// A layer. Of a splat that is not visible only the key is written.
struct ProjectJob {
  int32_t n;
  int32_t width, height;  // pixels
  int32_t sh_degree, sh_stride;
  const float* mean_w;   // [n,3]
  const float* quat;     // [n,4]
  const float* scale;    // [n,3]
  const float* opacity;  // [n]
  const float* color;    // [n,3], or [n,sh_stride,3]
  CameraJob camera;
  BlendSplat* blend;     // [n]                                             (out)
  BinSplat* bin;         // [n]                                             (out)
  SplatColor* color_px;  // [n]; nullptr: in fast precision                 (out)
  uint32_t* key;         // [n] kHidden, or the depth's bits                (out)
  LayerStatus* status;   // depth_min, depth_max, n_visible                 (out)
};

}  // namespace ts::cuda
