// SPDX-License-Identifier: Apache-2.0
// The CPU behind the seam.
#pragma once
#include <memory>

#include "core/status.h"
#include "ops/backend.h"

namespace ts {

Status open_cpu(int threads, const char* isa, std::unique_ptr<Backend>& backend);

}  // namespace ts
