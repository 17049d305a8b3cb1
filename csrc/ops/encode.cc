// SPDX-License-Identifier: Apache-2.0
#include "ops/encode.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <utility>

#include "math/half.h"

namespace ts {
namespace {

size_t count(int64_t a, int64_t b = 1, int64_t c = 1) { return static_cast<size_t>(a * b * c); }

// Of all packed linears of a tower: stem and head; q, k, v, out, both parts of the gate and mix; up and down.
size_t matrix_floats(const TowerWeights& w) {
  const int64_t width = encode_padded(w.width), hidden = encode_padded(w.hidden);
  const int64_t ends = encode_padded(w.inputs) + encode_padded(w.outputs);
  return count(width, ends + static_cast<int64_t>(w.layers.size()) * (7 * width + 2 * hidden));
}

}  // namespace

EncodeModel::EncodeModel(const MelParams& params, const std::vector<TowerWeights>& weights) : mel(params) {
  for (const TowerWeights& w : weights) {
    EncodeTower t;
    t.width = w.width, t.width_p = encode_padded(w.width);
    t.heads = w.heads, t.head_width = w.width / w.heads, t.head_width_p = encode_padded(t.head_width);
    t.window = w.window, t.window_p = encode_padded(w.window), t.taps = w.taps;
    t.hidden_p = encode_padded(w.hidden);
    t.outputs = w.outputs, t.outputs_p = encode_padded(w.outputs);
    const size_t n = matrix_floats(w);
    float *weight = floats(n), *next = weight;
    t.stem = pack(w.stem, w.inputs, w.width, next);
    t.head = pack(w.head, w.width, w.outputs, next);
    std::vector<EncodeLayer>& layers = layers_.emplace_back();
    for (const LayerWeights& layer : w.layers) layers.push_back(pack(layer, w, next));
    assert(next == weight + n);
    matrices.push_back(with_halves(weight, n));
    t.n_layers = static_cast<int>(layers.size());
    t.layers = layers.data();  // which stay where they are as layers_ grows
    for (int i = 0; i < w.outputs; ++i) {
      const int to = w.channel.empty() ? n_outputs + i : w.channel[count(i)];
      n_channels = std::max(n_channels, to + 1);
      sigmoid.resize(count(n_channels));
      sigmoid[count(to)] = w.sigmoid[count(i)];
      channel.push_back(to);
    }
    n_outputs += w.outputs;
    towers.push_back(t);
  }
  n_features = towers.front().width;
}

// Zeros that live as long as the model.
float* EncodeModel::floats(size_t n) {
  float* out = memory_.emplace_back(n).data();
  std::fill(out, out + n, 0.0f);
  return out;
}

EncodeMatrices EncodeModel::with_halves(const float* weight, size_t n) {
  Buffer<uint16_t> halves(n);
  for (size_t i = 0; i < n; ++i) {
    halves[i] = half_of_float(weight[i]);
    if (float_of_half(halves[i]) != weight[i]) return {weight, nullptr};
  }
  return {weight, halves_.emplace_back(std::move(halves)).data()};
}

// Rows come in sections of so many (q, k and v; the halves of a gate), each of which begins a block.
EncodeLinear EncodeModel::pack(const LinearWeights& linear, int columns, int section, float*& next) {
  const int rows = static_cast<int>(linear.bias.size()), sections = rows / section;
  EncodeLinear out{sections * encode_padded(section), encode_padded(columns), nullptr, nullptr};
  float* weight = std::exchange(next, next + count(out.rows_p, out.columns_p));
  float* bias = floats(count(out.rows_p));
  for (int row = 0; row < rows; ++row) {
    const int to = row / section * encode_padded(section) + row % section;
    float* block = weight + int64_t{to / kEncodeBlock} * out.columns_p * kEncodeBlock + to % kEncodeBlock;
    for (int c = 0; c < columns; ++c) block[c * kEncodeBlock] = linear.weight[count(row, columns) + count(c)];
    bias[to] = linear.bias[count(row)];
  }
  out.weight = weight, out.bias = bias;
  return out;
}

EncodeLayer EncodeModel::pack(const LayerWeights& layer, const TowerWeights& t, float*& next) {
  EncodeLayer out;
  out.qkv = pack(layer.qkv, t.width, t.width, next);
  out.out = pack(layer.out, t.width, t.width, next);
  out.gate = pack(layer.gate, t.width, t.width, next);
  out.mix = pack(layer.mix, t.width, t.width, next);
  out.up = pack(layer.up, t.width, t.hidden, next);
  out.down = pack(layer.down, t.hidden, t.width, next);
  // Slot s holds the step whose number is s modulo the window. With this step in slot `now`, the ages of the slots
  // from 0 on fall from `now` to 0 and then go on from window - 1: entries (window - 1 - now), ... of the ages turned
  // round, twice.
  const int window_p = encode_padded(t.window);
  float* age_bias = floats(count(t.heads, 2 * window_p));
  for (int h = 0; h < t.heads; ++h) {
    for (int i = 0; i < 2 * t.window; ++i)
      age_bias[h * 2 * window_p + i] = layer.age_bias[count(h, t.window) + count(t.window - 1 - i % t.window)];
  }
  const int width_p = encode_padded(t.width);
  float* conv = floats(count(t.taps, width_p));
  float* conv_bias = floats(count(width_p));
  for (int c = 0; c < t.width; ++c) {
    for (int i = 0; i < t.taps; ++i) conv[i * width_p + c] = layer.conv_weight[count(c, t.taps) + count(i)];
    conv_bias[c] = layer.conv_bias[count(c)];
  }
  out.age_bias = age_bias, out.conv_weight = conv, out.conv_bias = conv_bias;
  return out;
}

int64_t EncodeModel::memory_steps() const {
  int64_t most = 0;
  for (const EncodeTower& t : towers) most = std::max(most, int64_t{t.n_layers} * (t.window - 1 + t.taps - 1));
  return most;
}

// With room for the steps of any one frame.
Encode::Encode(std::shared_ptr<const EncodeModel> model, std::unique_ptr<EncodeStream> stream)
    : model_(std::move(model)), stream_(std::move(stream)), mel_(model_->mel) {
  constexpr int64_t kSteps = 16;
  input_.resize(count(kSteps, model_->n_inputs()));
  output_.resize(count(kSteps, model_->n_outputs));
  sum_.resize(count(model_->n_channels));
  feature_.resize(count(kSteps, model_->n_features));
}

void Encode::reset() {
  mel_.reset();
  stream_->reset();
  steps_ = 0;
  columns_ = 0;
}

void Encode::push(const float* samples, int64_t n) {
  const int n_mels = model_->mel.params.n_mels;
  while (n > 0) {
    const size_t end = count(steps_ + 1, model_->n_inputs());
    if (end > input_.size()) input_.resize(2 * end);
    bool column = false;
    const int64_t taken = mel_.push(samples, n, &input_[count(2 * steps_ + columns_, n_mels)], column);
    samples += taken, n -= taken;
    if (column && ++columns_ == 2) ++steps_, columns_ = 0;
  }
}

EncodeCall Encode::waiting() {
  if (output_.size() < count(steps_, model_->n_outputs)) {
    output_.resize(count(steps_, model_->n_outputs));
    feature_.resize(count(steps_, model_->n_features));
  }
  return {stream_.get(), steps_, input_.data(), output_.data(), feature_.data()};
}

int64_t Encode::finish() {
  const int64_t n = std::exchange(steps_, 0);
  if (n == 0) return 0;
  for (int64_t i = 0; i < n; ++i) {
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    const float* output = &output_[count(i, model_->n_outputs)];
    for (int o = 0; o < model_->n_outputs; ++o) sum_[count(model_->channel[count(o)])] += output[o];
    // In place: there are no more channels than outputs, so no step's are written over those of a later one.
    float* channel = std::copy(sum_.begin(), sum_.end(), &output_[count(i, model_->n_channels)]) - model_->n_channels;
    for (int c = 0; c < model_->n_channels; ++c) {
      if (model_->sigmoid[count(c)]) channel[c] = 1 / (1 + std::exp(-channel[c]));
      // Weights that overflow make nothing of it: no NaN goes on to a face.
      channel[c] = std::isfinite(channel[c]) ? channel[c] : 0.0f;
    }
    float* feature = &feature_[count(i, model_->n_features)];
    for (int f = 0; f < model_->n_features; ++f) feature[f] = std::isfinite(feature[f]) ? feature[f] : 0.0f;
  }
  // A first column of the next step goes to the front.
  const auto rest = input_.begin() + static_cast<std::ptrdiff_t>(count(n, model_->n_inputs()));
  std::copy_n(rest, columns_ * model_->mel.params.n_mels, input_.begin());
  return n;
}

}  // namespace ts
