// SPDX-License-Identifier: Apache-2.0
// Jobs — what a kernel works on. A launch carries several: frames of several avatars, and the layers of each (a branch of
// a deform program is a layer, with a depth order of its own). blockIdx.y says which job a block is for, blockIdx.x which
// part of it; the grid is as wide as the largest job, and blocks past a job's end leave at once.
//
// The host writes a draw's jobs anew, side by side in one upload: that is what a captured graph reads, so that one graph
// replays with other controls, cameras and frames.
#pragma once
#include <cstdint>

struct uint2;  // CUDA's vectors: the host has pointers to them alone
struct float4;

namespace ts::cuda {

constexpr int kMaxLayers = 8;  // = kMaxDeformBranches

// A kernel's one argument.
template <class Job>
struct Jobs {
  const Job* job;  // [gridDim.y]
};

// What a layer's kernels find out. Uploaded with the jobs as it is here, read back with the picture.
struct LayerStatus {
  uint32_t depth_min = 0xffffffffu,
           depth_max = 0;    // of the visible splats: bits of a positive float, which are in its order
  uint32_t n_visible = 0;    // splats
  uint32_t n_instances = 0;  // (splat, tile) pairs that were wanted
  uint32_t n_dropped = 0;    // visible splats that were left out, the farthest, where the pairs exceed the capacity
};

}  // namespace ts::cuda
