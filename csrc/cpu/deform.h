// SPDX-License-Identifier: Apache-2.0
// deform on the CPU.
#pragma once
#include "ops/deform.h"

namespace ts {

// out: the Gaussians after the program. A program of no stages moves nothing and copies nothing: `out` is the view that
// came in.
Status deform_cpu(const DeformArgs& args, GaussianView& out);

}  // namespace ts
