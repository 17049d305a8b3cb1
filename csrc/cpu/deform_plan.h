// SPDX-License-Identifier: Apache-2.0
// DeformPlan — a branch of a deform program as the CPU runs it: matrices packed in the order in which kernels read them,
// static rows in blocks, and a place in a thread's scratch memory for every value of a block, few enough that a block
// stays in the core's L1 from its static rows to what is added to its Gaussians.
//
// Block    48 Gaussians: three AVX-512 registers. A value of width w is [w][48] words: a lane is a Gaussian, so that a
//          layer needs no transposition and a head of one to four outputs wastes no lanes
// Fusing   a layer that is read by one head of at most four outputs never exists in memory: the head is applied to the
//          layer's registers. Heads of one input are one matrix
// A frame  changes matrices (gains, attention) and biases (`frame`): these are packed anew, in the frame's memory
#pragma once
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "ops/deform.h"

namespace ts {

constexpr int kDeformBlock = 48;
constexpr int kMaxNarrow = 4;  // outputs of a head that is fused with the layer before it

// How a matrix of `outputs` by `inputs` lies, and what it is multiplied with.
enum class DeformPacking {
  kFp32,     // [outputs / at once][inputs][at once] floats; values are [inputs][48] floats
  kPairs,    // [outputs / at once][inputs / 2][at once] pairs of bfloat16; values are [inputs / 2][48] pairs
  kSquares,  // [outputs / 16][inputs / 32][16][16] pairs; values as for kPairs
};

// Words of a block, static or in the thread's scratch memory.
struct DeformPlace {
  const float* rows = nullptr;  // static: of block 0
  int64_t stride = 0;           // static: words from block to block
  int64_t at = -1;              // in scratch; -1, and rows nullptr: nowhere
};

// What a step adds. In a program in bfloat16 static rows are pairs: their bytes are what the step waits for.
struct DeformPlus {
  DeformPlace place;
  bool pairs = false;
};

enum class DeformStepKind {
  kDense,      // y = activation(weight x + bias + plus), or a head of that
  kPointwise,  // y = activation(bias + plus)
  kSoftmax,    // y, in place: each head's scores over its tokens
  kNorm,       // y = activation(normed x * weight + bias)
  kZero,       // y = 0
  kBasis,      // y [16][48] = basis of SH in the direction from the eye to the deformed mean
};

struct DeformStep {
  DeformStepKind kind = DeformStepKind::kDense;
  bool bf16 = false;  // kDense: of the plan's packing, and x are pairs; else kFp32
  int inputs = 0, outputs = 0;
  DeformPlace x;
  DeformPlus plus;
  int64_t y = -1, y_pairs = -1;  // in scratch: as floats, as pairs; -1: not wanted
  // Constant, or `frame_` floats into the frame's memory where that is >= 0.
  const float *weight = nullptr, *bias = nullptr;  // bias Nullable: zeros
  int64_t frame_weight = -1, frame_bias = -1;
  Activation activation = Activation::kNone;
  float slope = 0, epsilon = 0;
  int heads = 0;  // kSoftmax
  // kDense: the head that reads this layer alone: narrow_y [narrow][48] = its weight [outputs][narrow] y + its bias.
  int narrow = 0;
  const float *narrow_weight = nullptr, *narrow_bias = nullptr;
  int64_t narrow_y = -1;
  bool to_sh = false;  // kDense: what is added to SH; where there is an eye it becomes RGB at once
};

class DeformPlan {
 public:
  // What program and branch point to must outlive this. first_row: of the branch among all Gaussians. outputs_at_once: that
  // the kernels compute at a time.
  DeformPlan(const DeformProgram& program, const DeformBranch& branch, const GaussianView& at_rest, int64_t first_row,
             DeformPacking packing, int outputs_at_once);

  // condition: the values of the condition; frame: [frame_floats], what steps read of it.
  void fill(const float* condition, float* frame) const;

  int64_t blocks() const { return (branch->n + kDeformBlock - 1) / kDeformBlock; }
  uint64_t bytes() const;

  const DeformBranch* branch;
  int64_t first_row;
  std::vector<DeformStep> steps;
  int64_t scratch_words = 0, frame_floats = 0;
  int64_t added[kDeformTargets];          // scratch: what is added, [width][48]; -1: nothing
  DeformPlace canonical[kDeformTargets];  // of scales, rotation, logit and sh where they are added to
  int sh_degree = -1, sh_stride = 0;
  int64_t basis = -1, color = -1;  // scratch: [16][48], [3][48]
  int64_t squares = -1;            // scratch: [2][16][48] sums of kSquares

 private:
  friend class DeformPlanner;
  // What is packed for each frame.
  struct Fill {
    const DeformStage* stage = nullptr;
    int inputs = 0;
    int64_t bias = -1;    // stage's bias + frame
    int64_t weight = -1;  // stage's weight times gain; or the scores of attention
    int64_t mix = -1;     // attention
    int64_t raw = -1;     // attention: both matrices before they are packed
  };

  const float* keep(const float* values, int64_t n);

  const DeformProgram* program_;
  DeformPacking packing_;
  int at_once_;
  std::vector<Buffer<float>> memory_;  // constants and blocked rows
  std::vector<Fill> fills_;
};

}  // namespace ts
