// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>

#include "kernels/cuda/job.h"
#include "math/target.h"
#include "ops/encode_args.h"

namespace ts::cuda {

constexpr int kEncodeThreads = 256;

// One step of one tower of one stream, as in ops/encode_args.h; every pointer, also those of the tower and its layers, is
// to the device's memory. Streams of a voice share the tower; the state of each begins as zeros.
struct EncodeJob {
  const EncodeTower* tower;       // nullptr: nothing to do
  const EncodeLayerState* state;  // [layers]
  int64_t step;                   // since the stream began
  const float* input;             // [stem.columns_p], zeros behind the mel columns
  float* feature;                 // [width_p] what the head reads                  (out)
  float* output;                  // [outputs_p] before sigmoids                    (out)
  float* scratch = nullptr;       // [encode_row_floats], of kernels/triton alone; Nullable
};

// Floats that go from one linear to the next: the input, q, k and v, the halves of a gate, or the hidden ones.
TS_HD constexpr int encode_widest(const EncodeTower& t) {
  const int inner = 3 * t.width_p > t.hidden_p ? 3 * t.width_p : t.hidden_p;
  return inner > t.stem.columns_p ? inner : t.stem.columns_p;
}

// Floats of a job that kernels/triton leaves in the device's memory from linear to linear: the residual, what attention or
// convolution says, what leads on, a head's weights.
constexpr int64_t encode_row_floats(const EncodeTower& t) {
  const int inner = 3 * t.width_p > t.hidden_p ? 3 * t.width_p : t.hidden_p;
  return int64_t{2} * t.width_p + inner + t.window_p;
}

// Shared memory that a launch needs for a job, of which it takes its largest; at most 22 KiB for any voice.
constexpr size_t encode_shared_bytes(const EncodeTower& t) {
  const int floats = 2 * t.width_p + encode_widest(t) + kEncodeThreads / 32 * t.window_p;
  return static_cast<size_t>(floats) * sizeof(float) +
         static_cast<size_t>(t.n_layers) * (sizeof(EncodeLayer) + sizeof(EncodeLayerState));
}

}  // namespace ts::cuda
