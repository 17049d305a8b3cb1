// SPDX-License-Identifier: Apache-2.0
// fork_count — tells a child of fork() from its parent. Process ids do not: in a PID namespace of its own, a child may
// have its parent's number.
#pragma once

namespace ts {

// Forks between the process that called this first and this one. Throws std::bad_alloc, and only from the first call.
unsigned fork_count();

}  // namespace ts
