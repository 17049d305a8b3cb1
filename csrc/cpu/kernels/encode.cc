// SPDX-License-Identifier: Apache-2.0
// encode — one step of one tower: stem, layers, head.
// Maths    ops/encode.h, math/encode.h; math/activation.h for exp, sigmoid and silu
// Launch   one thread; a lane is an output row of a linear, a channel elsewhere, a step of the past in scores
// Reads    every packed weight once (4 B a parameter, 2 where they are halves), the keys and values of the window, the
//          taps of the convolution
// Writes   one key, one value, one gated row a layer; feature [width_p], output [outputs_p]
// Cost     2 FLOPs a parameter, and 4 width x window a layer for attention; bound by the cache that holds the weights
// Order    deterministic: sums run over columns eight apart, then over the eight; over the ring by slot
// Edges    padding is zero everywhere a linear reads it; slots of the past that are not yet filled have no weight
// Oracle   tests/reference/encode.py      Bench  bench/ops/bench_voice.py
#include "math/encode.h"

#include <cstring>

#include "cpu/kernels/kernels.h"

TS_TARGET_BEGIN

namespace {

static_assert(kEncodeBlock % kLanes == 0);
constexpr int kRegisters = kEncodeBlock / kLanes;               // registers of a block
constexpr int kColumns = kRegisters >= 8 ? 1 : 8 / kRegisters;  // columns at a time: eight sums that do not wait
static_assert(kEncodeBlock % kColumns == 0);                    // columns are padded as rows are

TS_INLINE float max_of(f32 x) {
  alignas(64) float lane[kLanes];
  store(lane, x);
  float largest = lane[0];
  for (float v : lane) largest = v > largest ? v : largest;
  return largest;
}

template <class Weight>
TS_INLINE f32 widened(const Weight* weight) {
  if constexpr (sizeof(Weight) == sizeof(uint16_t))
    return load_half(weight);
  else
    return load(weight);
}

// y = weight x + bias, or y += that.
template <bool kAdd, class Weight>
void linear(const EncodeLinear& w, const Weight* weight, const float* x, float* y) {
  for (int row = 0; row < w.rows_p; row += kEncodeBlock) {
    f32 sum[kColumns][kRegisters];
    for (int c = 0; c < kColumns; ++c) {
      for (int reg = 0; reg < kRegisters; ++reg) sum[c][reg] = f32(0.0f);
    }
    for (int column = 0; column < w.columns_p; column += kColumns) {
      // Else GCC makes vectors of columns, and adds their lanes one by one: half as fast as vectors of rows.
      if constexpr (kLanes == 1) asm volatile("");
      for (int c = 0; c < kColumns; ++c) {
        const f32 value(x[column + c]);
        for (int reg = 0; reg < kRegisters; ++reg)
          sum[c][reg] = fma(widened(weight + c * kEncodeBlock + reg * kLanes), value, sum[c][reg]);
      }
      weight += kColumns * kEncodeBlock;
    }
    for (int half = kColumns / 2; half > 0; half /= 2) {
      for (int c = 0; c < half; ++c) {
        for (int reg = 0; reg < kRegisters; ++reg) sum[c][reg] = sum[c][reg] + sum[c + half][reg];
      }
    }
    for (int reg = 0; reg < kRegisters; ++reg) {
      const int at = row + reg * kLanes;
      sum[0][reg] = sum[0][reg] + load(w.bias + at);
      if (kAdd) sum[0][reg] = sum[0][reg] + load(y + at);
    }
    for (int reg = 0; reg < kRegisters; ++reg) store(y + row + reg * kLanes, sum[0][reg]);
  }
}

// (x - mean) / sqrt(variance + 1e-5) over the first `width`, zeros behind.
void norm(const float* x, int width, int width_p, float* y) {
  f32 total(0.0f);
  for (int i = 0; i < width_p; i += kLanes) total = total + load(x + i);  // x is 0 behind width
  const f32 mean(sum_of(total) / static_cast<float>(width));
  f32 squares(0.0f);
  for (int i = 0; i < width_p; i += kLanes) {
    const f32 d = keep(first_lanes(width - i), load(x + i) - mean);
    squares = fma(d, d, squares);
    store(y + i, d);
  }
  const f32 scale(norm_scale(sum_of(squares), width));
  for (int i = 0; i < width_p; i += kLanes) store(y + i, scale * load(y + i));
}

void silu(float* x, int n) {
  for (int i = 0; i < n; i += kLanes) store(x + i, silu_fast(load(x + i)));
}

// score[slot] becomes the weight of each of the n slots, up to `total`, which is returned.
float softmax(float* score, int n) {
  f32 largest(-3e38f);
  for (int s = 0; s < n; s += kLanes) {
    const mask here = first_lanes(n - s);
    largest = max(largest, select(here, load(score + s), f32(-3e38f)));
  }
  const f32 top(max_of(largest));
  f32 total(0.0f);
  for (int s = 0; s < n; s += kLanes) {
    const f32 e = keep(first_lanes(n - s), exp_fast(load(score + s) - top));
    store(score + s, e);
    total = total + e;
  }
  return sum_of(total);
}

// Attention: what each head reads from the window, side by side in out [width_p].
void attend(const EncodeArgs& a, const EncodeLayer& layer, const EncodeLayerState& state, const float* qkv, float* out,
            float* score, float* read) {
  const EncodeTower& t = *a.tower;
  const auto [now, n] = place_in_ring(a.step, t.window);
  const float *q = qkv, *k = qkv + t.width_p, *v = qkv + 2 * t.width_p;
  for (int d = 0; d < t.width; ++d) state.key[d * t.window_p + now] = k[d];
  for (int h = 0; h < t.heads; ++h) {
    const int first = h * t.head_width;
    float* values = state.value + h * t.window * t.head_width_p;
    std::memcpy(values + now * t.head_width_p, v + first, static_cast<size_t>(t.head_width) * sizeof(float));

    const float* bias = layer.age_bias + h * 2 * t.window_p + (t.window - 1 - now);
    for (int s = 0; s < n; s += kLanes) {
      const float *query = q + first, *key = state.key + first * t.window_p + s;
      const f32 sum = dot_by_twos(
          t.head_width, [=](int d) { return f32(query[d]); }, [=, &t](int d) { return load(key + d * t.window_p); });
      store(score + s, attention_score(sum, t.head_width, load(bias + s)));
    }
    const float share = 1.0f / softmax(score, n);
    for (int d = 0; d < t.head_width_p; d += kLanes) {
      const f32 sum = dot_by_twos(
          n, [=](int s) { return f32(score[s]); }, [=, &t](int s) { return load(values + s * t.head_width_p + d); });
      store(read + d, sum * f32(share));
    }
    std::memcpy(out + first, read, static_cast<size_t>(t.head_width) * sizeof(float));
  }
  for (int d = t.width; d < t.width_p; ++d) out[d] = 0;
}

// silu(conv(u)) where u is the gated input of this step, which is kept in the ring.
void convolve(const EncodeArgs& a, const EncodeLayer& layer, const EncodeLayerState& state, const float* gate,
              float* out) {
  const EncodeTower& t = *a.tower;
  const int now = place_in_ring(a.step, t.taps).now;
  for (int d = 0; d < t.width_p; d += kLanes) {
    store(state.gated + now * t.width_p + d, gated(load(gate + d), load(gate + t.width_p + d)));
    store(out + d, convolved(
                       t.taps, now, load(layer.conv_bias + d),
                       [&](int age) { return load(layer.conv_weight + age * t.width_p + d); },
                       [&](int slot) { return load(state.gated + slot * t.width_p + d); }));
  }
}

// weights_of(linear): its packed weights, float32 or binary16.
template <class WeightsOf>
void step(const EncodeArgs& a, const WeightsOf& weights_of) {
  const EncodeTower& t = *a.tower;
  float *x = a.scratch, *normed = x + t.width_p, *mixed = normed + t.width_p, *score = mixed + t.width_p;
  float *read = score + t.window_p, *wide = read + t.head_width_p;
  linear<false>(t.stem, weights_of(t.stem), a.input, x);
  for (int i = 0; i < t.n_layers; ++i) {
    const EncodeLayer& layer = t.layers[i];
    norm(x, t.width, t.width_p, normed);
    linear<false>(layer.qkv, weights_of(layer.qkv), normed, wide);
    attend(a, layer, a.state[i], wide, mixed, score, read);
    linear<true>(layer.out, weights_of(layer.out), mixed, x);

    norm(x, t.width, t.width_p, normed);
    linear<false>(layer.gate, weights_of(layer.gate), normed, wide);
    convolve(a, layer, a.state[i], wide, mixed);
    linear<true>(layer.mix, weights_of(layer.mix), mixed, x);

    norm(x, t.width, t.width_p, normed);
    linear<false>(layer.up, weights_of(layer.up), normed, wide);
    silu(wide, layer.up.rows_p);
    linear<true>(layer.down, weights_of(layer.down), wide, x);
  }
  norm(x, t.width, t.width_p, a.feature);
  linear<false>(t.head, weights_of(t.head), a.feature, a.output);
}

}  // namespace

void encode_step(const EncodeArgs& a) {
  // One at a time, a binary16 costs more to widen than a float32 costs to read.
  if constexpr (kLanes > 1) {
    if (a.matrices.half) {
      return step(a, [&all = a.matrices](const EncodeLinear& w) { return all.half + (w.weight - all.weight); });
    }
  }
  step(a, [](const EncodeLinear& w) { return w.weight; });
}

TS_TARGET_END
