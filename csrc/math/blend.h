// SPDX-License-Identifier: Apache-2.0
// blend — a splat's alpha at a pixel, and what it leaves of the light: front-to-back compositing with the limits of the
// reference rasteriser (Kerbl et al. 2023). The exponent is that of math/splat.h,
//   p = log2_opacity - (a dx + b dy)^2 - (d dy)^2,   b = -a slope,
// split into what depends on a pixel's row alone, which is computed once per splat and tile, and the rest.
#pragma once
#include "math/lanes.h"
#include "math/splat.h"

TS_TARGET_BEGIN

// A splat seen from a tile.
struct TileTerms {
  f32 b, c, d, e;
  f32 log2_opacity;
};

// x, y: the tile's corner from the splat's centre.
TS_INLINE TileTerms tile_terms(f32 a, f32 d, f32 slope, f32 log2_opacity, f32 x, f32 y) {
  const f32 b = -(a * slope);
  return {b, a * x + b * y, d, d * y, log2_opacity};
}

// p = q - (a x + c)^2 at column x of the tile's pixel row `row`.
TS_INLINE void row_terms(const TileTerms& s, f32 row, f32& c, f32& q) {
  const f32 v = fma(s.d, row, s.e);
  c = fma(s.b, row, s.c);
  q = fnma(v, v, s.log2_opacity);
}

TS_INLINE f32 alpha_at(f32 a, f32 x, f32 c, f32 q) {
  const f32 u = fma(a, x, c);
  const f32 p = fnma(u, u, q);
  return keep(p >= f32(kLog2MinAlpha), min(exp2_fast(p), f32(kMaxAlpha)));
}

// What of the light behind is let through.
struct Transmittance {
  f32 running;   // falls on below the limit, but from the splat that takes it there on nothing is added
  f32 accepted;  // after the last splat that was added

  // The weight with which the next splat's colour is added.
  TS_INLINE f32 take(f32 alpha) {
    const f32 weight = alpha * running;
    running = running - weight;
    const f32 w = keep(running >= f32(kMinTransmittance), weight);
    accepted = accepted - w;
    return w;
  }
};

TS_TARGET_END
