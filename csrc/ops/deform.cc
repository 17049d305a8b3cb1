// SPDX-License-Identifier: Apache-2.0
#include "ops/deform.h"

#include <algorithm>
#include <cmath>

namespace ts {
namespace {

bool overlap(const float* a, const float* b, int64_t floats) { return a && b && a < b + floats && b < a + floats; }

}  // namespace

bool DeformBranch::adds_to(DeformTarget target) const {
  return std::any_of(stages.begin(), stages.end(),
                     [&](const DeformStage& s) { return s.kind == DeformKind::kAdd && s.target == target; });
}

bool DeformProgram::adds_to(DeformTarget target) const {
  return std::any_of(branches.begin(), branches.end(), [&](const DeformBranch& b) { return b.adds_to(target); });
}

void fold_attention(const DeformStage& stage, const ConditionProgram& program, const float* condition,
                    const AttentionFold& fold) {
  const int d = stage.outputs, heads = stage.heads, size = d / heads, n_tokens = static_cast<int>(stage.tokens.size());
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  for (int t = 0; t < n_tokens; ++t) {
    const float* token = condition + program.values[static_cast<size_t>(stage.tokens[static_cast<size_t>(t)])].at;
    for (int h = 0; h < heads; ++h) {
      const int row = h * n_tokens + t;
      double bias = 0;
      std::fill_n(fold.score_weight + row * d, d, 0.0f);
      for (int o = 0; o < d; ++o) fold.mix_weight[o * heads * n_tokens + row] = 0;
      // One number of this head's key and value at a time; what it adds to a row of d is summed in float32.
      for (int e = h * size; e < (h + 1) * size; ++e) {
        double key = stage.key.bias[e], value = stage.value.bias[e];
        for (int i = 0; i < d; ++i) {
          key += static_cast<double>(stage.key.weight[e * d + i]) * token[i];
          value += static_cast<double>(stage.value.weight[e * d + i]) * token[i];
        }
        key *= scale;
        bias += key * stage.query.bias[e];
        for (int i = 0; i < d; ++i)
          fold.score_weight[row * d + i] += static_cast<float>(key) * stage.query.weight[e * d + i];
        for (int o = 0; o < d; ++o)
          fold.mix_weight[o * heads * n_tokens + row] += static_cast<float>(value) * stage.mix.weight[o * d + e];
      }
      fold.score_bias[row] = static_cast<float>(bias);
    }
  }
}

Status check(const DeformArgs& args) {
  const auto invalid = StatusCode::kInvalidArgument;
  const GaussianView& in = args.in;
  if (in.n < 0) return error(invalid, "deform: n must be >= 0; got %lld.", static_cast<long long>(in.n));
  if (!args.program) return error(invalid, "deform: program must not be NULL.");
  const DeformProgram& program = *args.program;
  if (program.branches.empty()) return {};
  int64_t rows = 0;
  for (const DeformBranch& branch : program.branches) rows += branch.n;
  if (rows != in.n)
    return error(invalid, "deform: branches must have n=%lld Gaussians in all; they have %lld.",
                 static_cast<long long>(in.n), static_cast<long long>(rows));
  const std::vector<ConditionStage>& stages = program.condition.stages;
  const bool driven = std::any_of(stages.begin(), stages.end(),
                                  [](const ConditionStage& s) { return s.kind == ConditionKind::kInput; });
  if (driven && !args.control) return error(invalid, "deform: control must not be NULL: the program has inputs.");
  const struct {
    const char* name;
    const float *in, *out;
    int64_t columns;
    bool needed;
  } arrays[] = {
      {"mean", in.mean, args.rows.mean, 3, program.adds_to(DeformTarget::kMean)},
      {"quat", in.quat, args.rows.quat, 4, program.adds_to(DeformTarget::kRotation)},
      {"scale", in.scale, args.rows.scale, 3, program.adds_to_scale()},
      {"opacity", in.opacity, args.rows.opacity, 1, program.adds_to(DeformTarget::kLogit)},
      {"color", in.color, args.rows.color, color_stride(in),
       program.adds_to(DeformTarget::kColor) || program.adds_to(DeformTarget::kSh)},
  };
  for (const auto& array : arrays) {
    if (!array.needed || in.n == 0) continue;
    if (!array.in || !array.out)
      return error(invalid, "deform: in.%s and rows.%s must not be NULL: the program adds to them.", array.name,
                   array.name);
    if (!overlap(array.in, array.out, in.n * array.columns)) continue;
    return error(invalid, "deform: rows.%s must not overlap in.%s: what a frame adds would be the next frame's input.",
                 array.name, array.name);
  }
  return {};
}

}  // namespace ts
