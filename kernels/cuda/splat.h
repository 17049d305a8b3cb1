// SPDX-License-Identifier: Apache-2.0
// A splat on the GPU: what math/splat.h has in one cache line, as records of one 32-byte sector each, so that blend and
// bin read what they need and no more.
#pragma once
#include <cstdint>

namespace ts::cuda {

// What blend evaluates; fields as in math/splat.h.
struct alignas(16) BlendSplat {
  float x_px, y_px;
  float a, d;
  float slope;
  float log2_opacity;
  uint32_t red_green, blue;  // halves, in fast precision; else see SplatColor
};
static_assert(sizeof(BlendSplat) == 32);

// What bin needs beside x_px, y_px, d and slope.
struct alignas(16) BinSplat {
  float reach, y_at_x_extreme, inv_a;
  uint32_t block_x;  // block columns: first | last << 16, both inclusive
  uint32_t tile_y;   // tile rows: first | end << 16
  uint32_t unused[3];
};
static_assert(sizeof(BinSplat) == 32);

// In reference precision.
struct alignas(16) SplatColor {
  float red, green, blue;
  float depth;  // camera z
};

constexpr uint32_t kHidden = 0xffffffffu;  // key of a splat that is not visible; else its depth's bits

}  // namespace ts::cuda
