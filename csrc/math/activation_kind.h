// SPDX-License-Identifier: Apache-2.0
// Activation — what a layer does to its sums. A header of its own: ops speak of it, and have no lanes.
#pragma once

namespace ts {

enum class Activation { kNone, kRelu, kLeakyRelu, kTanh, kSoftmax };

}  // namespace ts
