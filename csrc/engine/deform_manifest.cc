// SPDX-License-Identifier: Apache-2.0
#include "engine/deform_manifest.h"

#include <string>
#include <utility>

#include "core/text.h"

namespace ts {
namespace {

using manifest::Node;

constexpr int64_t kMaxExtent = int64_t{1} << 20;  // of a value of the condition
constexpr int64_t kMaxDilation = 255;             // px
constexpr int kMaxHeads = 64;

template <class Value>
int find(const std::vector<Value>& values, const std::string& name) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

// The value that a key names, which an earlier stage wrote.
template <class Value>
Status read_value(const Node& node, const std::vector<Value>& values, int& out) {
  std::string name;
  TS_RETURN_IF_ERROR(node.name(name));
  out = find(values, name);
  return node.require(out >= 0, "be the name of a value that an earlier stage wrote, or that is static");
}

template <class Value>
Status read_optional(const Node& node, const std::vector<Value>& values, int& out) {
  out = -1;
  return node.absent() ? Status() : read_value(node, values, out);
}

template <class Value>
Status read_values(const Node& node, const std::vector<Value>& values, std::vector<int>& out) {
  size_t count = 0;
  TS_RETURN_IF_ERROR(node.list(-1, count));
  TS_RETURN_IF_ERROR(node.require(count > 0 && count <= kMaxDeformStages,
                                  "have 1 to " + std::to_string(kMaxDeformStages) + " entries"));
  out.resize(count);
  for (size_t i = 0; i < count; ++i) TS_RETURN_IF_ERROR(read_value(node.at(i), values, out[i]));
  return Status();
}

// The new value that a stage writes.
template <class Value>
Status read_out(const Node& node, std::vector<Value>& values, int& out) {
  Value value;
  TS_RETURN_IF_ERROR(node.name(value.name));
  TS_RETURN_IF_ERROR(node.require(find(values, value.name) < 0, "be a new name"));
  out = static_cast<int>(values.size());
  values.push_back(std::move(value));
  return Status();
}

Status read_activation(const Node& stage, bool softmax, Activation& activation, float& slope) {
  const Node node = stage.at("activation");
  TS_RETURN_IF_ERROR(node.choice({"none", "relu", "leaky_relu", "tanh", "softmax"}, activation));
  TS_RETURN_IF_ERROR(node.require(softmax || activation != Activation::kSoftmax, "be another one here"));
  return activation == Activation::kLeakyRelu ? stage.at("slope").number(slope) : Status();
}

Status read_list(const Node& node, size_t limit, size_t& count) {
  TS_RETURN_IF_ERROR(node.list(-1, count));
  return node.require(count <= limit, "have at most " + std::to_string(limit) + " entries");
}

Status read_condition_stage(const Node& node, const std::vector<AvatarInput>& inputs, ConditionProgram& program,
                            ConditionStage& stage) {
  TS_RETURN_IF_ERROR(node.at("kind").choice(
      {"input", "constant", "linear", "conv", "waves", "transpose", "pool", "slice", "join"}, stage.kind));
  std::vector<ConditionValue>& values = program.values;
  stage.in.resize(1);
  switch (stage.kind) {
    case ConditionKind::kInput: {
      stage.in.clear();
      std::string name;
      TS_RETURN_IF_ERROR(node.at("input").name(name));
      stage.input = find(inputs, name);
      TS_RETURN_IF_ERROR(node.at("input").require(
          stage.input >= 0 && inputs[static_cast<size_t>(stage.input)].target == InputTarget::kDeform,
          "be the name of an input whose target is \"deform\""));
      ConditionValue value;
      size_t count = 0;
      TS_RETURN_IF_ERROR(node.at("shape").list(3, count));
      for (const auto& [i, out] :
           {std::pair(0, &value.rows), std::pair(1, &value.channels), std::pair(2, &value.length)})
        TS_RETURN_IF_ERROR(node.at("shape").at(static_cast<size_t>(i)).integer(1, kMaxExtent, *out));
      const int size = inputs[static_cast<size_t>(stage.input)].size;
      TS_RETURN_IF_ERROR(
          node.at("shape").require(value.size() == size, "have the " + std::to_string(size) + " numbers of its input"));
      TS_RETURN_IF_ERROR(read_out(node.at("out"), values, stage.out));
      value.name = values.back().name;
      values.back() = std::move(value);
      return Status();
    }
    case ConditionKind::kConstant:
      stage.in.clear();
      break;
    case ConditionKind::kConv:
      TS_RETURN_IF_ERROR(node.at("stride").integer(1, kMaxExtent, stage.stride));
      TS_RETURN_IF_ERROR(node.at("padding").integer(0, kMaxExtent, stage.padding));
      [[fallthrough]];
    case ConditionKind::kLinear:
      TS_RETURN_IF_ERROR(read_activation(node, true, stage.activation, stage.slope));
      break;
    case ConditionKind::kWaves:
      TS_RETURN_IF_ERROR(node.at("keep").boolean(stage.keep));
      break;
    case ConditionKind::kPool:
      stage.in.resize(2);
      TS_RETURN_IF_ERROR(read_value(node.at("weights"), values, stage.in[1]));
      break;
    case ConditionKind::kSlice:
      TS_RETURN_IF_ERROR(node.at("first").integer(0, kMaxExtent, stage.first));
      TS_RETURN_IF_ERROR(node.at("count").integer(1, kMaxExtent, stage.count));
      break;
    case ConditionKind::kJoin:
      TS_RETURN_IF_ERROR(read_values(node.at("in"), values, stage.in));
      return read_out(node.at("out"), values, stage.out);
    case ConditionKind::kTranspose:
      break;
  }
  if (!stage.in.empty()) TS_RETURN_IF_ERROR(read_value(node.at("in"), values, stage.in[0]));
  return read_out(node.at("out"), values, stage.out);
}

Status read_branch_stage(const Node& node, const ConditionProgram& condition, DeformBranch& branch,
                         DeformStage& stage) {
  std::vector<DeformValue>& values = branch.values;
  TS_RETURN_IF_ERROR(node.at("kind").choice({"linear", "attention", "norm", "add"}, stage.kind));
  const bool linear = stage.kind == DeformKind::kLinear;
  TS_RETURN_IF_ERROR(linear ? read_optional(node.at("in"), values, stage.in)
                            : read_value(node.at("in"), values, stage.in));
  if (stage.kind == DeformKind::kAdd) {
    TS_RETURN_IF_ERROR(node.at("to").choice({"mean", "log_scale", "softplus_scale", "rotation", "logit", "color", "sh"},
                                            stage.target));
    const bool scale = stage.target == DeformTarget::kLogScale || stage.target == DeformTarget::kSoftplusScale;
    return node.at("to").require(!(scale ? branch.adds_to_scale() : branch.adds_to(stage.target)), "be added to once");
  }
  if (stage.kind != DeformKind::kNorm) TS_RETURN_IF_ERROR(read_optional(node.at("plus"), values, stage.plus));
  if (linear) {
    TS_RETURN_IF_ERROR(read_optional(node.at("gain"), condition.values, stage.gain));
    TS_RETURN_IF_ERROR(read_optional(node.at("frame"), condition.values, stage.frame));
    if (stage.gain >= 0) TS_RETURN_IF_ERROR(node.at("gain").require(stage.in >= 0, "be absent where there is no in"));
  }
  if (stage.kind == DeformKind::kAttention) {
    TS_RETURN_IF_ERROR(read_values(node.at("tokens"), condition.values, stage.tokens));
    TS_RETURN_IF_ERROR(node.at("heads").integer(1, kMaxHeads, stage.heads));
  } else {
    TS_RETURN_IF_ERROR(read_activation(node, false, stage.activation, stage.slope));
  }
  if (stage.kind == DeformKind::kNorm) {
    TS_RETURN_IF_ERROR(node.at("epsilon").number(stage.epsilon));
    TS_RETURN_IF_ERROR(node.at("epsilon").require(stage.epsilon > 0, "be above 0"));
  }
  return read_out(node.at("out"), values, stage.out);
}

Status read_branch(const Node& node, const ConditionProgram& condition, DeformBranch& branch) {
  TS_RETURN_IF_ERROR(node.at("rows").integer(0, kMaxGaussians, branch.n));
  if (const Node dilate = node.at("dilate_px"); !dilate.absent()) {
    TS_RETURN_IF_ERROR(dilate.integer(0, kMaxDilation, branch.dilate_px));
    TS_RETURN_IF_ERROR(dilate.require(branch.dilate_px == 0 || branch.dilate_px % 2 == 1, "be 0 or odd"));
  }
  size_t count = 0;
  TS_RETURN_IF_ERROR(read_list(node.at("static"), kMaxDeformStages, count));
  for (size_t i = 0; i < count; ++i) {
    int value = 0;
    const Node name = node.at("static").at(i);
    TS_RETURN_IF_ERROR(read_out(name, branch.values, value));
    TS_RETURN_IF_ERROR(name.require(branch.values.back().name.find('/') == std::string::npos, "not contain '/'"));
  }
  branch.n_static = static_cast<int>(count);
  TS_RETURN_IF_ERROR(read_list(node.at("stages"), kMaxDeformStages, count));
  for (size_t i = 0; i < count; ++i) {
    DeformStage stage;
    TS_RETURN_IF_ERROR(read_branch_stage(node.at("stages").at(i), condition, branch, stage));
    branch.stages.push_back(std::move(stage));
  }
  return Status();
}

}  // namespace

Status read_deform(const Node& node, const std::vector<AvatarInput>& inputs, DeformProgram& program) {
  size_t count = 0;
  if (const Node stages = node.at("stages"); !stages.absent() || node.at("branches").absent())
    return stages.list(0, count);
  const Node condition = node.at("condition"), branches = node.at("branches");
  TS_RETURN_IF_ERROR(read_list(condition, kMaxDeformStages, count));
  for (size_t i = 0; i < count; ++i) {
    ConditionStage stage;
    TS_RETURN_IF_ERROR(read_condition_stage(condition.at(i), inputs, program.condition, stage));
    program.condition.stages.push_back(std::move(stage));
  }
  TS_RETURN_IF_ERROR(read_list(branches, kMaxDeformBranches, count));
  TS_RETURN_IF_ERROR(branches.require(count > 0, "have at least one entry"));
  for (size_t i = 0; i < count; ++i) {
    DeformBranch branch;
    const Node name = branches.at(i).at("name");
    TS_RETURN_IF_ERROR(name.name(branch.name));
    // deform/BRANCH/... must split in one way only, and deform/condition/... is taken.
    TS_RETURN_IF_ERROR(name.require(branch.name.find('/') == std::string::npos && branch.name != "condition" &&
                                        find(program.branches, branch.name) < 0,
                                    "be a new name without '/', and not \"condition\""));
    TS_RETURN_IF_ERROR(read_branch(branches.at(i), program.condition, branch));
    TS_RETURN_IF_ERROR(
        branches.at(i).require(i > 0 || branch.dilate_px == 0, "have dilate_px 0: nothing is before it"));
    program.branches.push_back(std::move(branch));
  }
  return node.at("precision").choice({"fp32", "bf16"}, program.precision);
}

}  // namespace ts
