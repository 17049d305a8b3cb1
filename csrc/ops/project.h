// project — world Gaussians to screen ellipses.
#pragma once
#include <cstdint>

#include "math/splat.h"
#include "talksplat.h"

namespace ts {

// One contiguous range of Gaussians and where its visible ones are listed.
struct ProjectPart {
  int64_t begin, end;  // Gaussians; begin is a multiple of kProjectGrain
  int64_t n_visible;   // entries of visible[begin ...]                                      (out)
};
constexpr int64_t kProjectGrain = 16;
constexpr int kMaxParts = 64;

struct ProjectArgs {
  int64_t n;             // Gaussians
  const float* mean_w;   // [n,3] world
  const float* quat;     // [n,4] wxyz; normalised here
  const float* scale;    // [n,3] standard deviations
  const float* opacity;  // [n]
  const float* color;    // [n,3] RGB, or [n,sh_stride,3] SH
  int sh_degree;         // -1: RGB
  int sh_stride;         // SH coefficients stored per Gaussian
  ts_camera camera;
  int width, height;   // pixels
  float dilation;      // px^2
  Splat* splat;        // [n]                                                          (out, visible rows only)
  uint32_t* visible;   // [n] indices, ascending in each part (out)
  ProjectPart* parts;  // [n_parts]
  int n_parts;
};

// Splits [0, n) into args.n_parts parts.
void split_parts(const ProjectArgs& args);

// KernelTable::project_part does one of them. Visible: camera depth above the near plane, everything finite, opacity >=
// 1/255, and a support (the reference's 3-sigma square of whole tiles, cut by the ellipse where alpha >= 1/255) that
// meets the image.

}  // namespace ts
