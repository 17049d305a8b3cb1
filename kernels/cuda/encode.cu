// SPDX-License-Identifier: Apache-2.0
// encode_step — one step of towers of a voice: stem, layers, head.
// Maths    ops/encode.h, math/encode.h: what cpu/kernels/encode.cc computes
// Launch   grid (1, jobs), block kEncodeThreads, encode_shared_bytes of shared memory; a block per tower of a stream
// Reads    every packed weight once (4 B a parameter; streams of a voice find them in the L2 cache), the keys and values
//          of the window, the taps of the convolution
// Writes   one key, one value, one gated row a layer; feature [width_p], output [outputs_p]
// Cost     2 FLOPs a parameter, and 4 width x window a layer for attention; bound by what one multiprocessor reads of L2,
//          64 B a clock: 2.0 MB, 31,000 clocks for the shipped voice's tower, about 19 µs
// Order    deterministic; no atomics. A linear's sums run over columns eight apart, then over the eight, as the CPU's
//          with AVX-512 do; norms and softmax over numbers 32 apart, then over the lanes
// Edges    a job without a tower does nothing; slots of the past that are not yet filled have no weight; padded rows come
//          out as zeros. Numbers that are not finite stay in their own stream
// Oracle   tests/reference/encode.py through the CPU's kernel, tests/simt/test_encode.cc      Bench  bench/ops/bench_voice.py
//
// Step     the stem's linear, then parts of two linears each, in one loop: their code is one. The residual and what leads
//          from one linear to the next lie in shared memory, with a barrier behind each, as every row reads every column.
// Linear   a warp has 16 rows, of which the matrix holds a column side by side: one load of 16 bytes a lane is eight whole
//          columns, 512 bytes in a row. A lane sums four rows over every eighth column, and shuffles leave it with the
//          sum of one row.
// Norm     has no phase: each warp finds mean and scale of the residual itself, and the linear takes its columns through
//          them as it reads.
// Attention  a warp has a head. Its lanes are slots of the past for scores, then channels for what is read; the scores go
//          from the ones to the others through shared memory.
// Convolution  a thread has a channel, whose ring no other thread reads.
#include "kernels/cuda/device.h"
//
#include "kernels/cuda/encode.h"
#include "math/encode.h"

namespace ts::cuda {
namespace encode {

constexpr int kWarps = kEncodeThreads / 32;
constexpr int kAhead = 6;  // loads of a lane that are under way at once: 24 KiB a block, as much as L2 takes to answer
constexpr uint32_t kAllLanes = 0xffffffffu;
static_assert(kEncodeBlock == 16, "a warp's lanes are 8 columns by 4 times 4 rows");

// What opens with a linear of the normed residual; but for the head it closes with one that adds to the residual.
enum class Part { kAttention, kConvolution, kFeedForward, kHead };

// A block's shared memory, and where in the rings it is.
struct Work {
  const EncodeLayer* layer;       // [layers]
  const EncodeLayerState* state;  // [layers]
  float* x;                       // [width_p] the residual
  float* mixed;                   // [width_p] what attention or convolution says
  float* wide;                    // [encode_widest]
  float* score;                   // [window_p] of this warp
  RingPlace past;                 // in the window
  int tap;                        // this step's slot in the convolution's ring
};

TS_DEVICE int thread() { return static_cast<int>(threadIdx.x); }
TS_DEVICE int warp() { return thread() / 32; }
TS_DEVICE int lane() { return thread() % 32; }

TS_DEVICE float sum_of_warp(float x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}
TS_DEVICE float largest_of_warp(float x) {
  for (int step = 16; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, x, step);
    x = other > x ? other : x;
  }
  return x;
}

// Layers are read by all threads again and again, each time through three pointers: they are copied once.
TS_DEVICE Work begin(const EncodeJob& job, const EncodeTower& t, float* shared) {
  Work work;
  work.x = shared;
  work.mixed = work.x + t.width_p;
  work.wide = work.mixed + t.width_p;
  float* scores = work.wide + encode_widest(t);
  work.score = scores + warp() * t.window_p;
  EncodeLayer* layer = reinterpret_cast<EncodeLayer*>(scores + kWarps * t.window_p);
  EncodeLayerState* state = reinterpret_cast<EncodeLayerState*>(layer + t.n_layers);
  if (thread() < t.n_layers) {
    layer[thread()] = t.layers[thread()];
    state[thread()] = job.state[thread()];
  }
  work.layer = layer, work.state = state;
  for (int i = thread(); i < t.stem.columns_p; i += kEncodeThreads) work.wide[i] = __ldg(job.input + i);
  for (int i = thread(); i < t.width_p; i += kEncodeThreads) work.x[i] = 0;
  work.past = place_in_ring(job.step, t.window);
  work.tap = place_in_ring(job.step, t.taps).now;
  __syncthreads();
  return work;
}

// What the columns of a linear are taken through: a norm, or nothing.
struct Columns {
  const float* x;
  float mean = 0, scale = 1;
  TS_INLINE float at(int column) const { return scale * (x[column] - mean); }  // of a norm not for the padding
};

TS_DEVICE Columns normed(const float* x, int width) {
  float total = 0, squares = 0;
#pragma unroll 1
  for (int i = lane(); i < width; i += 32) total += x[i];
  const float mean = sum_of_warp(total) / static_cast<float>(width);
#pragma unroll 1
  for (int i = lane(); i < width; i += 32) squares = fmaf(x[i] - mean, x[i] - mean, squares);
  return {x, mean, norm_scale(sum_of_warp(squares), width)};
}

// This lane's part of n times eight columns. All loads are under way before the first is waited for.
template <int n>
TS_DEVICE void add_columns(const float4* weight, const Columns& columns, int column, float4& sum) {
  float4 four[n];
  TS_UNROLL
  for (int i = 0; i < n; ++i) four[i] = __ldg(weight + 32 * i);
  TS_UNROLL
  for (int i = 0; i < n; ++i) {
    const float value = columns.at(column + 8 * i);
    sum.x = fmaf(four[i].x, value, sum.x);
    sum.y = fmaf(four[i].y, value, sum.y);
    sum.z = fmaf(four[i].z, value, sum.z);
    sum.w = fmaf(four[i].w, value, sum.w);
  }
}

// Of a block of 16 rows of the matrix, the sum over the columns of the row that row_of_lane names.
TS_DEVICE float row_sum(const EncodeLinear& w, int block, const Columns& columns) {
  const float4* weight = reinterpret_cast<const float4*>(w.weight) + int64_t{block} * w.columns_p * 4 + lane();
  float4 sum = make_float4(0, 0, 0, 0);
  int column = lane() / 4;
#pragma unroll 1
  for (; column + 8 * (kAhead - 1) < w.columns_p; column += 8 * kAhead, weight += 32 * kAhead)
    add_columns<kAhead>(weight, columns, column, sum);
  // Columns are padded to sixteens: what is left is pairs of eight.
#pragma unroll 1
  for (; column < w.columns_p; column += 16, weight += 64) add_columns<2>(weight, columns, column, sum);
  // Lanes 16 apart have columns four apart: each keeps two rows and gives the other lane its part of the other two. Then
  // one row of these, with columns two apart; then both lanes have the same.
  const bool upper = lane() & 16;
  float first = upper ? sum.z : sum.x, second = upper ? sum.w : sum.y;
  first += __shfl_xor_sync(kAllLanes, upper ? sum.x : sum.z, 16);
  second += __shfl_xor_sync(kAllLanes, upper ? sum.y : sum.w, 16);
  const bool odd = lane() & 8;
  float row = odd ? second : first;
  row += __shfl_xor_sync(kAllLanes, odd ? first : second, 8);
  return row + __shfl_xor_sync(kAllLanes, row, 4);
}
TS_DEVICE int row_of_lane() { return lane() % 4 * 4 + lane() / 16 * 2 + lane() / 8 % 2; }

// put(row, weight x + bias) for all rows.
template <class Put>
TS_DEVICE void linear(const EncodeLinear& w, const Columns& columns, Put put) {
#pragma unroll 1
  for (int block = warp(); block * kEncodeBlock < w.rows_p; block += kWarps) {
    const float sum = row_sum(w, block, columns);
    const int row = block * kEncodeBlock + row_of_lane();
    if ((lane() & 4) == 0) put(row, sum + __ldg(w.bias + row));
  }
}

// A row of qkv: the queries stay here, keys and values go to the rings.
TS_DEVICE void keep(const EncodeTower& t, const EncodeLayerState& state, const Work& work, int row, float value) {
  const int key = row - t.width_p, channel = key - t.width_p;  // < 0: of a section before
  if (key < 0) {
    work.wide[row] = value;
  } else if (channel < 0) {
    if (key < t.width) state.key[key * t.window_p + work.past.now] = value;
  } else if (channel < t.width) {
    const int head = channel / t.head_width;
    const int slot = head * t.window + work.past.now;
    state.value[slot * t.head_width_p + channel - head * t.head_width] = value;
  }
}

// What each head reads from the window, side by side in `mixed`.
TS_DEVICE void attend(const EncodeTower& t, const EncodeLayer& layer, const EncodeLayerState& state, const Work& work) {
  for (int h = warp(); h < t.heads; h += kWarps) {
    const int first = h * t.head_width;
    const float* query = work.wide + first;
    const float* keys = state.key + first * t.window_p;
    const float* values = state.value + h * t.window * t.head_width_p;
    const float* age_bias = layer.age_bias + h * 2 * t.window_p + (t.window - 1 - work.past.now);
    float largest = -3e38f;
    for (int s = lane(); s < work.past.n; s += 32) {
      const f32 sum = dot_by_twos(
          t.head_width, [&](int d) { return f32(query[d]); }, [&](int d) { return f32(keys[d * t.window_p + s]); });
      const float score = attention_score(sum, t.head_width, f32(__ldg(age_bias + s))).v;
      work.score[s] = score;
      largest = score > largest ? score : largest;
    }
    largest = largest_of_warp(largest);
    float total = 0;
    for (int s = lane(); s < work.past.n; s += 32) {
      const float e = exp_fast(f32(work.score[s] - largest)).v;
      work.score[s] = e;
      total += e;
    }
    const float share = 1.0f / sum_of_warp(total);
    __syncwarp();  // from a slot a lane to a channel a lane
    for (int d = lane(); d < t.head_width; d += 32) {
      const f32 sum = dot_by_twos(
          work.past.n, [&](int s) { return f32(work.score[s]); },
          [&](int s) { return f32(values[s * t.head_width_p + d]); });
      work.mixed[first + d] = sum.v * share;
    }
    __syncwarp();  // before the next head's scores
  }
  for (int d = t.width + thread(); d < t.width_p; d += kEncodeThreads) work.mixed[d] = 0;
}

// The gated input of this step, which is kept in the ring, and what the convolution makes of the last ones.
TS_DEVICE void convolve(const EncodeTower& t, const EncodeLayer& layer, const EncodeLayerState& state,
                        const Work& work) {
  for (int d = thread(); d < t.width_p; d += kEncodeThreads) {
    state.gated[work.tap * t.width_p + d] = gated(f32(work.wide[d]), f32(work.wide[t.width_p + d])).v;
    work.mixed[d] = convolved(
                        t.taps, work.tap, f32(__ldg(layer.conv_bias + d)),
                        [&](int age) { return f32(__ldg(layer.conv_weight + age * t.width_p + d)); },
                        [&](int slot) { return f32(state.gated[slot * t.width_p + d]); })
                        .v;
  }
}

TS_DEVICE void run(const EncodeJob& job) {
  TS_DYNAMIC_SHARED(float, shared);
  const EncodeTower t = *job.tower;
  const Work work = begin(job, t, shared);
  const EncodeLinear* closing = &job.tower->stem;
  bool reads_wide = true;
  const int n_parts = 3 * t.n_layers;
#pragma unroll 1
  for (int i = 0; i <= n_parts; ++i) {
    linear(*closing, {reads_wide ? work.wide : work.mixed},
           [&](int row, float value) { work.x[row] = value + work.x[row]; });
    __syncthreads();
    const Part part = i == n_parts ? Part::kHead : static_cast<Part>(i % 3);
    const int at = i == n_parts ? 0 : i / 3;
    const EncodeLayer& layer = work.layer[at];
    const EncodeLayerState& state = work.state[at];
    const Columns x = normed(work.x, t.width);
    const EncodeLinear& opening = part == Part::kAttention     ? layer.qkv
                                  : part == Part::kConvolution ? layer.gate
                                  : part == Part::kFeedForward ? layer.up
                                                               : job.tower->head;
    linear(opening, x, [&](int row, float value) {
      switch (part) {
        case Part::kAttention:
          return keep(t, state, work, row, value);
        case Part::kConvolution:
          work.wide[row] = value;
          return;
        case Part::kFeedForward:
          work.wide[row] = silu_fast(f32(value)).v;
          return;
        case Part::kHead:
          job.output[row] = value;
      }
    });
    if (part == Part::kHead) {
      for (int d = thread(); d < t.width_p; d += kEncodeThreads) job.feature[d] = d < t.width ? x.at(d) : 0.0f;
      return;
    }
    __syncthreads();
    closing = part == Part::kAttention ? &layer.out : part == Part::kConvolution ? &layer.mix : &layer.down;
    reads_wide = part == Part::kFeedForward;
    if (reads_wide) continue;
    if (part == Part::kAttention)
      attend(t, layer, state, work);
    else
      convolve(t, layer, state, work);
    __syncthreads();
  }
}

}  // namespace encode

TS_KERNEL void __launch_bounds__(kEncodeThreads, 3) encode_step_kernel(const Jobs<EncodeJob> args) {
  const EncodeJob& job = args.job[blockIdx.y];
  if (job.tower) encode::run(job);
}

}  // namespace ts::cuda
