// SPDX-License-Identifier: Apache-2.0
// IEEE 754 binary16: to float32, exact, and from it, rounded to nearest even.
#pragma once
#include <cstdint>
#include <cstring>

namespace ts {

inline float float_of_half(uint16_t half) {
  // Moved to where a float has them, a half's bits mean 2^-112 times its value: its exponent's bias is 15, a float's
  // 127.
  uint32_t bits = static_cast<uint32_t>(half & 0x7fff) << 13;
  const bool finite = bits < 0x0f800000u;
  if (!finite) bits |= 0x7f800000u;
  bits |= static_cast<uint32_t>(half & 0x8000) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return finite ? value * 0x1p112f : value;
}

// Beyond 65504 infinite; NaN stays NaN.
inline uint16_t half_of_float(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);  // 65520 and more
  uint32_t half;
  if (magnitude >= 0x38800000) {  // 2^-14: a normal half. Its exponent's bias is 112 less, its mantissa 13 bits shorter
    const uint32_t rebased = magnitude - (112u << 23);
    half = (rebased + 0xfff + (rebased >> 13 & 1)) >> 13;
  } else {
    // Adding 0.5 moves the value to where a float's last bit is a subnormal half's, 2^-24, and rounds it there.
    float magnified;
    std::memcpy(&magnified, &magnitude, sizeof magnified);
    magnified += 0.5f;
    std::memcpy(&half, &magnified, sizeof half);
    half -= 0x3f000000;
  }
  return static_cast<uint16_t>(sign | half);
}

}  // namespace ts
