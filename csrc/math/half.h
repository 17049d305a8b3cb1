// SPDX-License-Identifier: Apache-2.0
// float_of_half, half_of_float — IEEE 754 binary16 to float32, exact, and back, rounded to nearest even.
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

// What rounds to 65536 or more becomes infinite.
inline uint16_t half_of_float(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (bits >= 0x47800000) return static_cast<uint16_t>(sign | 0x7c00);
  if (bits < 0x38800000) {  // below 2^-14: in a sum with 0.5 the last bit means 2^-24, as it does there in a half
    float sum;
    std::memcpy(&sum, &bits, sizeof sum);
    sum += 0.5f;
    std::memcpy(&bits, &sum, sizeof bits);
    return static_cast<uint16_t>(sign | (bits - 0x3f000000));
  }
  bits += 0x0fff + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | (bits - 0x38000000) >> 13);
}

}  // namespace ts
