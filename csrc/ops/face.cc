// SPDX-License-Identifier: Apache-2.0
// face — see face.h.
#include "ops/face.h"

namespace ts {

#define TS_NAME(name) #name,
const char* const kArkitNames[kArkitWeights] = {TS_ARKIT_WEIGHTS(TS_NAME)};
#undef TS_NAME

}  // namespace ts
