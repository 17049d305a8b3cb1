// SPDX-License-Identifier: Apache-2.0
// Splat — a Gaussian on the screen: what `project` writes, `bin` tests against tiles and `blend` evaluates. One cache
// line, so that a tile's random reads cost one miss each.
//
// The exponent is kept as a Cholesky factor of the conic, in units where alpha = 2^p:
//   p(x, y) = log2_opacity - (a dx + b dy)^2 - (d dy)^2,   dx = x - x_px, dy = y - y_px
// With covariance [xx xy; xy yy] and k = log2(e) / 2:  d = sqrt(k / yy), a = sqrt(k yy / det), b = -a xy / yy.
// Unlike the expanded quadratic it cannot turn positive by rounding.
#pragma once
#include <cstddef>
#include <cstdint>

#include "math/target.h"

namespace ts {

struct alignas(64) Splat {
  float x_px, y_px;  // centre, pixel (i, j) at (i, j)
  float a, d;
  float log2_opacity;
  float red, green, blue;
  float depth;                // camera z
  float reach;                // p >= log2(1/255) wherever (a dx + b dy)^2 + (d dy)^2 <= reach; slightly generous
  float y_at_x_extreme;       // dy of the ellipse's right-most point
  float inv_a, slope;         // 1 / a and -b / a: the ellipse's chord at dy is slope dy +- inv_a sqrt(reach - (d dy)^2)
  float block_x0, block_x1;   // columns of 4x4 blocks that it may touch, both inclusive, whole numbers
  uint16_t tile_y0, tile_y1;  // rows of tiles that it may touch, end exclusive
};
static_assert(sizeof(Splat) == 64);

// The same as sixteen floats, for kernels that hold a field of several splats in a register.
enum SplatField {
  kSplatX,
  kSplatY,
  kSplatA,
  kSplatD,
  kSplatLog2Opacity,
  kSplatRed,
  kSplatGreen,
  kSplatBlue,
  kSplatDepth,
  kSplatReach,
  kSplatYAtXExtreme,
  kSplatInvA,
  kSplatSlope,
  kSplatBlockX0,
  kSplatBlockX1,
  kSplatTileY,  // both rows: tile_y0 | tile_y1 << 16
  kSplatFields
};
static_assert(kSplatFields * sizeof(float) == sizeof(Splat) && offsetof(Splat, x_px) == kSplatX * sizeof(float) &&
              offsetof(Splat, depth) == kSplatDepth * sizeof(float) &&
              offsetof(Splat, slope) == kSplatSlope * sizeof(float) &&
              offsetof(Splat, tile_y0) == kSplatTileY * sizeof(float));

constexpr int kTile = 16;  // pixels
constexpr int kBlock = 4;  // pixels; a tile is 4x4 blocks, block i at column i % 4, row i / 4
constexpr int kTilePixels = kTile * kTile;

constexpr float kLog2MinAlpha = -7.994353437f;  // log2(1/255): fainter is not drawn
constexpr float kMaxAlpha = 0.99f;
constexpr float kMinTransmittance = 1e-4f;
constexpr float kFastTransmittance = 1.0f / 255;  // in fast precision nothing is added behind less

}  // namespace ts
