// SPDX-License-Identifier: Apache-2.0
// A branch of a deform program as csrc/cuda/deform_plan.h lays it out and as deform.cu walks it.
//
// Group    the Gaussians of a warp: 32 in fast precision, 16 in reference precision
// Tile     16 rows by 16 columns, as the A operand of mma.m16n8k16: a lane has 8 numbers, as halves one uint4. With
//          g = lane / 4 and t = lane % 4 they are (row, column) (g, 2t) (g, 2t+1) (g+8, 2t) (g+8, 2t+1), and the same four
//          eight columns on. The sums of two products side by side lie in lanes in the same way: what a layer writes is
//          what the next one multiplies, and each lane reads only what it wrote itself
// Value    [column tiles][2][lane] uint4 of a group, width rounded up to whole tiles, zeros behind it. The two are the upper
//          and the lower 16 rows in fast precision; in reference precision high and low, whose sum is the number
// Columns  [column][rows + 4] floats of a group, for what is added and for scores, where a lane reads a row. The 4 keep the
//          lanes that write them in different banks
// Matrix   [two column tiles of outputs][column tiles of inputs][1 or 2 tiles][planes][lane] uint4: the B operands of two
//          products. Planes: halves; in reference precision high and low
// Scales   a matrix and a static value are stored times a power of two, so that neither their largest number overflows as
//          a half nor their small ones vanish: `scale` undoes it, in float32 and without rounding
#pragma once
#include "kernels/cuda/job.h"
#include "math/activation_kind.h"

struct uint4;

namespace ts::cuda {

constexpr int kDeformFastRows = 32, kDeformReferenceRows = 16;
constexpr int kDeformColumnGap = 4;
constexpr int kMaxDeformWarps = 8;        // of a block
constexpr int kResidentDeformWarps = 16;  // of a processor, by their registers
constexpr int kDeformTile = 16;
constexpr int kDeformTileWords = 64;  // uint4s of a column tile of a group's value

enum class DeformStepKind : int32_t {
  kLayer,    // y = activation(scale weight x + bias + plus)
  kHead,     // the same, of which only what a head makes of it is kept: columns = head_scale head_weight y + head_bias
  kColumns,  // columns = scale weight x + bias
  kSoftmax,  // y = each head's weights over its tokens, of the scores in columns
  kNorm,     // y = activation(x normed * gamma + beta)
  kTanh,     // y = tanh y
  kSh,       // what scale weight x + bias adds to SH: 16 of its columns at a time
};

// Of 16-byte words: `stride` from group to group, in constant memory; or 0: of a warp's scratch memory.
struct DeformOperand {
  int32_t at = -1;  // -1: none
  int32_t stride = 0;
};

// Words in constant memory, or in the frame's.
struct DeformMemory {
  int32_t at = 0;
  int32_t of_frame = 0;
};

struct DeformStep {
  DeformStepKind kind = DeformStepKind::kLayer;
  Activation activation = Activation::kNone;  // kLayer, kHead, kNorm: kRelu, kLeakyRelu or kNone
  float slope = 0, epsilon = 0;
  int32_t inputs = 0;   // column tiles of x; 0: there is none
  int32_t outputs = 0;  // columns
  int32_t heads = 0;    // kSoftmax
  DeformOperand x, plus;
  int32_t y = -1;        // words of scratch
  int32_t columns = -1;  // words of scratch
  DeformMemory weight;
  DeformMemory terms;  // floats: bias [whole tiles], scale, plus_scale; kNorm: gamma, beta [whole tiles], scale of x
  DeformMemory head_weight, head_terms;  // kHead: [column tiles][planes][lane] uint2; bias [whole tile], scale
  int32_t head_outputs = 0;
};

// What is constant about a branch.
struct DeformLayout {
  int32_t n = 0;  // Gaussians
  int32_t n_steps = 0;
  int32_t steps = 0;                                // words in constant memory
  int32_t scratch = 0;                              // words of a warp
  int32_t sh_degree = -1;                           // -1: nothing is added to SH
  int32_t sh_columns = 0;                           // coefficients times three
  int32_t added[7] = {-1, -1, -1, -1, -1, -1, -1};  // by DeformTarget: columns of scratch; -1: nothing
  int32_t canonical[7] = {-1, -1, -1, -1,
                          -1, -1, -1};  // [group][column][rows] floats of constant memory, where added to
};

// A branch of a frame. Rows of what the branch does not add to are neither read nor written.
struct DeformJob {
  DeformLayout layout;
  const uint4* constant;  // the steps, then what they read
  const uint4* frame;     // of this draw
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
