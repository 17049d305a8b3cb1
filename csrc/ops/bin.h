// SPDX-License-Identifier: Apache-2.0
// bin — visible splats to per-tile lists in depth order.
#pragma once
#include <cstdint>

#include "math/splat.h"

namespace ts {

// A splat in one tile: mask << 32 | splat index. Bit i of the mask: block i of the tile may hold a pixel with
// alpha >= 1/255.
using Instance = uint64_t;

// A tile's instances, from the nearest splat to the farthest, those of equal depth by splat index.
struct TileList {
  uint32_t begin, end;
};

// A file of some kilobytes can hold a thousand Gaussians that each fill a large picture, 3 MB of instances apiece. Real
// heads need far less: 34 k Gaussians 0.15 GB at 8192x8192, 0.5 GB at 16384x16384.
constexpr uint64_t kMaxPairBytes = uint64_t{2} << 30;  // of the scratch and the instances of a frame

TS_INLINE int tiles_across(int pixels) { return (pixels + kTile - 1) / kTile; }

}  // namespace ts
