// SPDX-License-Identifier: Apache-2.0
// GaussianView and GaussianRows — n Gaussians to read, and rows to write some to: the one form in which ops hand them
// on. All are activated (opacity is no logit, scale no logarithm), in world space unless the user says otherwise.
#pragma once
#include <cstdint>

#include "core/status.h"
#include "math/target.h"

namespace ts {

// Times the spans of a row of the widest image, 256, this is still a uint32_t.
constexpr int64_t kMaxGaussians = (int64_t{1} << 24) - 1;
constexpr int kMaxShDegree = 3, kMaxShCoefficients = 16;

TS_INLINE constexpr int sh_coefficients(int degree) { return (degree + 1) * (degree + 1); }

struct GaussianView {
  int64_t n = 0;
  const float* mean = nullptr;     // [n,3]
  const float* quat = nullptr;     // [n,4] wxyz, any length > 0; project normalises
  const float* scale = nullptr;    // [n,3] standard deviations
  const float* opacity = nullptr;  // [n]
  const float* color = nullptr;    // [n,3] RGB, or [n,sh_stride,3] coefficients of spherical harmonics
  int sh_degree = -1;              // -1: RGB
  int sh_stride = 0;               // coefficients stored per Gaussian; 0 for RGB
};
// Floats of a row of `color`.
TS_INLINE int64_t color_stride(const GaussianView& g) { return g.sh_degree < 0 ? 3 : 3 * int64_t{g.sh_stride}; }

struct GaussianRows {
  float* mean = nullptr;     // [n,3]
  float* quat = nullptr;     // [n,4] wxyz, unit
  float* scale = nullptr;    // [n,3]
  float* opacity = nullptr;  // [n]
  float* color = nullptr;    // as in the view that they are made from
};

Status check(const GaussianView& gaussians);

}  // namespace ts
