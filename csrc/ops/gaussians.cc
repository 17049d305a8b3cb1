// SPDX-License-Identifier: Apache-2.0
#include "ops/gaussians.h"

namespace ts {

Status check(const GaussianView& g) {
  const auto invalid = StatusCode::kInvalidArgument;
  if (g.n < 0 || g.n > kMaxGaussians)
    return error(invalid, "rasterize: n must be in 0..%lld; got %lld.", static_cast<long long>(kMaxGaussians),
                 static_cast<long long>(g.n));
  const struct {
    const char* name;
    const float* data;
  } arrays[] = {{"mean_w", g.mean}, {"quat", g.quat}, {"scale", g.scale}, {"opacity", g.opacity}, {"color", g.color}};
  for (const auto& array : arrays)
    if (g.n > 0 && !array.data)
      return error(invalid, "rasterize: %s must not be NULL when n = %lld.", array.name, static_cast<long long>(g.n));
  if (g.sh_degree < -1 || g.sh_degree > kMaxShDegree)
    return error(invalid, "rasterize: sh_degree must be -1 (RGB) or 0..%d; got %d.", kMaxShDegree, g.sh_degree);
  const int needed = sh_coefficients(g.sh_degree);
  if (g.sh_degree >= 0 && (g.sh_stride < needed || g.sh_stride > kMaxShCoefficients))
    return error(invalid, "rasterize: sh_stride must be in %d..%d coefficients for sh_degree %d; got %d.", needed,
                 kMaxShCoefficients, g.sh_degree, g.sh_stride);
  return {};
}

}  // namespace ts
