// SPDX-License-Identifier: Apache-2.0
// Extents — how far a draw's launches reach: how many jobs there are of each kind, and the largest of them. They fix a
// recorded draw's grids and the memory of its jobs.
#pragma once
#include <cstdint>

namespace ts::cuda {

struct Extents {
  bool fast = false;  // or reference: they have kernels of their own
  // Counts.
  int64_t frames = 0;
  int64_t branches = 0;  // of deform programs
  int64_t layers = 0;
  int64_t alone = 0;  // layers that are drawn by themselves, to be dilated
  // Sizes, of the largest.
  int64_t vertices = 0, triangles = 0;       // of a frame, whole blocks of kPoseBlock
  int64_t gaussians = 0;                     // of a frame
  int64_t groups = 0;                        // of a branch
  int64_t splats = 0;                        // of a layer
  int64_t tiles = 0, width = 0, height = 0;  // of a picture
  // What a block of deform has.
  int warps = 0;            // 0: there are no branches
  uint64_t warp_bytes = 0;  // shared memory
  // What the controls of all frames come to.
  uint64_t control_bytes = 0;

  // More frames in the same draw.
  void add(const Extents& other);
  // At least these, and the same for draws that are about as large.
  Extents rounded_up() const;
  bool operator==(const Extents& other) const;
};

}  // namespace ts::cuda
