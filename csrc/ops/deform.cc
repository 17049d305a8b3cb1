// SPDX-License-Identifier: Apache-2.0
#include "ops/deform.h"

namespace ts {
namespace {

bool overlap(const float* a, const float* b, int64_t floats) { return a && b && a < b + floats && b < a + floats; }

}  // namespace

Status check(const DeformArgs& args) {
  const GaussianView& in = args.in;
  if (in.n < 0)
    return error(StatusCode::kInvalidArgument, "deform: n must be >= 0; got %lld.", static_cast<long long>(in.n));
  if (!args.program) return error(StatusCode::kInvalidArgument, "deform: program must not be NULL.");
  if (args.program->n_stages != 0) {
    return error(StatusCode::kInvalidArgument,
                 "deform: a program must have 0 stages (the identity); got %d. This avatar needs a newer talksplat.",
                 args.program->n_stages);
  }
  const struct {
    const char* name;
    const float *in, *out;
    int64_t columns;
  } arrays[] = {{"mean", in.mean, args.rows.mean, 3},
                {"quat", in.quat, args.rows.quat, 4},
                {"scale", in.scale, args.rows.scale, 3},
                {"opacity", in.opacity, args.rows.opacity, 1},
                {"color", in.color, args.rows.color, color_stride(in)}};
  for (const auto& array : arrays) {
    if (!overlap(array.in, array.out, in.n * array.columns)) continue;
    return error(StatusCode::kInvalidArgument,
                 "deform: rows.%s must not overlap in.%s: what a frame adds would be the next frame's input.",
                 array.name, array.name);
  }
  return {};
}

}  // namespace ts
