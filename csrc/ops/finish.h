// SPDX-License-Identifier: Apache-2.0
// finish — a tile's premultiplied colour, transmittance and depth to the caller's image: composite on the background,
// then convert, while its planes are in L1.
//   over a background: out = C + T * background, alpha 255 in RGBA8
//   over nothing:      RGBA8 is straight (C / (1 - T)); the others are C (black shows through)
// 8 bits: clamp to [0, 1], times 255, round to nearest even. NV12: BT.709 limited range; chroma is the mean of 2x2.
#pragma once
#include <cstdint>

#include "math/splat.h"
#include "ops/image.h"

namespace ts {

struct FinishArgs {
  Image image;  // its alpha becomes 1 - T
  Background background;
  // [tiles] Nullable. Tiles without a splat are not written, and 0 here; the others are 1. Where it is the background's
  // own, such tiles stay as they are.
  uint8_t* drawn = nullptr;
};

// planes of a tile: [channel][16 y + x], channels red, green, blue (premultiplied), transmittance, depth.
constexpr int kTilePlanes = 5;

}  // namespace ts
