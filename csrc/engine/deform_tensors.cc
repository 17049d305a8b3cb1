// SPDX-License-Identifier: Apache-2.0
#include "engine/deform_tensors.h"

#include <algorithm>
#include <string>
#include <utility>

namespace ts {
namespace {

// FORMAT.md, Limits: whatever a file says, a frame's condition takes milliseconds and a block's values some kilobytes.
constexpr int64_t kMaxConditionFloats = int64_t{1} << 20, kMaxConditionProducts = int64_t{1} << 28;
constexpr int64_t kMaxWidth = 1024, kMaxBlockNumbers = 4096;

class ProgramReader {
 public:
  ProgramReader(TensorReader& in, const GaussianView& gaussians, DeformProgram& program)
      : in_(in), gaussians_(gaussians), program_(program) {}

  Status read() {
    for (size_t i = 0; i < program_.condition.stages.size(); ++i) TS_RETURN_IF_ERROR(condition_stage(i));
    int64_t rows = 0;
    for (DeformBranch& branch : program_.branches) {
      rows += branch.n;
      TS_RETURN_IF_ERROR(this->branch(branch));
    }
    if (rows != gaussians_.n) {
      return in_.invalid("manifest: deform.branches must have N = " + std::to_string(gaussians_.n) +
                         " rows in all (from gaussians/mean); got " + std::to_string(rows));
    }
    for (const DeformBranch& branch : program_.branches) {
      if (program_.adds_to(DeformTarget::kSh) && !branch.adds_to(DeformTarget::kSh))
        return in_.invalid("manifest: deform.branches must all add to \"sh\", or none; " + branch.name + " does not");
    }
    return Status();
  }

 private:
  ConditionValue& value(int i) { return program_.condition.values[static_cast<size_t>(i)]; }

  Status matrix(const std::string& name, int64_t& rows, int64_t columns, const float*& out) {
    Count count{"o", kMaxConditionFloats, &rows, 1};
    TS_RETURN_IF_ERROR(in_.get(name, {count, columns}, out));
    return in_.check_finite(name, out, rows, columns);
  }
  Status vector(const std::string& name, int64_t n, const float*& out) {
    TS_RETURN_IF_ERROR(in_.get(name, {n}, out));
    return in_.check_finite(name, out, n, 1);
  }
  Status optional_vector(const std::string& name, int64_t n, const float*& out) {
    return in_.has(name.c_str()) ? vector(name, n, out) : Status();
  }

  Status condition_stage(size_t i) {
    ConditionStage& stage = program_.condition.stages[i];
    ConditionValue& out = value(stage.out);
    const std::string place = "deform/condition/" + std::to_string(i) + "/";
    const std::string key = "manifest: deform.condition[" + std::to_string(i) + "]";
    const ConditionValue in = stage.in.empty() ? ConditionValue{} : value(stage.in[0]);
    int64_t products = 0;
    switch (stage.kind) {
      case ConditionKind::kInput:
        break;
      case ConditionKind::kConstant: {
        Count rows{"r", kMaxConditionFloats, &out.rows, 1}, columns{"c", kMaxConditionFloats, &out.channels, 1};
        TS_RETURN_IF_ERROR(in_.get(place + "value", {rows, columns}, stage.weight));
        TS_RETURN_IF_ERROR(in_.check_finite(place + "value", stage.weight, out.rows, out.channels));
        break;
      }
      case ConditionKind::kLinear:
        TS_RETURN_IF_ERROR(matrix(place + "weight", out.channels, in.row_size(), stage.weight));
        TS_RETURN_IF_ERROR(optional_vector(place + "bias", out.channels, stage.bias));
        out.rows = in.rows;
        products = in.row_size();
        break;
      case ConditionKind::kConv: {
        Count outputs{"o", kMaxConditionFloats, &out.channels, 1}, taps{"k", kMaxConditionFloats, &stage.taps, 1};
        TS_RETURN_IF_ERROR(in_.get(place + "weight", {outputs, in.channels, taps}, stage.weight));
        TS_RETURN_IF_ERROR(in_.check_finite(place + "weight", stage.weight, out.channels, in.channels * stage.taps));
        TS_RETURN_IF_ERROR(vector(place + "bias", out.channels, stage.bias));
        out.rows = in.rows;
        if (in.length + 2 * stage.padding < stage.taps)
          return in_.invalid(key + " has more taps, " + std::to_string(stage.taps) + ", than its input with padding");
        out.length = (in.length + 2 * stage.padding - stage.taps) / stage.stride + 1;
        products = in.channels * stage.taps;
        program_.condition.n_scratch = std::max(program_.condition.n_scratch, products);
        break;
      }
      case ConditionKind::kWaves: {
        Count count{"f", kMaxConditionFloats, &stage.n_frequencies, 1};
        TS_RETURN_IF_ERROR(in_.get(place + "frequency", {count}, stage.weight));
        TS_RETURN_IF_ERROR(in_.check_finite(place + "frequency", stage.weight, stage.n_frequencies, 1));
        out.rows = in.rows;
        out.channels = in.row_size() * ((stage.keep ? 1 : 0) + 2 * stage.n_frequencies);
        break;
      }
      case ConditionKind::kTranspose:
        if (in.length != 1) return in_.invalid(key + ".in must have the length 1; got " + std::to_string(in.length));
        out.channels = in.channels, out.length = in.rows;
        break;
      case ConditionKind::kPool:
        TS_RETURN_IF_ERROR(require_vector(stage.in[1], in.rows, key + ".weights"));
        out.channels = in.channels, out.length = in.length;
        products = in.rows;
        break;
      case ConditionKind::kSlice:
        if (in.rows != 1 || stage.first + stage.count > in.size())
          return in_.invalid(key + " must end inside its input of one row; that has " + std::to_string(in.rows) +
                             " rows of " + std::to_string(in.row_size()));
        out.channels = stage.count;
        break;
      case ConditionKind::kJoin:
        out.channels = 0;
        for (const int part : stage.in) {
          if (value(part).rows != 1) return in_.invalid(key + ".in must have values of one row");
          out.channels += value(part).size();
        }
    }
    // Each is below 2^41 here, so that the products of two cannot overflow before they are found too large.
    if (out.rows * out.channels > kMaxConditionFloats || out.size() > kMaxConditionFloats ||
        program_.condition.n_floats + out.size() > kMaxConditionFloats) {
      return in_.invalid(key + " makes the condition larger than " + std::to_string(kMaxConditionFloats) + " numbers");
    }
    products_ += out.size() * products;
    if (products_ > kMaxConditionProducts) {
      return in_.invalid(key + " makes the condition longer than " + std::to_string(kMaxConditionProducts) +
                         " products");
    }
    out.at = program_.condition.n_floats;
    program_.condition.n_floats += out.size();
    return Status();
  }

  std::string key_of(const DeformBranch& branch) const {
    return "manifest: deform.branches[" + std::to_string(&branch - program_.branches.data()) + "]";
  }

  Status branch(DeformBranch& branch) {
    const std::string root = "deform/" + branch.name + "/";
    for (int i = 0; i < branch.n_static; ++i) {
      DeformValue& rows = branch.values[static_cast<size_t>(i)];
      const std::string name = root + "static/" + rows.name;
      int64_t width = 0;
      Count columns{"w", kMaxWidth, &width, 1};
      TS_RETURN_IF_ERROR(in_.get(name, {branch.n, columns}, rows.rows));
      TS_RETURN_IF_ERROR(in_.check_finite(name, rows.rows, branch.n, width));
      rows.width = static_cast<int>(width);
    }
    for (size_t i = 0; i < branch.stages.size(); ++i)
      TS_RETURN_IF_ERROR(branch_stage(branch, i, root + std::to_string(i) + "/"));
    int64_t numbers = 0;
    for (const DeformValue& value : branch.values) numbers += value.width;
    for (const DeformStage& stage : branch.stages) numbers += stage.heads * static_cast<int64_t>(stage.tokens.size());
    if (numbers > kMaxBlockNumbers) {
      return in_.invalid(key_of(branch) + " must have values of at most " + std::to_string(kMaxBlockNumbers) +
                         " numbers a Gaussian in all; got " + std::to_string(numbers));
    }
    const struct {
      DeformTarget target;
      const char* name;
      int64_t columns;
      const float** out;
    } canonical[] = {{DeformTarget::kLogScale, "log_scale", 3, &branch.log_scale},
                     {DeformTarget::kSoftplusScale, "softplus_scale", 3, &branch.softplus_scale},
                     {DeformTarget::kRotation, "rotation", 4, &branch.rotation},
                     {DeformTarget::kLogit, "logit", 1, &branch.logit}};
    for (const auto& raw : canonical) {
      if (!branch.adds_to(raw.target)) continue;
      const std::string name = root + "canonical/" + raw.name;
      if (raw.columns == 1)
        TS_RETURN_IF_ERROR(in_.get(name, {branch.n}, *raw.out));
      else
        TS_RETURN_IF_ERROR(in_.get(name, {branch.n, raw.columns}, *raw.out));
      TS_RETURN_IF_ERROR(in_.check_finite(name, *raw.out, branch.n, raw.columns));
    }
    return Status();
  }

  Status branch_stage(DeformBranch& branch, size_t i, const std::string& place) {
    DeformStage& stage = branch.stages[i];
    const std::string key = key_of(branch) + ".stages[" + std::to_string(i) + "]";
    const auto width = [&](int v) { return v < 0 ? 0 : branch.values[static_cast<size_t>(v)].width; };
    const int inputs = width(stage.in);
    switch (stage.kind) {
      case DeformKind::kLinear:
        TS_RETURN_IF_ERROR(linear_width(branch, stage, key, place));
        break;
      case DeformKind::kAttention:
        TS_RETURN_IF_ERROR(attention(stage, inputs, key, place));
        break;
      case DeformKind::kNorm:
        stage.outputs = inputs;
        TS_RETURN_IF_ERROR(vector(place + "gamma", inputs, stage.map.weight));
        TS_RETURN_IF_ERROR(vector(place + "beta", inputs, stage.map.bias));
        break;
      case DeformKind::kAdd:
        return add(stage, inputs, key, place);
    }
    if (stage.plus >= 0 && width(stage.plus) != stage.outputs) {
      return in_.invalid(key + ".plus must have the width of the output, " + std::to_string(stage.outputs) + "; got " +
                         std::to_string(width(stage.plus)));
    }
    branch.values[static_cast<size_t>(stage.out)].width = stage.outputs;
    return Status();
  }

  // A value of the condition that serves as a vector of n numbers.
  Status require_vector(int v, int64_t n, const std::string& key) {
    const ConditionValue& given = value(v);
    if (given.rows == 1 && given.size() == n) return Status();
    return in_.invalid(key + " must be a value of one row of " + std::to_string(n) + " numbers; got " +
                       std::to_string(given.rows) + " of " + std::to_string(given.row_size()));
  }

  Status linear_width(const DeformBranch& branch, DeformStage& stage, const std::string& key,
                      const std::string& place) {
    const auto width = [&](int v) { return branch.values[static_cast<size_t>(v)].width; };
    int64_t outputs = 0;
    if (stage.in >= 0) {
      TS_RETURN_IF_ERROR(matrix(place + "weight", outputs, width(stage.in), stage.map.weight));
      if (stage.gain >= 0) TS_RETURN_IF_ERROR(require_vector(stage.gain, width(stage.in), key + ".gain"));
    } else if (stage.plus >= 0) {
      outputs = width(stage.plus);
    } else {
      return in_.invalid(key + " must have in or plus: without them all Gaussians would have the same value");
    }
    if (outputs > kMaxWidth)
      return in_.invalid(key + " has " + std::to_string(outputs) + " outputs; at most " + std::to_string(kMaxWidth));
    stage.outputs = static_cast<int>(outputs);
    if (stage.frame >= 0) TS_RETURN_IF_ERROR(require_vector(stage.frame, outputs, key + ".frame"));
    return optional_vector(place + "bias", outputs, stage.map.bias);
  }

  Status attention(DeformStage& stage, int d, const std::string& key, const std::string& place) {
    stage.outputs = d;
    const auto scores = static_cast<int64_t>(stage.heads) * static_cast<int64_t>(stage.tokens.size());
    if (d % stage.heads != 0 || scores > kMaxWidth) {
      return in_.invalid(key + ".heads must divide the width " + std::to_string(d) +
                         ", and times the tokens be at most " + std::to_string(kMaxWidth) + "; got " +
                         std::to_string(stage.heads));
    }
    for (const int token : stage.tokens) TS_RETURN_IF_ERROR(require_vector(token, d, key + ".tokens"));
    for (const auto& [name, map] : {std::pair("query", &stage.query), std::pair("key", &stage.key),
                                    std::pair("value", &stage.value), std::pair("out", &stage.mix)}) {
      const std::string weight = place + name + "/weight";
      TS_RETURN_IF_ERROR(in_.get(weight, {d, d}, map->weight));
      TS_RETURN_IF_ERROR(in_.check_finite(weight, map->weight, d, d));
      TS_RETURN_IF_ERROR(vector(place + name + "/bias", d, map->bias));
    }
    return Status();
  }

  Status add(DeformStage& stage, int inputs, const std::string& key, const std::string& place) {
    const bool rgb = gaussians_.sh_degree < 0;
    if ((stage.target == DeformTarget::kColor && !rgb) || (stage.target == DeformTarget::kSh && rgb))
      return in_.invalid(key + ".to must fit the manifest's color, which is " +
                         (rgb ? "\"rgb\"" : "spherical harmonics"));
    constexpr int kWidths[] = {3, 3, 3, 4, 1, 3};
    stage.outputs = stage.target == DeformTarget::kSh ? static_cast<int>(color_stride(gaussians_))
                                                      : kWidths[static_cast<int>(stage.target)];
    const std::string weight = place + "weight";
    TS_RETURN_IF_ERROR(in_.get(weight, {stage.outputs, inputs}, stage.map.weight));
    TS_RETURN_IF_ERROR(in_.check_finite(weight, stage.map.weight, stage.outputs, inputs));
    return optional_vector(place + "bias", stage.outputs, stage.map.bias);
  }

  TensorReader& in_;
  const GaussianView& gaussians_;
  DeformProgram& program_;
  int64_t products_ = 0;
};

}  // namespace

Status read_deform_tensors(TensorReader& in, const GaussianView& gaussians, DeformProgram& program) {
  return ProgramReader(in, gaussians, program).read();
}

}  // namespace ts
