// SPDX-License-Identifier: Apache-2.0
#include "cpu/deform.h"

namespace ts {

Status deform_cpu(const DeformArgs& args, GaussianView& out) {
  TS_RETURN_IF_ERROR(check(args));
  out = args.in;
  return {};
}

}  // namespace ts
