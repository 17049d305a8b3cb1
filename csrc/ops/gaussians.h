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

// n rows from `first` on.
TS_INLINE GaussianView rows_of(GaussianView view, int64_t first, int64_t n) {
  const auto at = [&](const float* rows, int64_t columns) { return rows ? rows + first * columns : nullptr; };
  view.mean = at(view.mean, 3), view.quat = at(view.quat, 4), view.scale = at(view.scale, 3);
  view.opacity = at(view.opacity, 1), view.color = at(view.color, color_stride(view));
  view.n = n;
  return view;
}

struct GaussianRows {
  float* mean = nullptr;     // [n,3]
  float* quat = nullptr;     // [n,4] wxyz, unit
  float* scale = nullptr;    // [n,3]
  float* opacity = nullptr;  // [n]
  float* color = nullptr;    // as in the view that they are made from
};

Status check(const GaussianView& gaussians);

}  // namespace ts
