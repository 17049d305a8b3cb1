// SPDX-License-Identifier: Apache-2.0
// float_of_half — IEEE 754 binary16 to float32, exact.
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

}  // namespace ts
