// SPDX-License-Identifier: Apache-2.0
#include "cpu/project.h"

#include <algorithm>

namespace ts {

void split_parts(int64_t n, ProjectPart* parts, int n_parts) {
  const int64_t grains = (n + kProjectGrain - 1) / kProjectGrain;
  for (int p = 0; p < n_parts; ++p) {
    parts[p].begin = std::min(n, grains * p / n_parts * kProjectGrain);
    parts[p].end = std::min(n, grains * (p + 1) / n_parts * kProjectGrain);
  }
}

}  // namespace ts
