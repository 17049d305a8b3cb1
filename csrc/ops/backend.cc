// SPDX-License-Identifier: Apache-2.0
#include "ops/backend.h"

#include <unistd.h>

namespace ts {

Backend::Backend() : process_(static_cast<long>(getpid())) {}
bool Backend::forked() const { return process_ != static_cast<long>(getpid()); }

}  // namespace ts
