// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/cuda/job.h"
#include "math/target.h"

namespace ts::cuda {

constexpr int kSortThreads = 256, kSortItems = 8, kSortBlock = kSortThreads * kSortItems;
constexpr int kSortBits = 8, kSortDigits = 1 << kSortBits;
// In fast precision keys are the depth from the layer's nearest splat on, in 24 bits; else all bits of it.
constexpr int kFastSortPasses = 3, kReferenceSortPasses = 4;
// Every block reads what all of them counted. Beyond this many, blocks take several times kSortBlock keys instead, one
// after the other: 256 blocks read 64 MB in all, from the cache, and 8,192 would read 64 GB.
constexpr int kSortMaxBlocks = 256;

TS_INLINE constexpr int sort_turns(int n) {
  return (n + kSortMaxBlocks * kSortBlock - 1) / (kSortMaxBlocks * kSortBlock);
}
// Blocks that work on n > 0 keys.
TS_INLINE constexpr int sort_blocks(int n) {
  return (n + sort_turns(n) * kSortBlock - 1) / (sort_turns(n) * kSortBlock);
}
// Enough blocks for layers of up to n keys: sort_blocks() falls where another turn begins.
TS_INLINE constexpr int sort_grid(int n) {
  return n < kSortMaxBlocks * kSortBlock ? (n + kSortBlock - 1) / kSortBlock : kSortMaxBlocks;
}

// A layer's splats in depth order, ties by index, those that are hidden last.
struct SortJob {
  int32_t n;
  int32_t fast;
  const uint32_t* key;        // [n] as project writes it
  const LayerStatus* status;  // depth_min, depth_max
  uint32_t* count;            // [sort_grid(n)][kSortDigits]                 (scratch)
  uint2* pair[2];             // [n] key, index                              (scratch)
  uint32_t* order;            // [n]                                         (out)
};

// A pass is two launches, count and scatter.
struct SortArgs {
  const SortJob* job;
  int32_t pass;  // 0 .. passes - 1
  int32_t passes;
};

}  // namespace ts::cuda
