// SPDX-License-Identifier: Apache-2.0
// DeformPlan — a branch of a deform program as the GPU runs it: steps, and in the order in which lanes read them the
// matrices, the static rows and the canonical values (kernels/cuda/deform.h has the layouts).
//
// Constant   made once, for the device; the plan forgets it when it is taken
// A frame    changes matrices (gains, attention) and biases (`frame`): fill() packs these for each draw
// Halves     no program is refused for its numbers: matrices and static rows are scaled by powers of two. What a layer
//            computes must stay below 65504, or it becomes infinite; activations of trained networks are around 1
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/cuda/deform.h"
#include "ops/deform.h"

namespace ts::cuda {

class DeformPlan {
 public:
  // What program and branch point to must outlive this. first_row: of the branch among all Gaussians.
  DeformPlan(const DeformProgram& program, const DeformBranch& branch, const GaussianView& at_rest, int64_t first_row,
             bool fast);

  const DeformBranch& branch() const { return *branch_; }
  const DeformLayout& layout() const { return layout_; }
  int64_t groups() const { return (branch_->n + rows_ - 1) / rows_; }
  uint64_t warp_bytes() const { return 16 * static_cast<uint64_t>(layout_.scratch); }
  uint64_t kept_bytes() const { return 16 * static_cast<uint64_t>(layout_.kept) * static_cast<uint64_t>(groups()); }
  uint64_t frame_bytes() const { return 4 * static_cast<uint64_t>(frame_words_); }
  int64_t work_floats() const { return work_floats_; }

  // DeformJob::constant, once; 16-byte aligned on the device.
  std::vector<uint32_t> take_constant() { return std::move(constant_); }
  // DeformJob::frame of a draw: frame, [frame_bytes] bytes, all of which are written. condition: the values of the
  // condition. work: [work_floats], the caller's.
  void fill(const float* condition, float* work, void* frame) const;

 private:
  friend class DeformPlanner;
  // What is packed for each frame, in words of frame memory; -1: nothing. Scales that steps undo.
  struct Fill {
    const DeformStage* stage = nullptr;
    int inputs = 0;
    int64_t weight = -1, terms = -1;          // of attention: the scores
    int64_t mix_weight = -1, mix_terms = -1;  // attention
    float weight_scale = 1, x_scale = 1, plus_scale = 1;
  };

  const DeformProgram* program_;
  const DeformBranch* branch_;
  int64_t rows_;
  int halves_;
  DeformLayout layout_;
  std::vector<uint32_t> constant_;
  int64_t frame_words_ = 0, work_floats_ = 0;
  std::vector<Fill> fills_;
};

// Shared memory of a device, in bytes.
struct SharedMemory {
  uint64_t per_block = 0;  // that a kernel may opt in to
  uint64_t per_processor = 0;
  uint64_t reserved = 0;  // of a block, by the system
};

// How many warps a block of all branches has (1, 2, 4 or 8): those with which most are on a processor at a time, and among
// these the fewest, since a small grid then spreads over more processors.
// kDeviceError where not even one warp fits.
Status choose_warps(const std::vector<DeformPlan>& branches, const SharedMemory& shared, int& warps);

}  // namespace ts::cuda
