#include "ops/project.h"

#include <algorithm>

#include "cpu/kernel_table.h"

namespace ts {

Status project_cpu(const ProjectArgs& args, const KernelTable& kernels, ThreadPool& pool) {
  const int64_t steps = (args.n + kProjectGrain - 1) / kProjectGrain;
  for (int p = 0; p < args.n_parts; ++p) {
    args.parts[p].begin = std::min(args.n, steps * p / args.n_parts * kProjectGrain);
    args.parts[p].end = std::min(args.n, steps * (p + 1) / args.n_parts * kProjectGrain);
  }
  pool.run(args.n_parts, [&](int64_t part, int) { kernels.project_part(args, static_cast<int>(part)); });
  return {};
}

}  // namespace ts
