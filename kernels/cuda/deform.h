// SPDX-License-Identifier: Apache-2.0
// A branch of a deform program as csrc/cuda/deform_plan.h lays it out and as deform.cu walks it. All places are counted in
// uint4s.
//
// Group    the Gaussians of a warp: 32 in fast precision, 16 in reference precision
// Halves   in fast precision a number between layers, or of a matrix, is a half; in reference precision it is two, which add
//          up to it but for 2^-22 of it
// Square   16 rows by 16 columns, the A operand of mma.m16n8k16: a lane has 8 numbers, as halves one uint4. With
//          g = lane / 4 and t = lane % 4 they are (row, column) (g, 2t) (g, 2t+1) (g+8, 2t) (g+8, 2t+1), and the same four
//          eight columns on. The sums of two products side by side lie in lanes in the same way: what a layer writes is
//          what the next one multiplies, and each lane reads only what it wrote itself
// Value    [squares side by side][2][lane] uint4 of a group, zeros behind the last column. The two are the upper and the
//          lower 16 rows in fast precision, the two halves in reference precision
// Columns  [column][rows + 4] floats of a group, for what is added and for scores, where a lane reads a row. The 4 keep the
//          lanes that write them in different banks
// Matrix   [squares of outputs / 2][squares of inputs][squares of outputs, 1 or 2][halves][lane] uint4: the B operands of
//          outputs 0..7 of 16, and of 8..15. SH: a square of outputs at a time. Of a fused head, which has up to 8 outputs:
//          [squares of inputs][halves][lane] uint2
// Terms    floats: biases [whole squares of outputs], scale, plus_scale. kNorm: gammas before them, betas for biases
// Scales   a matrix and a static value are stored times a power of two, so that neither their largest number overflows as
//          a half nor their small ones vanish: scale undoes it, in float32 and without rounding
#pragma once
#include "kernels/cuda/job.h"
#include "ops/deform.h"

struct uint4;

namespace ts::cuda {

constexpr int kDeformFastRows = 32, kDeformReferenceRows = 16;
constexpr int kDeformColumnGap = 4;
constexpr int kMaxDeformWarps = 8;        // of a block
constexpr int kResidentDeformWarps = 16;  // of a processor, by their registers
constexpr int kDeformSquare = 16;
constexpr int kDeformSquareSize = 64;  // uint4s of a group's value in 16 columns

enum class DeformStepKind : int32_t {
  kLayer,    // y = activation(scale weight x + bias + plus)
  kHead,     // the same, of which only what a head makes of it is kept: columns = head_scale head_weight y + head_bias
  kColumns,  // columns = scale weight x + bias
  kSoftmax,  // y = each head's weights over its tokens, of the scores in columns
  kNorm,     // y = activation(x normed * gamma + beta)
  kTanh,     // y = tanh y
  kSh,       // what scale weight x + bias adds to SH: 16 of its columns at a time
};

// A value: static rows in constant memory, or in a warp's scratch memory.
struct DeformOperand {
  int32_t at = -1;     // -1: none
  int32_t stride = 0;  // from group to group; 0: in scratch
};

// In constant memory, or in the frame's.
struct DeformMemory {
  int32_t at = 0;
  int32_t of_frame = 0;
};

struct DeformStep {
  DeformStepKind kind = DeformStepKind::kLayer;
  Activation activation = Activation::kNone;  // kLayer, kHead, kNorm: kRelu, kLeakyRelu or kNone
  float slope = 0, epsilon = 0;
  int32_t inputs = 0;   // squares of x; 0: there is none
  int32_t outputs = 0;  // columns
  int32_t heads = 0;    // kSoftmax
  DeformOperand x, plus;
  int32_t y = -1, columns = -1;  // in scratch
  DeformMemory weight, terms;
  DeformMemory head_weight, head_terms;  // kHead
  int32_t head_outputs = 0;
};

// What is constant about a branch.
struct DeformLayout {
  int32_t n = 0;  // Gaussians
  int32_t n_steps = 0;
  int32_t steps = 0;              // in constant memory
  int32_t scratch = 0;            // of a warp
  int32_t sh_degree = -1;         // -1: nothing is added to SH
  int32_t sh_columns = 0;         // coefficients times three
  int32_t sh_added = -1;          // of kernels/triton: columns of all that is added to SH, behind scratch; -1: nothing
  int32_t kept = 0;               // uint4s of a group in DeformJob::scratch: scratch, and those columns
  int32_t added[kDeformTargets];  // columns in scratch; -1: nothing is added
  int32_t canonical[kDeformTargets];  // [group][column][rows] floats of constant memory, of what has them; -1: none
};

// A branch of a frame. Rows of what the branch does not add to are neither read nor written.
struct DeformJob {
  DeformLayout layout;
  const uint4* constant;  // the steps, then what they read
  const uint4* frame;     // of this draw
  uint4* scratch;         // [groups][kept], of kernels/triton, where layers and rows are kernels of their own; Nullable
  const float* mean;      // [n,3] posed
  const float* color;     // [n,3]
  int32_t has_eye;        // SH becomes RGB as seen from the eye; else coefficients are written
  float eye_w[3];
  float* mean_out;     // [n,3]
  float* quat_out;     // [n,4] unit
  float* scale_out;    // [n,3]
  float* opacity_out;  // [n]
  float* color_out;    // [n,3], or [n,sh_columns]
};

}  // namespace ts::cuda
