// SPDX-License-Identifier: Apache-2.0
// condition — the stages in order.
// Maths    ops/condition.h
// Launch   one thread; a lane is an input of a product, four outputs side by side
// Reads    every weight once a row, and once a place for kConv     Cost  two FLOPs per weight and row or place
// Order    deterministic: sums run over inputs kLanes apart, then over the lanes, then over what is left
// Oracle   tests/reference/deform.py      Bench  bench/ops/bench_deform.py
#include <algorithm>
#include <cmath>

#include "cpu/kernels/kernels.h"
#include "math/lanes.h"

TS_TARGET_BEGIN

namespace {

constexpr int kOutputs = 4;  // products at a time: an input is loaded once for all of them, and none waits for another

// out[o] = weight[o] . x, rows of n numbers.
template <int kRows>
TS_INLINE void dot(const float* weight, const float* x, int64_t n, float* out) {
  f32 sum[kRows];
  for (f32& s : sum) s = f32(0.0f);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const f32 value = load(x + i);
    for (int row = 0; row < kRows; ++row) sum[row] = fma(load(weight + row * n + i), value, sum[row]);
  }
  for (int row = 0; row < kRows; ++row) {
    out[row] = sum_of(sum[row]);
    for (int64_t k = i; k < n; ++k) out[row] += weight[row * n + k] * x[k];
  }
}

// out = weight [outputs,n] x + bias, `stride` floats apart.
void multiply(const float* weight, const float* bias, const float* x, int64_t n, int64_t outputs, float* out,
              int64_t stride) {
  for (int64_t o = 0; o < outputs; o += kOutputs) {
    float product[kOutputs];
    const int64_t rows = std::min<int64_t>(kOutputs, outputs - o);
    if (rows == kOutputs) {
      dot<kOutputs>(weight + o * n, x, n, product);
    } else {
      for (int64_t row = 0; row < rows; ++row) dot<1>(weight + (o + row) * n, x, n, product + row);
    }
    for (int64_t row = 0; row < rows; ++row) out[(o + row) * stride] = product[row] + (bias ? bias[o + row] : 0.0f);
  }
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
  for (int64_t row = 0; row < in.rows; ++row)
    multiply(stage.weight, stage.bias, x + row * in.row_size(), in.row_size(), outputs, y + row * outputs, 1);
}

// patch [channels,taps]: what the taps see at one place; beyond the ends is zero.
void conv(const ConditionStage& stage, const ConditionValue& in, const float* x, const ConditionValue& out, float* y,
          float* patch) {
  const int64_t taps = stage.taps;
  for (int64_t row = 0; row < in.rows; ++row, x += in.row_size(), y += out.row_size()) {
    for (int64_t t = 0; t < out.length; ++t) {
      const int64_t start = t * stage.stride - stage.padding;
      for (int64_t c = 0; c < in.channels; ++c) {
        for (int64_t k = 0; k < taps; ++k) {
          const int64_t at = start + k;
          patch[c * taps + k] = at >= 0 && at < in.length ? x[c * in.length + at] : 0.0f;
        }
      }
      multiply(stage.weight, stage.bias, patch, in.channels * taps, out.channels, y + t, out.length);
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
        conv(stage, in, x, out, y, value + program.n_floats);
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

TS_TARGET_END
