// SPDX-License-Identifier: Apache-2.0
// What encode's kernels read and write: plain structs, so that kernel files instantiate no templates of the standard
// library for their instruction set. Layouts are in ops/encode.h; sizes ending in _p are padded.
#pragma once
#include <cstdint>

namespace ts {

constexpr int kEncodeBlock = 16;  // rows side by side; a multiple of kLanes of every target
constexpr int encode_padded(int n) { return (n + kEncodeBlock - 1) / kEncodeBlock * kEncodeBlock; }

struct EncodeLinear {
  int rows_p = 0, columns_p = 0;
  const float* weight = nullptr;  // [rows_p/16][columns_p][16]
  const float* bias = nullptr;    // [rows_p]
};

struct EncodeLayer {
  EncodeLinear qkv, out, gate, mix, up, down;  // q, k, v and the halves of gate begin at multiples of width_p
  const float* age_bias = nullptr;             // [heads][2 window_p], as EncodeModel turns it round
  const float* conv_weight = nullptr;          // [taps][width_p]
  const float* conv_bias = nullptr;            // [width_p]
};

struct EncodeTower {
  int width = 0, width_p = 0, heads = 0, head_width = 0, head_width_p = 0, window = 0, window_p = 0, taps = 0;
  int hidden_p = 0, outputs = 0, outputs_p = 0;
  EncodeLinear stem, head;
  int n_layers = 0;
  const EncodeLayer* layers = nullptr;
};

struct EncodeLayerState {
  float* key = nullptr;    // [width][window_p]
  float* value = nullptr;  // [heads][window][head_width_p]
  float* gated = nullptr;  // [taps][width_p]
};

// A tower's matrices, one after the other, and the same as binary16 where all of them are exactly that: half the bytes.
struct EncodeMatrices {
  const float* weight = nullptr;
  const uint16_t* half = nullptr;  // Nullable: some weight is no binary16
};

// One step of one tower.
struct EncodeArgs {
  const EncodeTower* tower;
  const EncodeLayerState* state;  // [layers]
  int64_t step;                   // since the stream began
  const float* input;             // [stem.columns_p]
  float* scratch;                 // [encode_scratch(tower)]
  float* feature;                 // [width_p]   (out) what the head reads
  float* output;                  // [outputs_p] (out) before sigmoids
  EncodeMatrices matrices = {};   // those that the tower's linears point into
};
constexpr int64_t encode_scratch(const EncodeTower& t) {
  // In this order: the residual, a norm's output, attention's or convolution's output (width_p each), scores, what one
  // head reads, and the outputs of the widest linear.
  const int widest = 3 * t.width_p > t.hidden_p ? 3 * t.width_p : t.hidden_p;
  return int64_t{3} * t.width_p + t.window_p + t.head_width_p + widest;
}

}  // namespace ts
