// SPDX-License-Identifier: Apache-2.0
// bfloat16: the upper half of a float32, rounded to nearest even. Two of them make a 32-bit word, the first in its low half.
#pragma once
#include <cstdint>
#include <cstring>

#include "math/target.h"

TS_TARGET_BEGIN

TS_INLINE uint32_t bf16_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// As a float's bits, since buffers of words are floats.
TS_INLINE float bf16_pair(float low, float high) {
  const uint32_t bits = bf16_bits(low) | bf16_bits(high) << 16;
  float word;
  std::memcpy(&word, &bits, sizeof word);
  return word;
}

TS_TARGET_END
