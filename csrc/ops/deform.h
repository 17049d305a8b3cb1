// SPDX-License-Identifier: Apache-2.0
// deform — the avatar's deform program over the posed Gaussians: a small network for each of them, baked at import.
//
// Program  branches, each with the stages for its own contiguous rows. A stage reads values of a Gaussian (static rows, or
//          what an earlier stage wrote) and vectors that ops/condition.h made of the control. No branches: the identity
// In, out  what a program adds to it writes to rows of its own, which never alias the view that it reads: pose's output
//          of one frame is not the input of the next
// Maths    python/authoring/FORMAT.md, "Deform programs", branches; "How a frame is posed", 6
// Sums     in float32, without the canonical value, which is added last: started from it, every partial sum would be
//          rounded at its size
// Oracle   tests/reference/deform.py      Bench  bench/ops/bench_deform.py
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ops/condition.h"
#include "ops/gaussians.h"

namespace ts {

enum class DeformKind { kLinear, kAttention, kNorm, kAdd };
enum class DeformTarget { kMean, kLogScale, kSoftplusScale, kRotation, kLogit, kColor, kSh };
constexpr int kDeformTargets = 7;
constexpr int kMaxDeformBranches = 8;
// How the matrices of branches are multiplied; all else is float32. bfloat16 where the CPU is faster with it.
enum class DeformPrecision { kFp32, kBf16 };

// A number of columns per Gaussian.
struct DeformValue {
  std::string name;
  int width = 0;
  const float* rows = nullptr;  // [n,width] static; nullptr: a stage writes it
};

struct DeformMap {
  const float* weight = nullptr;  // [outputs,inputs]
  const float* bias = nullptr;    // [outputs]; Nullable
};

// What a kind does not need is left at its default. Values of the Gaussian: in, plus, out; of the condition: gain, frame,
// tokens; -1 where there is none.
struct DeformStage {
  DeformKind kind = DeformKind::kLinear;
  int in = -1, plus = -1, out = -1;
  int gain = -1, frame = -1;
  std::vector<int> tokens;
  int heads = 0;
  DeformMap map;                     // kLinear, kAdd; kNorm: gamma and beta
  DeformMap query, key, value, mix;  // kAttention
  int outputs = 0;                   // numbers that it writes or adds
  Activation activation = Activation::kNone;
  float slope = 0;
  float epsilon = 0;                          // kNorm
  DeformTarget target = DeformTarget::kMean;  // kAdd
};

struct DeformBranch {
  std::string name;
  int64_t n = 0;                    // Gaussians
  int dilate_px = 0;                // FORMAT.md; 0: not at all
  std::vector<DeformValue> values;  // static ones first
  int n_static = 0;
  std::vector<DeformStage> stages;
  // Canonical values of what is added to; nullptr otherwise.
  const float *log_scale = nullptr, *softplus_scale = nullptr, *rotation = nullptr, *logit = nullptr;

  bool adds_to(DeformTarget target) const;
  bool adds_to_scale() const { return adds_to(DeformTarget::kLogScale) || adds_to(DeformTarget::kSoftplusScale); }
};

struct DeformProgram {
  ConditionProgram condition;
  std::vector<DeformBranch> branches;
  DeformPrecision precision = DeformPrecision::kFp32;  // what import chose

  bool adds_to(DeformTarget target) const;  // in any branch
  bool adds_to_scale() const { return adds_to(DeformTarget::kLogScale) || adds_to(DeformTarget::kSoftplusScale); }
};

// What attention comes to for one frame's tokens: query and key fold into the scores, value and mix into the output.
//   score = weight x + bias   [heads * tokens, d]
//   out = mix softmax(score by head) + mix_bias   [d, heads * tokens]
// 16 d numbers for 4 tokens and 2 heads, instead of the 4 d^2 of the maps.
struct AttentionFold {
  float* score_weight = nullptr;  // [heads * tokens,d]
  float* score_bias = nullptr;    // [heads * tokens]
  float* mix_weight = nullptr;    // [d,heads * tokens]
};
// condition: the values of the condition. Keys and values of tokens are summed in float64, what they fold into in float32.
void fold_attention(const DeformStage& stage, const ConditionProgram& program, const float* condition,
                    const AttentionFold& fold);

struct DeformArgs {
  const DeformProgram* program = nullptr;
  const float* control = nullptr;  // the frame's control vector; Nullable: the program has no inputs
  GaussianView in;                 // posed
  GaussianRows rows;               // [in.n]; those of the program's targets
  // [3] where SH is seen from: a program that adds to `sh` writes RGB to rows.color. Nullable: it writes coefficients.
  const float* eye_w = nullptr;
};

// kInvalidArgument for rows that are missing or alias the view, and for branches that are not all of its Gaussians.
Status check(const DeformArgs& args);

}  // namespace ts
