// SPDX-License-Identifier: Apache-2.0
// How many (splat, tile) pairs a layer has room for. A graph's memory is fixed before anything is drawn.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cuda/bin.h"

namespace ts::cuda {

inline uint32_t instance_capacity(int64_t n, int width, int height) {
  const int64_t tiles = int64_t{tiles_across(width)} * tiles_across(height);
  const int64_t most = n * tiles;
  const int64_t wanted = std::max<int64_t>(kBinChunk * tiles, 16 * n);
  return static_cast<uint32_t>(std::min<int64_t>({most, wanted, UINT32_MAX}));
}

}  // namespace ts::cuda
