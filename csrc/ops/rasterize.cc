// SPDX-License-Identifier: Apache-2.0
#include "ops/rasterize.h"

#include <cmath>

namespace ts {

Status check(const RasterizeArgs& args) {
  TS_RETURN_IF_ERROR(check(args.gaussians));
  TS_RETURN_IF_ERROR(check(args.camera));
  TS_RETURN_IF_ERROR(check(args.image));
  if (!(args.dilation > 0 && std::isfinite(args.dilation)))
    return error(StatusCode::kInvalidArgument,
                 "rasterize: dilation must be positive px^2; got %g. The reference uses %g.", args.dilation, kDilation);
  return check(args.background);
}

}  // namespace ts
