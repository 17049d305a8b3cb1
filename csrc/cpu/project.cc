#include "ops/project.h"

#include <algorithm>

namespace ts {

void split_parts(const ProjectArgs& args) {
  const int64_t steps = (args.n + kProjectGrain - 1) / kProjectGrain;
  for (int p = 0; p < args.n_parts; ++p) {
    args.parts[p].begin = std::min(args.n, steps * p / args.n_parts * kProjectGrain);
    args.parts[p].end = std::min(args.n, steps * (p + 1) / args.n_parts * kProjectGrain);
  }
}

}  // namespace ts
