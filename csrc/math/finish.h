// SPDX-License-Identifier: Apache-2.0
// finish — colours to the codes of 8-bit formats. NV12 by ITU-R BT.709, limited range: Y = 16 + 219 luma, luma =
// 0.2126 R + 0.7152 G + 0.0722 B; Cb = 128 + 224 (B - luma) / 1.8556, Cr = 128 + 224 (R - luma) / 1.5748.
#pragma once
#include "math/lanes.h"

TS_TARGET_BEGIN

// max() first: it turns NaN into 0.
TS_INLINE f32 saturate(f32 x) { return min(max(x, f32(0.0f)), f32(1.0f)); }
TS_INLINE i32 to_byte(f32 x) { return round_to_int(saturate(x) * f32(255.0f)); }
TS_INLINE i32 word_of(i32 a, i32 b, i32 c, i32 d) { return a | (b << 8) | (c << 16) | (d << 24); }

// What premultiplied colours are to be multiplied with to be straight.
TS_INLINE f32 straight_scale(f32 alpha) { return f32(1.0f) / max(alpha, f32(1e-6f)); }

TS_INLINE f32 luma_of(f32 r, f32 g, f32 b) { return fma(r, f32(0.2126f), fma(g, f32(0.7152f), b * f32(0.0722f))); }

// Nearest: the sum is positive.
TS_INLINE i32 to_code(f32 x, float scale, float zero) { return truncate_to_int(fma(x, f32(scale), f32(zero + 0.5f))); }
TS_INLINE i32 luma_code(f32 v) { return to_code(v, 219.0f, 16.0f); }

// Cb, then Cr.
TS_INLINE i32 chroma_codes(f32 r, f32 g, f32 b) {
  const f32 v = luma_of(r, g, b);
  return to_code(b - v, 224.0f / 1.8556f, 128.0f) | (to_code(r - v, 224.0f / 1.5748f, 128.0f) << 8);
}

TS_TARGET_END
