// SPDX-License-Identifier: Apache-2.0
// How many instances, (splat, tile) pairs, a layer has room for. A graph's memory is fixed before anything is drawn: of
// a frame that wants more the farthest splats are left out (kernels/cuda/bin.cu), and its receipt says how many.
//
// Instances per Gaussian, the camera at the avatar's own distance, at half of it and at a quarter:
//               Gaussians       256x256         512x512       1024x1024       1920x1080       2048x2048
// demo             34,275   2.1  2.1  1.9   3.5  4.1  4.6   7.3 10.1 13.8   7.8 10.9 19.1  19.0 29.8 46.6
// LAM, James       20,018   2.2  3.2  2.0   4.3  7.7  6.1  10.8 22.6 20.8  11.7 25.1 38.0  33.0 76.4 76.3
// LAM, p2-1        20,018   2.0  2.9  2.9   3.5  6.5  8.0   8.2 18.2 26.1   8.9 20.0 37.5  24.0 60.2 93.7
// bench's head     30,000   2.5  2.2  1.1   4.6  5.2  3.5  10.9 14.8 12.2  11.8 18.4 23.0  31.3 49.1 45.3
// bench's head    100,000   1.8  1.3  0.5   2.7  2.5  1.3   5.2  6.0  4.2   5.6  7.4  7.8  12.7 17.6 14.7
// a biker, still  152,746   1.5  1.4  1.1   2.0  2.2  2.3   3.1  4.4  5.8   3.2  4.7  6.3   6.2 11.0 17.4
// A small splat has a tile or two; and over a tile lie only so many large ones, however many pixels the picture has.
// All of these want less than 2 a Gaussian and 150 a tile together. Three times that is for avatars unlike them.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cuda/bin.h"

namespace ts::cuda {

constexpr int64_t kInstancesPerGaussian = 3 * 2, kInstancesPerTile = 3 * 150;
static_assert(kInstancesPerTile >= kBinChunk, "a chunk of splats that all fill the picture must fit");

inline uint32_t instance_capacity(int64_t n, int width, int height) {
  const int64_t tiles = int64_t{tiles_across(width)} * tiles_across(height);
  const int64_t wanted = kInstancesPerGaussian * n + kInstancesPerTile * tiles;
  return static_cast<uint32_t>(std::min<int64_t>({n * tiles, wanted, UINT32_MAX}));
}

}  // namespace ts::cuda
