// SPDX-License-Identifier: Apache-2.0
// A GPU that may fail: from its first kDeviceError on, in that very call, the CPU does the work. Models and frames keep
// what their twins on the CPU are made of, and these are made when they are needed. What "auto" opens; whoever asked for a
// GPU by name is told of its failure instead.
#pragma once
#include <memory>

#include "ops/backend.h"

namespace ts {

// info() of the result is the GPU's until it failed, then the CPU's, with the reason in `note`.
std::unique_ptr<Backend> with_fallback(std::unique_ptr<Backend> gpu, std::shared_ptr<Backend> cpu);

}  // namespace ts
