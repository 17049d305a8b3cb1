// SPDX-License-Identifier: Apache-2.0
#include "cpu/encode.h"

#include <algorithm>

#include "cpu/kernel_table.h"

namespace ts {
namespace {

size_t count(int64_t a, int64_t b = 1, int64_t c = 1) { return static_cast<size_t>(a * b * c); }

}  // namespace

CpuEncodeStream::CpuEncodeStream(std::shared_ptr<const EncodeModel> model, const KernelTable& kernels)
    : model_(std::move(model)), kernels_(kernels) {
  size_t scratch = 0, feature = 0, output = 0;
  for (const EncodeTower& t : model_->towers) {
    const size_t layer =
        count(t.width, t.window_p) + count(t.heads, t.window, t.head_width_p) + count(t.taps, t.width_p);
    state_floats_ += count(t.n_layers) * layer;
    scratch = std::max(scratch, static_cast<size_t>(encode_scratch(t)));
    feature = std::max(feature, count(t.width_p));
    output = std::max(output, count(t.outputs_p));
  }
  float* state = state_.reserve(state_floats_);
  for (const EncodeTower& t : model_->towers) {
    std::vector<EncodeLayerState>& layers = layers_.emplace_back(count(t.n_layers));
    for (EncodeLayerState& layer : layers) {
      layer.key = state, state += count(t.width, t.window_p);
      layer.value = state, state += count(t.heads, t.window, t.head_width_p);
      layer.gated = state, state += count(t.taps, t.width_p);
    }
  }
  const size_t inputs = count(model_->towers.front().stem.columns_p);  // the same for every tower
  std::fill_n(input_.reserve(inputs), inputs, 0.0f);
  scratch_.reserve(scratch);
  feature_.reserve(feature);
  output_.reserve(output);
  reset();
}

void CpuEncodeStream::reset() {
  std::fill_n(state_.data(), state_floats_, 0.0f);
  step_ = 0;
}

void CpuEncodeStream::step(const float* input, float* output, float* feature) {
  std::copy_n(input, model_->n_inputs(), input_.data());  // behind it are the zeros of the padding
  for (size_t t = 0; t < model_->towers.size(); ++t) {
    const EncodeTower& tower = model_->towers[t];
    kernels_.encode_step({&tower, layers_[t].data(), step_, input_.data(), scratch_.data(), feature_.data(),
                          output_.data(), model_->matrices[t]});
    if (t == 0) std::copy_n(feature_.data(), model_->n_features, feature);
    output = std::copy_n(output_.data(), tower.outputs, output);
  }
  ++step_;
}

}  // namespace ts
