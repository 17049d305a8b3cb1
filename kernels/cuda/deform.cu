// SPDX-License-Identifier: Apache-2.0
// deform — a branch's steps, group by group, its matrices on tensor cores.
// Maths    ops/deform.h; kernels/cuda/deform.h, the steps and how everything lies; math/activation.h, math/deform.h
// Launch   grid (groups of the largest branch / warps a block, branches), block 32 x 1, 2, 4 or 8; a warp has a group of 32
//          Gaussians (deform_fast_kernel) or 16 (deform_reference_kernel) from its first step to what it writes, and a part
//          of the dynamic shared memory, layout.scratch * 16 B, in which its values live. No block barrier
// Reads    static rows once, 2 B a number (4 B in reference precision); matrices 2 (4) B a number and group, from the caches
// Writes   12 to 68 B a Gaussian; nothing where the branch adds nothing
// Cost     fast: two mma.m16n8k16 for 32 rows, 16 inputs and 8 outputs, with float32 sums; 8 of them share 4 loads
//          of 16 B a lane. Reference: three for 16 rows, of which each number is two halves
// Order    deterministic; no atomics. Sums run over the inputs in order, 16 at a time; a Gaussian's bits do not depend on
//          its neighbours
// Edges    n = 0 launches nothing; rows past the end are computed on zeros and not written; numbers above 65504 between
//          layers become infinite; a rotation of length 0 becomes 1 0 0 0
// Oracle   tests/reference/deform.py; tests/simt/test_deform.cc      Bench  bench/ops/bench_deform.py
//
// Matrices are read from global memory, not staged in shared memory: warps of a processor walk the same steps at nearly the
// same time, so that most reads hit L1, and if all missed it, they were 54 MB from L2 for a network of width 128 and 27,000
// Gaussians: less time than its products take. Staging would need a barrier for each part of each layer, and shared memory
// that otherwise holds more warps.
//
// Layers   A lane writes the numbers of a square that it reads as operand of the next product, so warps do not wait between
//          layers. A head that is fused with a layer multiplies them while they are in registers
// Columns  Where a lane reads a Gaussian's row (scores, what is added), numbers change lanes through shared memory: a
//          __syncwarp ends each step, so that no lane writes where another still reads
// Rows     In the end a lane has a Gaussian: it adds the canonical values and writes what the sums stand for. After
//          kernels/triton/deform.py, which has computed the sums in fast precision, that is a kernel of its own,
//          deform_rows_kernel: grid (groups of the largest branch / 8, branches), block 256, no shared memory
#include "kernels/cuda/device.h"
//
#include "kernels/cuda/deform.h"
#include "math/activation.h"
#include "math/deform.h"
#include "ops/deform.h"

namespace ts::cuda {
namespace deform {

struct Fast {
  static constexpr int kRows = kDeformFastRows, kHeight = 2, kHalves = 1;
};
struct Reference {
  static constexpr int kRows = kDeformReferenceRows, kHeight = 1, kHalves = 2;
};

// A lane's eight numbers of a square, in the order of the operand's halves: those of row lane / 4 are 0 1 4 5.
constexpr int kOctet = 8;

// A warp's place in the work.
struct Warp {
  const DeformJob& job;
  uint4* scratch;
  int group, lane;

  TS_INLINE const uint4* at(DeformMemory memory) const {
    return (memory.of_frame ? job.frame : job.constant) + memory.at;
  }
  TS_INLINE const float* floats(DeformMemory memory) const { return reinterpret_cast<const float*>(at(memory)); }
  TS_INLINE const uint4* at(DeformOperand operand) const {
    return operand.stride ? job.constant + operand.at + int64_t{group} * operand.stride : scratch + operand.at;
  }
  TS_INLINE float* columns(int32_t at) const { return reinterpret_cast<float*>(scratch + at); }
  TS_INLINE int pair() const { return lane % 4 * 2; }  // the first of the lane's columns in eight
};

template <class P>
constexpr int kColumnStride = P::kRows + kDeformColumnGap;

TS_DEVICE uint4 pack(const float (&v)[kOctet]) {
  return make_uint4(half2_of(v[0], v[1]), half2_of(v[2], v[3]), half2_of(v[4], v[5]), half2_of(v[6], v[7]));
}
TS_DEVICE void unpack(uint4 operand, float (&v)[kOctet]) {
  const uint32_t words[4] = {operand.x, operand.y, operand.z, operand.w};
  TS_UNROLL
  for (int i = 0; i < 4; ++i) {
    const float2 two = floats_of(words[i]);
    v[2 * i] = two.x, v[2 * i + 1] = two.y;
  }
}
// What halves leave of numbers, as halves.
TS_DEVICE uint4 pack_rest(const float (&v)[kOctet], uint4 rounded) {
  float rest[kOctet];
  unpack(rounded, rest);
  TS_UNROLL
  for (int i = 0; i < kOctet; ++i) rest[i] = v[i] - rest[i];
  return pack(rest);
}

template <class P>
TS_DEVICE void load_octet(const uint4* value, int square, int m, int lane, float (&v)[kOctet]) {
  value += square * kDeformSquareSize + m * 32 + lane;
  unpack(value[0], v);
  if constexpr (P::kHalves == 2) {
    float rest[kOctet];
    unpack(value[32], rest);
    TS_UNROLL
    for (int i = 0; i < kOctet; ++i) v[i] += rest[i];
  }
}

template <class P>
TS_DEVICE void store_octet(uint4* value, int square, int m, int lane, const float (&v)[kOctet]) {
  value += square * kDeformSquareSize + m * 32 + lane;
  const uint4 rounded = pack(v);
  value[0] = rounded;
  if constexpr (P::kHalves == 2) value[32] = pack_rest(v, rounded);
}

// Eight outputs of 16 inputs, added to the numbers of `sum` from `first` on, in each of the group's squares. What is left of
// a product of numbers in two halves, that of their second ones, is below 2^-22 of it.
template <class P>
TS_DEVICE void multiply(float (&sum)[P::kHeight][kOctet], int first, const uint4 (&a)[2],
                        const uint2 (&b)[P::kHalves]) {
  const auto product = [](float* to, uint4 x, uint2 w) { mma_16x8x16(to, x.x, x.y, x.z, x.w, w.x, w.y); };
  if constexpr (P::kHalves == 1) {
    product(sum[0] + first, a[0], b[0]);
    product(sum[1] + first, a[1], b[0]);
  } else {
    product(sum[0] + first, a[1], b[0]);
    product(sum[0] + first, a[0], b[1]);
    product(sum[0] + first, a[0], b[0]);
  }
}

// sum = weight x, for kSquares squares of outputs from `first` on.
template <class P, int kSquares>
TS_DEVICE void dense(const Warp& warp, const DeformStep& step, int first, float (&sum)[kSquares][P::kHeight][kOctet]) {
  TS_UNROLL
  for (int p = 0; p < kSquares; ++p) {
    TS_UNROLL
    for (int m = 0; m < P::kHeight; ++m) {
      TS_UNROLL
      for (int i = 0; i < kOctet; ++i) sum[p][m][i] = 0;
    }
  }
  const int inputs = step.inputs;
  const uint4* x = warp.at(step.x) + warp.lane;
  const uint4* weight = warp.at(step.weight) + first * inputs * P::kHalves * 32 + warp.lane;
#pragma unroll 2
  for (int k = 0; k < inputs; ++k, x += kDeformSquareSize, weight += kSquares * P::kHalves * 32) {
    const uint4 a[2] = {x[0], x[32]};
    TS_UNROLL
    for (int p = 0; p < kSquares; ++p) {
      uint2 low[P::kHalves], high[P::kHalves];
      TS_UNROLL
      for (int h = 0; h < P::kHalves; ++h) {
        const uint4 w = __ldg(weight + (p * P::kHalves + h) * 32);
        low[h] = make_uint2(w.x, w.y), high[h] = make_uint2(w.z, w.w);
      }
      multiply<P>(sum[p], 0, a, low);
      multiply<P>(sum[p], 4, a, high);
    }
  }
}

// v = scale v + bias.
TS_DEVICE void add_bias(const Warp& warp, const float* terms, int square, float scale, float (&v)[kOctet]) {
  const float* bias = terms + kDeformSquare * square + warp.pair();
  const float2 low = *reinterpret_cast<const float2*>(bias), high = *reinterpret_cast<const float2*>(bias + 8);
  TS_UNROLL
  for (int i = 0; i < kOctet; ++i)
    v[i] = fmaf(v[i], scale, i < 4 ? (i % 2 ? low.y : low.x) : (i % 2 ? high.y : high.x));
}

// One switch for eight numbers. tanh is a step of its own: it would be most of the code if it stood here.
TS_DEVICE void activate(Activation activation, float slope, float (&v)[kOctet]) {
  const auto each = [&](auto function) {
    TS_UNROLL
    for (float& x : v) x = function(f32(x)).v;
  };
  switch (activation) {
    case Activation::kRelu:
      return each([](f32 x) { return activated(Activation::kRelu, f32(0.0f), x); });
    case Activation::kLeakyRelu:
      return each([&](f32 x) { return activated(Activation::kLeakyRelu, f32(slope), x); });
    default:
      return;
  }
}

// Columns from `first` on that there are `count` of, of an octet or of half of one.
template <class P, int n>
TS_DEVICE void store_columns(const Warp& warp, float* columns, int first, int count, int m, const float* v) {
  TS_UNROLL
  for (int i = 0; i < n; ++i) {
    const int column = first + i / 4 * 8 + warp.pair() + i % 2, row = 16 * m + i / 2 % 2 * 8 + warp.lane / 4;
    if (column < count) columns[column * kColumnStride<P> + row] = v[i];
  }
}

// kSquares squares of outputs of a layer, or of heads. head: the sums of the head that is fused with it.
template <class P, int kSquares>
TS_DEVICE void layer_squares(const Warp& warp, const DeformStep& step, int first, float (&head)[P::kHeight][kOctet]) {
  float sum[kSquares][P::kHeight][kOctet];
  dense<P, kSquares>(warp, step, first, sum);
  const float* terms = warp.floats(step.terms);
  const float* scales = terms + (step.outputs + kDeformSquare - 1) / kDeformSquare * kDeformSquare;
  const float scale = scales[0], plus_scale = scales[1];
  const uint4* plus = step.plus.at >= 0 ? warp.at(step.plus) : nullptr;
  TS_UNROLL
  for (int p = 0; p < kSquares; ++p) {
    TS_UNROLL
    for (int m = 0; m < P::kHeight; ++m) {
      add_bias(warp, terms, first + p, scale, sum[p][m]);
      if (plus) {
        float added[kOctet];
        load_octet<P>(plus, first + p, m, warp.lane, added);
        TS_UNROLL
        for (int i = 0; i < kOctet; ++i) sum[p][m][i] = fmaf(added[i], plus_scale, sum[p][m][i]);
      }
      activate(step.activation, step.slope, sum[p][m]);
    }
  }
  TS_UNROLL
  for (int p = 0; p < kSquares; ++p) {
    const int square = first + p;
    if (step.kind == DeformStepKind::kHead) {
      uint4 a[2];
      if constexpr (P::kHalves == 1) {
        a[0] = pack(sum[p][0]), a[1] = pack(sum[p][1]);
      } else {
        a[0] = pack(sum[p][0]), a[1] = pack_rest(sum[p][0], a[0]);
      }
      uint2 b[P::kHalves];
      TS_UNROLL
      for (int h = 0; h < P::kHalves; ++h) {
        const auto* weight = reinterpret_cast<const uint2*>(warp.at(step.head_weight));
        b[h] = __ldg(weight + (square * P::kHalves + h) * 32 + warp.lane);
      }
      multiply<P>(head, 0, a, b);
      continue;
    }
    TS_UNROLL
    for (int m = 0; m < P::kHeight; ++m) {
      if (step.kind == DeformStepKind::kLayer)
        store_octet<P>(warp.scratch + step.y, square, m, warp.lane, sum[p][m]);
      else
        store_columns<P, kOctet>(warp, warp.columns(step.columns), kDeformSquare * square, step.outputs, m, sum[p][m]);
    }
  }
}

template <class P>
TS_DEVICE void layer(const Warp& warp, const DeformStep& step) {
  float head[P::kHeight][kOctet] = {};  // four of the eight are used
  const int squares = (step.outputs + kDeformSquare - 1) / kDeformSquare;
  int square = 0;
  for (; square + 2 <= squares; square += 2) layer_squares<P, 2>(warp, step, square, head);
  if (square < squares) layer_squares<P, 1>(warp, step, square, head);
  if (step.kind != DeformStepKind::kHead) return;
  const float* terms = warp.floats(step.head_terms);
  TS_UNROLL
  for (int m = 0; m < P::kHeight; ++m) {
    add_bias(warp, terms, 0, terms[kDeformSquare], head[m]);
    store_columns<P, kOctet / 2>(warp, warp.columns(step.columns), 0, step.head_outputs, m, head[m]);
  }
}

// A lane has a row's scores; what it writes is an operand that other lanes read.
template <class P>
TS_DEVICE void softmax(const Warp& warp, const DeformStep& step) {
  if (warp.lane >= P::kRows) return;
  float* scores = warp.columns(step.columns) + warp.lane;
  constexpr int kStride = kColumnStride<P>;
  const int row = warp.lane % 16, m = warp.lane / 16;
  const auto write = [&](int column, float x) {
    const int lane = row % 8 * 4 + column % 8 / 2, word = row / 8 + column / 8 % 2 * 2;
    auto* half = reinterpret_cast<uint16_t*>(warp.scratch + step.y + column / kDeformSquare * kDeformSquareSize +
                                             m * 32 + lane) +
                 2 * word + column % 2;
    const uint32_t rounded = half2_of(x, 0.0f);
    half[0] = static_cast<uint16_t>(rounded);
    if constexpr (P::kHalves == 2) half[32 * 8] = static_cast<uint16_t>(half2_of(x - floats_of(rounded).x, 0.0f));
  };
  const int tokens = step.outputs / step.heads;
  int column = 0;
  for (int head = 0; head < step.heads; ++head) {
    float* score = scores + column * kStride;
    f32 largest(score[0]);
    for (int t = 1; t < tokens; ++t) largest = max(f32(score[t * kStride]), largest);
    f32 total(0.0f);
    for (int t = 0; t < tokens; ++t) {
      const f32 e = exp_accurate(f32(score[t * kStride]) - largest);
      score[t * kStride] = e.v;
      total = total + e;
    }
    const float share = 1.0f / total.v;
    for (int t = 0; t < tokens; ++t, ++column) write(column, score[t * kStride] * share);
  }
  for (; column % kDeformSquare != 0; ++column) write(column, 0.0f);
}

// Four lanes have a row's numbers: their sums meet by shuffles.
TS_DEVICE float sum_of_row(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

template <class P>
TS_DEVICE void norm(const Warp& warp, const DeformStep& step) {
  const int squares = (step.outputs + kDeformSquare - 1) / kDeformSquare;
  const uint4* x = warp.at(step.x);
  const float *gamma = warp.floats(step.terms), *beta = gamma + kDeformSquare * squares;
  const float x_scale = beta[kDeformSquare * squares], share = 1.0f / static_cast<float>(step.outputs);
  for (int m = 0; m < P::kHeight; ++m) {
    // Of rows lane / 4 and lane / 4 + 8. Columns behind the last are zero.
    float mean[2] = {0, 0}, scale[2] = {0, 0}, v[kOctet];
    for (int square = 0; square < squares; ++square) {
      load_octet<P>(x, square, m, warp.lane, v);
      TS_UNROLL
      for (int i = 0; i < kOctet; ++i) mean[i / 2 % 2] += v[i];
    }
    TS_UNROLL
    for (int r = 0; r < 2; ++r) mean[r] = sum_of_row(mean[r]) * share * x_scale;
    for (int square = 0; square < squares; ++square) {
      load_octet<P>(x, square, m, warp.lane, v);
      TS_UNROLL
      for (int i = 0; i < kOctet; ++i) {
        const int r = i / 2 % 2;
        const float d = fmaf(v[i], x_scale, -mean[r]);
        if (kDeformSquare * square + i / 4 * 8 + warp.pair() + i % 2 < step.outputs) scale[r] = fmaf(d, d, scale[r]);
      }
    }
    TS_UNROLL
    for (int r = 0; r < 2; ++r) scale[r] = 1.0f / sqrtf(fmaf(sum_of_row(scale[r]), share, step.epsilon));
    for (int square = 0; square < squares; ++square) {
      load_octet<P>(x, square, m, warp.lane, v);
      TS_UNROLL
      for (int i = 0; i < kOctet; ++i) {
        const int r = i / 2 % 2, column = kDeformSquare * square + i / 4 * 8 + warp.pair() + i % 2;
        v[i] = fmaf(fmaf(v[i], x_scale, -mean[r]) * scale[r], gamma[column], beta[column]);
      }
      activate(step.activation, step.slope, v);
      store_octet<P>(warp.scratch + step.y, square, m, warp.lane, v);
    }
  }
}

template <class P>
TS_DEVICE void tanh_of(const Warp& warp, const DeformStep& step) {
  uint4* y = warp.scratch + step.y;
  const int squares = (step.outputs + kDeformSquare - 1) / kDeformSquare;
  for (int i = 0; i < squares * P::kHeight; ++i) {
    float v[kOctet];
    load_octet<P>(y, i / P::kHeight, i % P::kHeight, warp.lane, v);
    TS_UNROLL
    for (float& x : v) x = tanh_accurate(f32(x)).v;
    store_octet<P>(y, i / P::kHeight, i % P::kHeight, warp.lane, v);
  }
}

// A lane's Gaussian, after the last layer.
template <class P>
struct Row {
  const Warp& warp;
  int64_t row;  // of the branch
  bool real;    // in the branch, and of this lane

  TS_INLINE bool adds(DeformTarget target) const { return warp.job.layout.added[static_cast<int>(target)] >= 0; }
  TS_INLINE float added(DeformTarget target, int column) const {
    return warp.columns(warp.job.layout.added[static_cast<int>(target)])[column * kColumnStride<P> + warp.lane];
  }
  TS_INLINE float canonical(DeformTarget target, int n_columns, int column) const {
    const int32_t at = warp.job.layout.canonical[static_cast<int>(target)];
    const auto* rows = reinterpret_cast<const float*>(warp.job.constant + at);
    return rows[(int64_t{warp.group} * n_columns + column) * P::kRows + warp.lane];
  }
  TS_INLINE f32 raw(DeformTarget target, int n_columns, int column) const {
    return f32(canonical(target, n_columns, column) + added(target, column));
  }
  // A number of the posed rows [n,3], and what is added to it.
  TS_INLINE f32 moved(DeformTarget target, const float* posed, int column) const {
    return f32(posed[3 * row + column] + (adds(target) ? added(target, column) : 0.0f));
  }
};

template <class P>
TS_DEVICE Row<P> own_row(const Warp& warp) {
  const int64_t row = int64_t{warp.group} * P::kRows + warp.lane;
  return {warp, row, warp.lane < P::kRows && row < warp.job.layout.n};
}

// What is added to SH, with the coefficients, times their basis: the colour that the eye sees.
template <class P>
struct ShColor {
  const Row<P>& own;
  f32 basis[kMaxShCoefficients], color[3] = {f32(0.5f), f32(0.5f), f32(0.5f)};

  TS_INLINE explicit ShColor(const Row<P>& row) : own(row) {
    const DeformJob& job = own.warp.job;
    const auto mean = [&](int c) { return own.real ? own.moved(DeformTarget::kMean, job.mean, c) : f32(0.0f); };
    sh_basis_from(job.eye_w, job.layout.sh_degree, mean(0), mean(1), mean(2), basis);
  }
  // 16 columns, in columns `added`.
  TS_INLINE void take(int square, const float* added) {
    const DeformJob& job = own.warp.job;
    const int columns = job.layout.sh_columns;
    TS_UNROLL
    for (int i = 0; i < kDeformSquare; ++i) {
      const int o = kDeformSquare * square + i;
      if (!own.real || o >= columns) continue;
      const f32 value(added[i * kColumnStride<P> + own.warp.lane] + own.canonical(DeformTarget::kSh, columns, o));
      if (job.has_eye)
        color[o % 3] = fma(value, basis[o / 3], color[o % 3]);
      else
        job.color_out[own.row * columns + o] = value.v;
    }
  }
  TS_INLINE void write() const {
    const DeformJob& job = own.warp.job;
    if (!own.real || !job.has_eye) return;
    TS_UNROLL
    for (int c = 0; c < 3; ++c) job.color_out[3 * own.row + c] = max(color[c], f32(0.0f)).v;
  }
};
constexpr int kShSquares = 3 * kMaxShCoefficients / kDeformSquare;

// 16 columns at a time, so that 48 of them never lie in shared memory.
template <class P>
TS_DEVICE void add_to_sh(const Warp& warp, const DeformStep& step) {
  const DeformJob& job = warp.job;
  const Row<P> own = own_row<P>(warp);
  const int columns = job.layout.sh_columns;
  ShColor<P> color(own);
  const float* terms = warp.floats(step.terms);
  const float scale = terms[(columns + kDeformSquare - 1) / kDeformSquare * kDeformSquare];
  float* added = warp.columns(step.columns);
  TS_UNROLL
  for (int square = 0; square < kShSquares; ++square) {
    if (kDeformSquare * square >= columns) break;
    float sum[1][P::kHeight][kOctet];
    dense<P, 1>(warp, step, square, sum);
    TS_UNROLL
    for (int m = 0; m < P::kHeight; ++m) {
      add_bias(warp, terms, square, scale, sum[0][m]);
      store_columns<P, kOctet>(warp, added, 0, kDeformSquare, m, sum[0][m]);
    }
    __syncwarp();
    color.take(square, added);
    __syncwarp();
  }
  color.write();
}

template <class P>
TS_DEVICE void write_row(const Warp& warp) {
  const DeformJob& job = warp.job;
  const Row<P> own = own_row<P>(warp);
  if (!own.real) return;
  if (own.adds(DeformTarget::kMean)) {
    for (int c = 0; c < 3; ++c) job.mean_out[3 * own.row + c] = own.moved(DeformTarget::kMean, job.mean, c).v;
  }
  if (own.adds(DeformTarget::kLogScale)) {
    for (int c = 0; c < 3; ++c) job.scale_out[3 * own.row + c] = exp_accurate(own.raw(DeformTarget::kLogScale, 3, c)).v;
  }
  if (own.adds(DeformTarget::kSoftplusScale)) {
    for (int c = 0; c < 3; ++c)
      job.scale_out[3 * own.row + c] = softplus_accurate(own.raw(DeformTarget::kSoftplusScale, 3, c)).v;
  }
  if (own.adds(DeformTarget::kRotation)) {
    f32 q[4];
    TS_UNROLL
    for (int c = 0; c < 4; ++c) q[c] = own.raw(DeformTarget::kRotation, 4, c);
    unit_rotation(q);
    TS_UNROLL
    for (int c = 0; c < 4; ++c) job.quat_out[4 * own.row + c] = q[c].v;
  }
  if (own.adds(DeformTarget::kLogit))
    job.opacity_out[own.row] = sigmoid_accurate(own.raw(DeformTarget::kLogit, 1, 0)).v;
  if (own.adds(DeformTarget::kColor)) {
    for (int c = 0; c < 3; ++c) job.color_out[3 * own.row + c] = own.moved(DeformTarget::kColor, job.color, c).v;
  }
}

template <class P>
TS_DEVICE void walk(const DeformJob& job, uint4* shared) {
  const int warp_of_block = static_cast<int>(threadIdx.x) / 32, warps = static_cast<int>(blockDim.x) / 32;
  const int group = static_cast<int>(blockIdx.x) * warps + warp_of_block;
  if (int64_t{group} * P::kRows >= job.layout.n) return;
  const Warp warp{job, shared + int64_t{warp_of_block} * job.layout.scratch, group, static_cast<int>(threadIdx.x) % 32};
  const auto* steps = reinterpret_cast<const DeformStep*>(job.constant + job.layout.steps);
  for (int i = 0; i < job.layout.n_steps; ++i) {
    const DeformStep& step = steps[i];
    switch (step.kind) {
      case DeformStepKind::kSoftmax:
        softmax<P>(warp, step);
        break;
      case DeformStepKind::kNorm:
        norm<P>(warp, step);
        break;
      case DeformStepKind::kTanh:
        tanh_of<P>(warp, step);
        break;
      case DeformStepKind::kSh:
        add_to_sh<P>(warp, step);
        break;
      default:
        layer<P>(warp, step);
    }
    __syncwarp();
  }
  write_row<P>(warp);
}

// What kernels/triton's layers left in a group's scratch memory.
TS_DEVICE void rows_of_layers(const DeformJob& job) {
  const int group = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (int64_t{group} * Fast::kRows >= job.layout.n) return;
  const Warp warp{job, job.scratch + int64_t{group} * job.layout.kept, group, static_cast<int>(threadIdx.x) % 32};
  if (job.layout.sh_added >= 0) {
    const Row<Fast> own = own_row<Fast>(warp);
    ShColor<Fast> color(own);
    const float* added = warp.columns(job.layout.sh_added);
    TS_UNROLL
    for (int square = 0; square < kShSquares; ++square)
      color.take(square, added + kDeformSquare * square * kColumnStride<Fast>);
    color.write();
  }
  write_row<Fast>(warp);
}

}  // namespace deform

constexpr int kDeformBlocks = kResidentDeformWarps / kMaxDeformWarps;  // of the largest size, on a processor

TS_KERNEL void __launch_bounds__(32 * kMaxDeformWarps, kDeformBlocks) deform_fast_kernel(const Jobs<DeformJob> args) {
  TS_DYNAMIC_SHARED(uint4, shared);
  deform::walk<deform::Fast>(args.job[blockIdx.y], shared);
}

TS_KERNEL void __launch_bounds__(32 * kMaxDeformWarps, kDeformBlocks)
    deform_reference_kernel(const Jobs<DeformJob> args) {
  TS_DYNAMIC_SHARED(uint4, shared);
  deform::walk<deform::Reference>(args.job[blockIdx.y], shared);
}

TS_KERNEL void __launch_bounds__(32 * kMaxDeformWarps) deform_rows_kernel(const Jobs<DeformJob> args) {
  deform::rows_of_layers(args.job[blockIdx.y]);
}

}  // namespace ts::cuda
