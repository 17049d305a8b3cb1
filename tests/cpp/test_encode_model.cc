// SPDX-License-Identifier: Apache-2.0
// EncodeModel: a tower's weights are there as binary16 too where that is exact, padding and all, and else not at all.
#include <initializer_list>
#include <random>
#include <vector>

#include "check.h"
#include "math/half.h"
#include "ops/encode.h"

namespace {

constexpr int kWidth = 17, kHidden = 33, kOutputs = 5, kMels = 7;

ts::LinearWeights linear(std::mt19937& random, int rows, int columns) {
  std::normal_distribution<float> number(0.0f, 0.3f);
  ts::LinearWeights out;
  for (int i = 0; i < rows * columns; ++i) out.weight.push_back(ts::float_of_half(ts::half_of_float(number(random))));
  for (int i = 0; i < rows; ++i) out.bias.push_back(number(random));  // no binary16: biases stay float32
  return out;
}

ts::TowerWeights tower(std::mt19937& random) {
  ts::TowerWeights t;
  t.inputs = 2 * kMels, t.width = kWidth, t.heads = 1, t.window = 5, t.taps = 3, t.hidden = kHidden;
  t.outputs = kOutputs;
  t.stem = linear(random, kWidth, t.inputs), t.head = linear(random, kOutputs, kWidth);
  for (int i = 0; i < 2; ++i) {
    ts::LayerWeights l;
    l.qkv = linear(random, 3 * kWidth, kWidth), l.out = linear(random, kWidth, kWidth);
    l.gate = linear(random, 2 * kWidth, kWidth), l.mix = linear(random, kWidth, kWidth);
    l.up = linear(random, kHidden, kWidth), l.down = linear(random, kWidth, kHidden);
    l.age_bias.resize(5), l.conv_weight.resize(3 * kWidth), l.conv_bias.resize(kWidth);
    t.layers.push_back(l);
  }
  t.sigmoid.assign(kOutputs, false);
  return t;
}

void check_halves(const ts::EncodeTower& t, const ts::EncodeMatrices& all) {
  std::vector<const ts::EncodeLinear*> linears = {&t.stem, &t.head};
  for (int i = 0; i < t.n_layers; ++i) {
    const ts::EncodeLayer& l = t.layers[i];
    linears.insert(linears.end(), {&l.qkv, &l.out, &l.gate, &l.mix, &l.up, &l.down});
  }
  for (const ts::EncodeLinear* l : linears) {
    const uint16_t* half = all.half + (l->weight - all.weight);
    bool same = true, any = false;
    for (int i = 0; i < l->rows_p * l->columns_p; ++i) {
      same = same && ts::float_of_half(half[i]) == l->weight[i];
      any = any || l->weight[i] != 0;
    }
    CHECK(same && any);
  }
}

}  // namespace

int main() {
  std::mt19937 random(1);
  ts::MelParams mel;
  mel.n_mels = kMels;
  std::vector<ts::TowerWeights> weights = {tower(random), tower(random)};
  {
    const ts::EncodeModel model(mel, weights);
    for (size_t t = 0; t < 2; ++t) {
      if (CHECK(model.matrices[t].half)) check_halves(model.towers[t], model.matrices[t]);
    }
  }
  for (const float odd : {1e-9f, 1e6f, 0.1f}) {  // too small, too large, between two
    weights[1].layers[1].down.weight.back() = odd;
    const ts::EncodeModel model(mel, weights);
    CHECK(model.matrices[0].half && !model.matrices[1].half);
    CHECK(model.matrices[1].weight == model.towers[1].stem.weight);
  }
  return ts_test::report("test_encode_model");
}
