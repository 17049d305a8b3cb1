// SPDX-License-Identifier: Apache-2.0
#include "ops/backend.h"

#include "core/fork.h"

namespace ts {

Backend::Backend() : forks_(fork_count()) {}
bool Backend::forked() const { return forks_ != fork_count(); }

}  // namespace ts
