// SPDX-License-Identifier: Apache-2.0
// A warp's 16x8x8 product, by the PTX ISA's "Matrix Fragments for mma.m16n8k8".
#pragma once
#include "math/half.h"
#include "simt/machine.h"

namespace simt {

// part: [32] of the lanes. Sums run over k in order, each step rounded: a GPU's may differ in the last bits.
inline void multiply(Product* const* part) {
  const auto pair = [](uint32_t word, float* to) {
    to[0] = ts::float_of_half(static_cast<uint16_t>(word)),
    to[1] = ts::float_of_half(static_cast<uint16_t>(word >> 16));
  };
  float a[16][8], b[8][8];  // b: [column][row]
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    pair(part[lane]->a[0], &a[g][2 * t]);
    pair(part[lane]->a[1], &a[g + 8][2 * t]);
    pair(part[lane]->b, &b[g][2 * t]);
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      float sum = part[lane]->d[i];
      for (int k = 0; k < 8; ++k) sum += a[row][k] * b[column][k];
      part[lane]->d[i] = sum;
    }
  }
}

}  // namespace simt
