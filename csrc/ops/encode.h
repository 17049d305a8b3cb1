// SPDX-License-Identifier: Apache-2.0
// encode — 16 kHz sound to what a face does, 50 times a second: mel columns, then a small causal transformer.
//
// Maths    ops/mel.h; then one or more towers. A tower: a linear stem over two mel columns, layers of windowed
//          attention, gated depthwise convolution and feed-forward, a linear head. A channel that several towers say
//          is the sum of what they say. "norm" has no gain: training folds it into the next linear. tests/reference/encode.py has it line by line
// Layout   weights float32, and beside them binary16 where that is exact, which CPU kernels of several lanes read; in
//          blocks of 16 rows: [rows/16][columns][16], so that a lane is an output row and a step streams each matrix
//          once; rows and columns are padded with zeros. Keys lie [width][window], a lane is a step of the past; values
//          [head][window][head width], a lane is a channel. Rings by step number
// Cost     per step 2 FLOPs and 4 bytes (2 as binary16) a parameter: bound by the cache that holds the weights
// Order    one thread; deterministic, and independent of chunking on the same device and instruction set
// Oracle   tests/reference/encode.py      Bench  bench/ops/bench_voice.py
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/buffer.h"
#include "ops/encode_args.h"
#include "ops/mel.h"

namespace ts {

// ---- what the file says, row-major ----

struct LinearWeights {
  std::vector<float> weight, bias;  // [rows,columns], [rows]
};

struct LayerWeights {
  LinearWeights qkv, out, gate, mix, up, down;
  std::vector<float> age_bias;                // [heads,window]
  std::vector<float> conv_weight, conv_bias;  // [width,taps], [width]
};

struct TowerWeights {
  int inputs = 0, width = 0, heads = 0, window = 0, taps = 0, hidden = 0, outputs = 0;
  LinearWeights stem, head;
  std::vector<LayerWeights> layers;
  // [outputs]: which of the voice's channels it says, each once. Empty: its own, after those of the towers before it.
  std::vector<int> channel;
  std::vector<bool> sigmoid;  // [outputs], the same in all towers that say the channel
};

// ---- the op ----

// A voice's tables and packed weights: constant, shared by its streams.
class EncodeModel {
 public:
  EncodeModel(const MelParams& mel, const std::vector<TowerWeights>& towers);

  MelTables mel;
  std::vector<EncodeTower> towers;
  std::vector<EncodeMatrices> matrices;  // of each tower
  std::vector<int> channel;              // [n_outputs]: what an output is added to
  std::vector<bool> sigmoid;             // [n_channels]
  int n_outputs = 0;                     // of all towers, in their order
  int n_channels = 0;
  int n_features = 0;  // width of the first tower
  int n_inputs() const { return 2 * mel.params.n_mels; }
  // Steps before it that a step depends on: a layer sees a window of the one below it, and taps of that.
  int64_t memory_steps() const;

 private:
  float* floats(size_t n);
  EncodeMatrices with_halves(const float* weight, size_t n);
  // next: where a linear's weights go; then behind them.
  EncodeLinear pack(const LinearWeights& linear, int columns, int section, float*& next);
  EncodeLayer pack(const LayerWeights& layer, const TowerWeights& tower, float*& next);

  std::vector<Buffer<float>> memory_;
  std::vector<Buffer<uint16_t>> halves_;
  std::vector<std::vector<EncodeLayer>> layers_;  // of each tower
};

// One stream's towers on a backend, with what they remember of its past.
class EncodeStream {
 public:
  virtual ~EncodeStream() = default;
  virtual void reset() = 0;
};

// The next n steps of a stream, for its backend to run.
struct EncodeCall {
  EncodeStream* stream = nullptr;
  int64_t n = 0;
  const float* input = nullptr;  // [n,2 n_mels] mel columns
  float* output = nullptr;       // [n,n_outputs] (out) of the towers, before sums and sigmoids
  float* feature = nullptr;      // [n,n_features] (out)
};

// Sound to steps that wait to be run, and what they then say.
class Encode {
 public:
  // stream: made from the same model.
  Encode(std::shared_ptr<const EncodeModel> model, std::unique_ptr<EncodeStream> stream);

  // Takes n samples; steps that they complete wait. Step k needs samples below 320 (k + 1).
  void push(const float* samples, int64_t n);
  // The steps that wait. When they have been run, finish() makes of them what step i says.
  EncodeCall waiting();
  int64_t finish();  // returns how many they were
  const float* channel(int64_t i) const { return output_.data() + i * model_->n_channels; }   // [n_channels]
  const float* feature(int64_t i) const { return feature_.data() + i * model_->n_features; }  // [n_features]
  void reset();

 private:
  std::shared_ptr<const EncodeModel> model_;
  std::unique_ptr<EncodeStream> stream_;
  Mel mel_;
  int64_t steps_ = 0;  // that wait
  int columns_ = 0;    // of the step after them, of two
  std::vector<float> input_, output_, sum_, feature_;
};

}  // namespace ts
