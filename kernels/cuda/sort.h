// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/cuda/job.h"

namespace ts::cuda {

constexpr int kSortThreads = 256, kSortItems = 8, kSortBlock = kSortThreads * kSortItems;
constexpr int kSortBits = 8, kSortDigits = 1 << kSortBits;
// In fast precision keys are the depth between the layer's nearest and farthest splat, in 16 bits; else all bits of it.
constexpr int kFastSortPasses = 2, kReferenceSortPasses = 4;

// A layer's splats in depth order, ties by index, those that are hidden last.
struct SortJob {
  int32_t n;
  int32_t fast;
  const uint32_t* key;        // [n] as project writes it
  const LayerStatus* status;  // depth_min, depth_max
  uint32_t* count;            // [ceil(n / kSortBlock)][kSortDigits]         (scratch)
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
