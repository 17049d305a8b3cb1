// finish — a tile's premultiplied colour, transmittance and depth to the caller's image: composite on the background,
// then convert, while its planes are in L1.
//   over a background: out = C + T * background, alpha 255 in RGBA8
//   over nothing:      RGBA8 is straight (C / (1 - T)); the others are C (black shows through)
// 8 bits: clamp to [0, 1], times 255, round to nearest even. NV12: BT.709 limited range; chroma is the mean of 2x2.
#pragma once
#include <cstdint>

#include "math/splat.h"
#include "talksplat.h"

namespace ts {

struct FinishArgs {
  int width, height;  // pixels
  ts_format format;
  void* data;
  int64_t stride_bytes;           // of a row
  float* alpha;                   // [height,width] or null: 1 - T
  float* depth;                   // [height,width] or null
  const float* background_color;  // [3] or null
  const float* background_f32;    // [height,width,3] or null
  const uint8_t* background_u8;   // [height,width,3] or null
};

// planes of a tile: [channel][16 y + x], channels red, green, blue (premultiplied), transmittance, depth.
constexpr int kTilePlanes = 5;

}  // namespace ts
