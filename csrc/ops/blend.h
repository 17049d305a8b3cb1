// SPDX-License-Identifier: Apache-2.0
// blend — per-tile lists to pixels, front to back, and finish: background, alpha, conversion to the wanted format.
#pragma once
#include "ops/bin.h"
#include "ops/finish.h"

namespace ts {

struct BlendArgs {
  const Splat* splat;
  const TileList* lists;      // [tiles]
  const Instance* instances;  // of all lists
  Precision precision;
  FinishArgs finish;
};

}  // namespace ts
