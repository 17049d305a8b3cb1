// SPDX-License-Identifier: Apache-2.0
#include "ops/condition.h"

#include <algorithm>
#include <cmath>

namespace ts {
namespace {

constexpr int64_t kSums = 16;  // partial sums that do not wait for each other, in whatever registers the compiler has

float dot(const float* a, const float* b, int64_t n) {
  float sum[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (int64_t s = 0; s < kSums; ++s) sum[s] += a[i + s] * b[i + s];
  }
  for (int64_t s = 0; i < n; ++i, ++s) sum[s] += a[i] * b[i];
  for (int64_t half = kSums / 2; half > 0; half /= 2) {
    for (int64_t s = 0; s < half; ++s) sum[s] += sum[s + half];
  }
  return sum[0];
}

void softmax(float* x, int64_t n) {
  const float largest = *std::max_element(x, x + n);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += x[i] = std::exp(x[i] - largest);
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(x[i] / total);
}

void activate(const ConditionStage& stage, float* x, int64_t rows, int64_t row_size) {
  const int64_t n = rows * row_size;
  switch (stage.activation) {
    case Activation::kNone:
      break;
    case Activation::kRelu:
      for (int64_t i = 0; i < n; ++i) x[i] = std::max(x[i], 0.0f);
      break;
    case Activation::kLeakyRelu:
      for (int64_t i = 0; i < n; ++i) x[i] = x[i] > 0 ? x[i] : stage.slope * x[i];
      break;
    case Activation::kTanh:
      for (int64_t i = 0; i < n; ++i) x[i] = std::tanh(x[i]);
      break;
    case Activation::kSoftmax:
      for (int64_t row = 0; row < rows; ++row) softmax(x + row * row_size, row_size);
  }
}

void linear(const ConditionStage& stage, const ConditionValue& in, const float* x, int64_t outputs, float* y) {
  const int64_t n = in.row_size();
  for (int64_t row = 0; row < in.rows; ++row) {
    for (int64_t o = 0; o < outputs; ++o)
      *y++ = dot(x + row * n, stage.weight + o * n, n) + (stage.bias ? stage.bias[o] : 0.0f);
  }
}

void conv(const ConditionStage& stage, const ConditionValue& in, const float* x, const ConditionValue& out, float* y) {
  const int64_t taps = stage.taps;
  for (int64_t row = 0; row < in.rows; ++row, x += in.row_size(), y += out.row_size()) {
    for (int64_t t = 0; t < out.length; ++t) {
      // The taps that lie inside; beyond the ends is zero.
      const int64_t start = t * stage.stride - stage.padding;
      const int64_t low = std::max<int64_t>(0, -start), high = std::min(taps, in.length - start);
      for (int64_t o = 0; o < out.channels; ++o) {
        const float* weight = stage.weight + o * in.channels * taps;
        float sum[4] = {};
        for (int64_t c = 0; c < in.channels; ++c) {
          for (int64_t k = low; k < high; ++k) sum[c % 4] += weight[c * taps + k] * x[c * in.length + start + k];
        }
        y[o * out.length + t] = (sum[0] + sum[1]) + (sum[2] + sum[3]) + stage.bias[o];
      }
    }
  }
}

// In float64, like the networks that were trained so: at thousands of radians float32 is off by 3e-4.
void waves(const ConditionStage& stage, const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) {
    if (stage.keep) *y++ = x[i];
    for (int64_t f = 0; f < stage.n_frequencies; ++f) {
      const double angle = static_cast<double>(x[i]) * static_cast<double>(stage.weight[f]);
      *y++ = static_cast<float>(std::sin(angle));
      *y++ = static_cast<float>(std::cos(angle));
    }
  }
}

}  // namespace

void condition(const ConditionProgram& program, const float* control, float* value) {
  const auto of = [&](int i) -> const ConditionValue& { return program.values[static_cast<size_t>(i)]; };
  for (const ConditionStage& stage : program.stages) {
    const ConditionValue& out = of(stage.out);
    float* y = value + out.at;
    const ConditionValue& in = stage.in.empty() ? out : of(stage.in[0]);
    const float* x = value + in.at;
    switch (stage.kind) {
      case ConditionKind::kInput:
        std::copy_n(control + stage.control, out.size(), y);
        break;
      case ConditionKind::kConstant:
        std::copy_n(stage.weight, out.size(), y);
        break;
      case ConditionKind::kLinear:
        linear(stage, in, x, out.channels, y);
        break;
      case ConditionKind::kConv:
        conv(stage, in, x, out, y);
        break;
      case ConditionKind::kWaves:
        waves(stage, x, in.size(), y);
        break;
      case ConditionKind::kTranspose:
        for (int64_t row = 0; row < in.rows; ++row) {
          for (int64_t c = 0; c < in.channels; ++c) y[c * in.rows + row] = x[row * in.channels + c];
        }
        break;
      case ConditionKind::kPool: {
        const float* weight = value + of(stage.in[1]).at;
        std::fill_n(y, out.size(), 0.0f);
        for (int64_t row = 0; row < in.rows; ++row) {
          for (int64_t i = 0; i < out.size(); ++i) y[i] += weight[row] * x[row * out.size() + i];
        }
        break;
      }
      case ConditionKind::kSlice:
        std::copy_n(x + stage.first, out.size(), y);
        break;
      case ConditionKind::kJoin:
        for (const int part : stage.in) y = std::copy_n(value + of(part).at, of(part).size(), y);
    }
    activate(stage, value + out.at, out.rows, out.row_size());
  }
}

}  // namespace ts
