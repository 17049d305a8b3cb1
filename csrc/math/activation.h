// SPDX-License-Identifier: Apache-2.0
// exp, sigmoid and silu of lanes, as networks use them.
#pragma once
#include "math/lanes.h"

TS_TARGET_BEGIN

// e^x for x in [-87, 87], relative error < 1e-5 (2e-6 of exp2_fast, and the rounding of x / ln 2); clamped outside.
TS_INLINE f32 exp_fast(f32 x) { return exp2_fast(clamp(x, f32(-87.0f), f32(87.0f)) * f32(1.4426950408889634f)); }

// 1 / (1 + e^-x), relative error < 1e-5.
TS_INLINE f32 sigmoid_fast(f32 x) { return f32(1.0f) / (f32(1.0f) + exp_fast(-x)); }
TS_INLINE f32 silu_fast(f32 x) { return x * sigmoid_fast(x); }

TS_TARGET_END
