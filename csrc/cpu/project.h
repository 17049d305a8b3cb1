// SPDX-License-Identifier: Apache-2.0
// project on the CPU: in parts, so that several threads can work, and each bins what it has just projected.
#pragma once
#include <cstdint>

#include "ops/project.h"

namespace ts {

// One contiguous range of Gaussians and where its visible ones are listed.
struct ProjectPart {
  int64_t begin, end;  // Gaussians; begin is a multiple of kProjectGrain
  int64_t n_visible;   // entries of visible[begin ...], ascending                       (out)
};
constexpr int64_t kProjectGrain = 16;
constexpr int kMaxParts = 64;

// Splits [0, n) into n_parts parts.
void split_parts(int64_t n, ProjectPart* parts, int n_parts);

}  // namespace ts
