// SPDX-License-Identifier: Apache-2.0
#include "sample_program.h"

#include <algorithm>
#include <cmath>

namespace ts_test {

using ts::Activation;
using ts::DeformKind;
using ts::DeformTarget;

namespace {

int width_of(DeformTarget target, const ts::GaussianView& posed) {
  switch (target) {
    case DeformTarget::kRotation:
      return 4;
    case DeformTarget::kLogit:
      return 1;
    case DeformTarget::kSh:
      return static_cast<int>(ts::color_stride(posed));
    default:
      return 3;
  }
}

double activate(const ts::DeformStage& stage, double x) {
  switch (stage.activation) {
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kLeakyRelu:
      return x > 0 ? x : stage.slope * x;
    case Activation::kTanh:
      return std::tanh(x);
    default:
      return x;
  }
}

using Row = std::vector<double>;

Row apply(const ts::DeformMap& map, const Row& x, int outputs) {
  Row y(static_cast<size_t>(outputs));
  for (int o = 0; o < outputs; ++o) {
    double& sum = y[static_cast<size_t>(o)] = map.bias ? map.bias[o] : 0;
    for (size_t i = 0; i < x.size(); ++i) sum += double{map.weight[static_cast<size_t>(o) * x.size() + i]} * x[i];
  }
  return y;
}

// Real spherical harmonics as 3D Gaussian Splatting has them.
void basis_ref(int degree, const double* d, double* basis) {
  const double x = d[0], y = d[1], z = d[2], xx = x * x, yy = y * y, zz = z * z;
  const double values[16] = {0.28209479177387814,
                             -0.4886025119029199 * y,
                             0.4886025119029199 * z,
                             -0.4886025119029199 * x,
                             1.0925484305920792 * x * y,
                             -1.0925484305920792 * y * z,
                             0.31539156525252005 * (2 * zz - xx - yy),
                             -1.0925484305920792 * x * z,
                             0.5462742152960396 * (xx - yy),
                             -0.5900435899266435 * y * (3 * xx - yy),
                             2.890611442640554 * x * y * z,
                             -0.4570457994644658 * y * (4 * zz - xx - yy),
                             0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
                             -0.4570457994644658 * x * (4 * zz - xx - yy),
                             1.445305721320277 * z * (xx - yy),
                             -0.5900435899266435 * x * (xx - 3 * yy)};
  for (int k = 0; k < 16; ++k) basis[k] = k < ts::sh_coefficients(degree) ? values[k] : 0;
}

// One Gaussian of a branch, by its stages.
class Evaluation {
 public:
  Evaluation(const SampleProgram& sample, const ts::DeformBranch& branch, int64_t row)
      : sample_(sample), values_(branch.values.size()) {
    for (size_t v = 0; v < values_.size(); ++v) {
      const ts::DeformValue& value = branch.values[v];
      if (value.rows) values_[v].assign(value.rows + row * value.width, value.rows + (row + 1) * value.width);
    }
    for (const ts::DeformStage& stage : branch.stages) evaluate(stage);
  }
  const Row& added(DeformTarget target) const { return added_[static_cast<int>(target)]; }

 private:
  const Row& of(int value) const { return values_[static_cast<size_t>(value)]; }
  const float* condition(int value) const {
    return sample_.condition() + sample_.program.condition.values[static_cast<size_t>(value)].at;
  }

  void evaluate(const ts::DeformStage& stage) {
    Row y;
    switch (stage.kind) {
      case DeformKind::kLinear: {
        Row x = stage.in >= 0 ? of(stage.in) : Row();
        if (stage.gain >= 0) {
          for (size_t i = 0; i < x.size(); ++i) x[i] *= condition(stage.gain)[i];
        }
        y = apply(stage.map, x, stage.outputs);
        if (stage.frame >= 0) {
          for (size_t o = 0; o < y.size(); ++o) y[o] += condition(stage.frame)[o];
        }
        break;
      }
      case DeformKind::kAttention:
        y = attend(stage);
        break;
      case DeformKind::kNorm: {
        const Row& x = of(stage.in);
        double mean = 0, variance = 0;
        for (const double v : x) mean += v / static_cast<double>(x.size());
        for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
        for (size_t i = 0; i < x.size(); ++i)
          y.push_back((x[i] - mean) / std::sqrt(variance + stage.epsilon) * stage.map.weight[i] + stage.map.bias[i]);
        break;
      }
      case DeformKind::kAdd:
        added_[static_cast<int>(stage.target)] = apply(stage.map, of(stage.in), stage.outputs);
        return;
    }
    if (stage.plus >= 0) {
      for (size_t o = 0; o < y.size(); ++o) y[o] += of(stage.plus)[o];
    }
    for (double& v : y) v = activate(stage, v);
    values_[static_cast<size_t>(stage.out)] = y;
  }

  Row attend(const ts::DeformStage& stage) const {
    const int d = stage.outputs, size = d / stage.heads;
    const Row query = apply(stage.query, of(stage.in), d);
    Row read(static_cast<size_t>(d));
    for (int h = 0; h < stage.heads; ++h) {
      Row weight;
      double total = 0;
      for (const int token : stage.tokens) {
        const Row key = apply(stage.key, Row(condition(token), condition(token) + d), d);
        double score = 0;
        for (int e = h * size; e < (h + 1) * size; ++e)
          score += query[static_cast<size_t>(e)] * key[static_cast<size_t>(e)];
        weight.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
        total += weight.back();
      }
      for (size_t t = 0; t < weight.size(); ++t) {
        const float* token = condition(stage.tokens[t]);
        const Row value = apply(stage.value, Row(token, token + d), d);
        for (int e = h * size; e < (h + 1) * size; ++e)
          read[static_cast<size_t>(e)] += weight[t] / total * value[static_cast<size_t>(e)];
      }
    }
    return apply(stage.mix, read, d);
  }

  const SampleProgram& sample_;
  std::vector<Row> values_;
  Row added_[ts::kDeformTargets];
};

}  // namespace

float SampleProgram::random() {
  state_ = state_ * 1664525 + 1013904223;  // Numerical Recipes' generator
  return static_cast<float>(state_ >> 8) / (1 << 23) - 1;
}

const float* SampleProgram::numbers(int64_t n, float spread) {
  std::vector<float>& made = memory_.emplace_back(static_cast<size_t>(n));
  for (float& x : made) x = 1.7320508f * spread * random();  // a uniform distribution's standard deviation is 1/sqrt(3)
  return made.data();
}

int SampleProgram::input(int size, float spread) {
  ts::ConditionValue& value = program.condition.values.emplace_back();
  value.channels = size;
  value.at = program.condition.n_floats;
  ts::ConditionStage& stage = program.condition.stages.emplace_back();
  stage.control = value.at;
  stage.out = static_cast<int>(program.condition.values.size()) - 1;
  program.condition.n_floats += size;
  const float* made = numbers(size, spread);
  control.insert(control.end(), made, made + size);
  return stage.out;
}

void SampleProgram::branch(const std::string& name, int64_t n) {
  program.branches.emplace_back();
  last().name = name;
  last().n = n;
}

int SampleProgram::value(int width, const float* rows) {
  ts::DeformValue& made = last().values.emplace_back();
  made.width = width, made.rows = rows;
  return static_cast<int>(last().values.size()) - 1;
}

int SampleProgram::rows(int width, float spread) {
  ++last().n_static;
  // A row at least: what has rows is static, also where there are no Gaussians.
  return value(width, numbers(std::max<int64_t>(last().n, 1) * width, spread));
}

ts::DeformMap SampleProgram::map(int outputs, int inputs, float spread, bool bias) {
  const float* weight =
      inputs ? numbers(int64_t{outputs} * inputs, spread / std::sqrt(static_cast<float>(inputs))) : nullptr;
  return {weight, bias ? numbers(outputs, 0.3f * spread) : nullptr};
}

int SampleProgram::linear(int in, int width, Activation activation, const Extra& extra) {
  const int out = value(width, nullptr);
  ts::DeformStage& stage = last().stages.emplace_back();
  stage.in = in, stage.out = out, stage.outputs = width, stage.activation = activation, stage.slope = 0.125f;
  stage.gain = extra.gain, stage.frame = extra.frame, stage.plus = extra.plus;
  // As trained: relu halves what comes in.
  const float spread = activation == Activation::kRelu ? 1.4f : 1;
  stage.map = map(width, in >= 0 ? last().values[static_cast<size_t>(in)].width : 0, spread, extra.bias);
  return out;
}

int SampleProgram::attention(int in, const std::vector<int>& tokens, int heads, int plus) {
  const int d = last().values[static_cast<size_t>(in)].width, out = value(d, nullptr);
  ts::DeformStage& stage = last().stages.emplace_back();
  stage.kind = DeformKind::kAttention;
  stage.in = in, stage.plus = plus, stage.out = out, stage.outputs = d, stage.tokens = tokens, stage.heads = heads;
  for (ts::DeformMap* map_of : {&stage.query, &stage.key, &stage.value, &stage.mix}) *map_of = map(d, d, 1);
  return out;
}

int SampleProgram::norm(int in, Activation activation) {
  const int width = last().values[static_cast<size_t>(in)].width, out = value(width, nullptr);
  std::vector<float>& gamma = memory_.emplace_back();
  for (int i = 0; i < width; ++i) gamma.push_back(1 + 0.25f * random());
  ts::DeformStage& stage = last().stages.emplace_back();
  stage.kind = DeformKind::kNorm;
  stage.in = in, stage.out = out, stage.outputs = width, stage.activation = activation, stage.slope = 0.125f;
  stage.epsilon = 1e-5f;
  stage.map = {gamma.data(), numbers(width, 0.25f)};
  return out;
}

void SampleProgram::add(int in, DeformTarget target, float spread) {
  const int inputs = last().values[static_cast<size_t>(in)].width;
  ts::DeformStage& stage = last().stages.emplace_back();
  stage.kind = DeformKind::kAdd;
  stage.in = in, stage.target = target;
  // Of SH as many as the most there are; finish() knows how many that is.
  stage.outputs = target == DeformTarget::kSh ? 3 * ts::kMaxShCoefficients : width_of(target, {});
  stage.map = map(stage.outputs, inputs, spread);
  const auto canonical = [&](const float*& rows, int width) {
    rows = numbers(std::max<int64_t>(last().n, 1) * width, 1);
  };
  if (target == DeformTarget::kLogScale) canonical(last().log_scale, 3);
  if (target == DeformTarget::kSoftplusScale) canonical(last().softplus_scale, 3);
  if (target == DeformTarget::kRotation) canonical(last().rotation, 4);
  if (target == DeformTarget::kLogit) canonical(last().logit, 1);
}

void SampleProgram::finish(int sh_degree) {
  for (const ts::DeformBranch& of : program.branches) posed.n += of.n;
  posed.sh_degree = sh_degree;
  posed.sh_stride = sh_degree < 0 ? 0 : ts::sh_coefficients(sh_degree);
  const int64_t n = posed.n;
  posed.mean = numbers(3 * n, 1), posed.quat = numbers(4 * n, 1), posed.scale = numbers(3 * n, 1);
  posed.opacity = numbers(n, 1), posed.color = numbers(n * ts::color_stride(posed), 0.5f);
  for (ts::DeformBranch& of : program.branches) {
    for (ts::DeformStage& stage : of.stages) {
      if (stage.kind == DeformKind::kAdd) stage.outputs = width_of(stage.target, posed);
    }
  }
}

SampleProgram embed_talk(int64_t n, int width) {
  SampleProgram s(7);
  const int frame = s.input(width);
  s.branch("head", n);
  const int own = s.rows(width);
  const int x = s.linear(-1, width, Activation::kRelu, {-1, frame, own, false});
  for (const DeformTarget target : {DeformTarget::kMean, DeformTarget::kLogit})
    s.add(s.linear(x, width, Activation::kRelu), target);
  s.finish();
  return s;
}

SampleProgram gaussian_talker(int64_t n, int layers, int width, int hidden, int head, int sh_degree) {
  SampleProgram s(11);
  std::vector<int> tokens;
  for (int t = 0; t < 4; ++t) tokens.push_back(s.input(width));
  s.branch("head", n);
  int x = s.rows(width);
  for (int i = 0; i < layers; ++i) {
    const int normed = s.norm(s.attention(x, tokens, 2, x), Activation::kNone);
    SampleProgram::Extra plus;
    plus.plus = normed;
    const int fed = s.linear(s.linear(normed, hidden, Activation::kRelu), width, Activation::kNone, plus);
    x = s.norm(fed, i + 1 == layers ? Activation::kRelu : Activation::kNone);
  }
  for (const DeformTarget target :
       {DeformTarget::kMean, DeformTarget::kLogScale, DeformTarget::kRotation, DeformTarget::kLogit, DeformTarget::kSh})
    s.add(s.linear(x, head, Activation::kRelu), target);
  s.finish(sh_degree);
  return s;
}

SampleProgram talking_gaussian(int64_t n_face, int64_t n_mouth) {
  SampleProgram s(13);
  const int drive = s.input(38), sound = s.input(32);
  s.branch("face", n_face);
  const int gates = s.rows(38, 0.5f), base = s.rows(64);
  int h = s.linear(gates, 64, Activation::kRelu, {drive, -1, base, false});
  h = s.linear(h, 64, Activation::kRelu, {-1, -1, -1, false});
  for (const DeformTarget target : {DeformTarget::kMean, DeformTarget::kRotation, DeformTarget::kSoftplusScale})
    s.add(h, target);
  s.branch("mouth", n_mouth);
  const int mouth = s.rows(32);
  h = s.linear(-1, 32, Activation::kRelu, {-1, sound, mouth, false});
  s.add(s.linear(h, 32, Activation::kRelu, {-1, -1, -1, false}), DeformTarget::kMean);
  s.finish();
  return s;
}

SampleProgram random_program(uint32_t seed, int64_t n) {
  SampleProgram s(1000 + seed);
  uint32_t state = seed * 2654435761u + 1;
  const auto pick = [&](int choices) {
    state = state * 1664525 + 1013904223;
    return static_cast<int>((state >> 8) % static_cast<uint32_t>(choices));
  };
  const Activation activations[] = {Activation::kNone, Activation::kRelu, Activation::kLeakyRelu, Activation::kTanh};
  const auto activation = [&] { return activations[pick(4)]; };
  // Every value has one of two widths, so that all kinds find what fits them.
  const int heads = 1 + pick(3), wide = heads * (1 + pick(30)), narrow = 1 + pick(40);
  const int of_wide = s.input(wide), of_narrow = s.input(narrow);
  std::vector<int> tokens;
  for (int t = 1 + pick(5); t > 0; --t) tokens.push_back(s.input(wide, 0.7f));
  s.branch("all", n);
  std::vector<int> wides = {s.rows(wide)}, narrows = {s.rows(narrow, 0.01f)};
  const auto any = [&](const std::vector<int>& of) {
    return of[static_cast<size_t>(pick(static_cast<int>(of.size())))];
  };
  for (int i = 0; i < 7; ++i) {
    const bool to_wide = pick(3) > 0, from_wide = pick(2) > 0;
    const std::vector<int>&from = from_wide ? wides : narrows, &to = to_wide ? wides : narrows;
    int made = -1;
    switch (pick(5)) {
      case 0:
        made = s.linear(-1, to_wide ? wide : narrow, activation(),
                        {-1, to_wide ? of_wide : of_narrow, any(to), pick(2) > 0});
        break;
      case 1:
        made = s.norm(any(to), activation());
        break;
      case 2:
        made = s.attention(any(wides), tokens, heads, pick(2) ? any(wides) : -1);
        wides.push_back(made);
        continue;
      default:
        made = s.linear(any(from), to_wide ? wide : narrow, activation(),
                        {pick(3) ? -1 : (from_wide ? of_wide : of_narrow),
                         pick(3) ? -1 : (to_wide ? of_wide : of_narrow), pick(2) ? any(to) : -1, pick(2) > 0});
    }
    (to_wide ? wides : narrows).push_back(made);
  }
  const bool sh = pick(2) > 0;
  s.add(any(pick(2) ? wides : narrows), DeformTarget::kMean);
  if (pick(3)) s.add(any(wides), pick(2) ? DeformTarget::kLogScale : DeformTarget::kSoftplusScale);
  if (pick(3)) s.add(any(narrows), DeformTarget::kRotation);
  if (pick(3)) s.add(s.linear(any(wides), narrow, activation()), DeformTarget::kLogit);
  if (sh || pick(2)) s.add(any(narrows), sh ? DeformTarget::kSh : DeformTarget::kColor);
  s.finish(sh ? pick(4) : -1);
  return s;
}

Deformed deform_ref(const SampleProgram& sample, const float* eye_w) {
  Deformed out;
  const ts::GaussianView& in = sample.posed;
  int64_t i = 0;
  for (const ts::DeformBranch& branch : sample.program.branches) {
    for (int64_t row = 0; row < branch.n; ++row, ++i) {
      const Evaluation of(sample, branch, row);
      const auto moved = [&](DeformTarget target, const float* rows, int64_t width) {
        Row y(rows, rows + width);
        for (size_t c = 0; c < of.added(target).size(); ++c) y[c] += of.added(target)[c];
        return y;
      };
      const auto append = [](std::vector<double>& to, const Row& from) {
        to.insert(to.end(), from.begin(), from.end());
      };
      const Row mean = moved(DeformTarget::kMean, in.mean + 3 * i, 3);
      append(out.mean, mean);

      Row scale(in.scale + 3 * i, in.scale + 3 * i + 3);
      if (branch.log_scale) {
        scale = moved(DeformTarget::kLogScale, branch.log_scale + 3 * row, 3);
        for (double& s : scale) s = std::exp(s);
      } else if (branch.softplus_scale) {
        scale = moved(DeformTarget::kSoftplusScale, branch.softplus_scale + 3 * row, 3);
        for (double& s : scale) s = std::log1p(std::exp(s));
      }
      append(out.scale, scale);

      Row quat(in.quat + 4 * i, in.quat + 4 * i + 4);
      if (branch.rotation) {
        quat = moved(DeformTarget::kRotation, branch.rotation + 4 * row, 4);
        double norm = 0;
        for (const double q : quat) norm += q * q;
        for (double& q : quat) q /= std::sqrt(norm);
      }
      append(out.quat, quat);

      double opacity = in.opacity[i];
      if (branch.logit) opacity = 1 / (1 + std::exp(-moved(DeformTarget::kLogit, branch.logit + row, 1)[0]));
      out.opacity.push_back(opacity);

      const int64_t columns = ts::color_stride(in);
      Row color = moved(in.sh_degree < 0 ? DeformTarget::kColor : DeformTarget::kSh, in.color + columns * i, columns);
      if (in.sh_degree >= 0 && eye_w) {
        double d[3], length = 0, basis[16];
        for (int c = 0; c < 3; ++c) d[c] = mean[static_cast<size_t>(c)] - eye_w[c], length += d[c] * d[c];
        for (double& c : d) c /= std::sqrt(length);
        basis_ref(in.sh_degree, d, basis);
        Row rgb(3, 0.5);
        for (size_t o = 0; o < color.size(); ++o) rgb[o % 3] += color[o] * basis[o / 3];
        for (double& c : rgb) c = std::max(c, 0.0);
        color = rgb;
      }
      append(out.color, color);
    }
  }
  return out;
}

}  // namespace ts_test
