// SPDX-License-Identifier: Apache-2.0
// condition — the control of a frame to the vectors that its deform program reads: an audio network and its attention over
// the window, encodings of a few numbers as waves, small layers. Once per frame, on the calling thread, the same for every
// backend.
//
// Maths    python/authoring/FORMAT.md, "Deform programs", condition
// Cost     two FLOPs per weight and row: 1.1 MFLOP for GaussianTalker, 1.6 for a HuBERT window
// Oracle   tests/reference/deform.py
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "math/activation_kind.h"

namespace ts {

// [rows,channels,length], contiguous.
struct ConditionValue {
  std::string name;
  int64_t rows = 1, channels = 1, length = 1;
  int64_t at = 0;  // of its first float among the floats of all values

  int64_t row_size() const { return channels * length; }
  int64_t size() const { return rows * row_size(); }
};

enum class ConditionKind { kInput, kConstant, kLinear, kConv, kWaves, kTranspose, kPool, kSlice, kJoin };

// What a kind does not need is left at its default.
struct ConditionStage {
  ConditionKind kind = ConditionKind::kInput;
  std::vector<int> in;  // values; for kPool what is summed, then the weights
  int out = 0;          // value
  int input = 0;        // kInput: of the avatar's inputs
  int64_t control = 0;  // kInput: of the input's first float in the control
  // kLinear [o,i]; kConv [o,channels,taps]; kConstant its value; kWaves the frequencies [n_frequencies]
  const float* weight = nullptr;
  const float* bias = nullptr;  // [o]; Nullable for kLinear
  int64_t taps = 0, stride = 1, padding = 0;
  int64_t n_frequencies = 0;
  bool keep = false;             // kWaves: the number itself comes before its waves
  int64_t first = 0, count = 0;  // kSlice
  Activation activation = Activation::kNone;
  float slope = 0;  // kLeakyRelu
};

struct ConditionProgram {
  std::vector<ConditionValue> values;
  std::vector<ConditionStage> stages;
  int64_t n_floats = 0;   // of all values
  int64_t n_scratch = 0;  // floats of the largest kConv's taps over all channels
};

}  // namespace ts
