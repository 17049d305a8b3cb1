#include "ops/deform.h"

#include <cstring>

namespace ts {

Status deform_cpu(const DeformArgs& args) {
  if (args.n < 0) {
    return error(StatusCode::kInvalidArgument, "deform: n must be >= 0; got %lld.", static_cast<long long>(args.n));
  }
  if (args.n_stages != 0) {
    return error(StatusCode::kInvalidArgument,
                 "deform: a program must have 0 stages (the identity); got %d. This avatar needs a newer talksplat.",
                 args.n_stages);
  }
  const auto pass = [&](const float* in, float* out, int64_t columns) {
    const auto bytes = static_cast<size_t>(args.n * columns) * sizeof(float);
    if (in != out && bytes > 0) std::memcpy(out, in, bytes);
  };
  pass(args.in.mean_w, args.out.mean_w, 3);
  pass(args.in.quat, args.out.quat, 4);
  pass(args.in.scale, args.out.scale, 3);
  return {};
}

}  // namespace ts
