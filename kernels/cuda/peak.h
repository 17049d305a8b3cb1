// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace ts::cuda {

constexpr int kPeakThreads = 256;
constexpr int kPeakChains = 8;  // products in flight: a chain waits for its own result, the others fill the pipe

struct PeakArgs {
  int32_t turns;  // each a product per chain
  float* sum;     // [blocks][kPeakThreads]; what nobody reads would not be computed   (out)
};

}  // namespace ts::cuda
