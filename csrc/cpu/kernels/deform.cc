// SPDX-License-Identifier: Apache-2.0
// deform — the steps of a plan, block by block.
// Maths    cpu/deform_plan.h; math/activation.h, math/deform.h
// Launch   blocks of 48 Gaussians on one thread; a lane is a Gaussian
// Reads    static rows once, 4 B a number (2 B in pairs); matrices from the caches     Writes  12 to 68 B a Gaussian
// Cost     two FLOPs per weight and Gaussian; bound by multiply issue: kOutputs x kGroups sums stay in registers while the
//          inputs stream by, so that a loaded value serves kOutputs products and a weight kGroups
// Order    deterministic: sums run over the inputs in order, a block is computed by one thread
// Edges    rows past the end compute on zeros and are not written; a rotation of length 0 becomes 1 0 0 0
// Oracle   tests/reference/deform.py      Bench  bench/ops/bench_deform.py
#include "math/deform.h"

#include <cstring>

#include "cpu/kernels/deform_rows.h"
#include "cpu/kernels/kernels.h"
#include "math/activation.h"

#if defined(TS_TARGET_IS_AVX512_BF16) || defined(TS_TARGET_IS_AVX512_AMX)
#define TS_BF16 1
#include "cpu/kernels/deform_bf16.h"
#else
#define TS_BF16 0
#endif

TS_TARGET_BEGIN

namespace {

// What fills the vector registers: 32 in AVX-512 and NEON, 16 otherwise.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kOutputs = 8;
#else
constexpr int kOutputs = 4;
#endif
constexpr int kGroups = 3;
constexpr int kGroupLanes = kGroups * kLanes;
static_assert(kDeformBlock % kGroupLanes == 0);

#define TS_ALWAYS __attribute__((always_inline))

// Rows o..o+J-1 of a step's outputs, lanes `lane` and after, to where the step wants them.
template <int J>
TS_INLINE void write(const DeformStep& s, const Block& b, int o, int lane, const f32 (&sum)[J][kGroups]) {
  if (s.y >= 0) {
    float* y = b.scratch + s.y + o * kDeformBlock + lane;
    TS_UNROLL
    for (int j = 0; j < J; ++j) {
      TS_UNROLL
      for (int g = 0; g < kGroups; ++g) store(y + j * kDeformBlock + g * kLanes, sum[j][g]);
    }
  }
#if TS_BF16
  if (s.y_pairs >= 0) {
    float* y = b.scratch + s.y_pairs + o / 2 * kDeformBlock + lane;
    TS_UNROLL
    for (int j = 0; j < J; j += 2) {
      TS_UNROLL
      for (int g = 0; g < kGroups; ++g)
        store_pairs(y + j / 2 * kDeformBlock + g * kLanes, sum[j][g],
                    j + 1 < J ? sum[j + 1 < J ? j + 1 : j][g] : f32(0.0f));
    }
  }
#endif
}

// The head that reads this layer alone, applied to J of its outputs in their registers.
template <int J>
TS_INLINE void narrow_head(const DeformStep& s, const Block& b, int o, int lane, const f32 (&sum)[J][kGroups]) {
  for (int n = 0; n < s.narrow; ++n) {
    float* y = b.scratch + s.narrow_y + n * kDeformBlock + lane;
    const float* weight = s.narrow_weight + o * s.narrow + n;
    f32 added[kGroups];
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) added[g] = load(y + g * kLanes);
    TS_UNROLL
    for (int j = 0; j < J; ++j) {
      const f32 w(weight[j * s.narrow]);
      TS_UNROLL
      for (int g = 0; g < kGroups; ++g) added[g] = fma(sum[j][g], w, added[g]);
    }
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) store(y + g * kLanes, added[g]);
  }
}

// What is added to SH coefficients, with the coefficients, times their basis: the colour that the eye sees.
template <int J>
TS_INLINE void to_color(const Block& b, int o, int lane, const f32 (&sum)[J][kGroups]) {
  const DeformPlan& plan = *b.args.plan;
  const float* canonical = b.at(plan.canonical[static_cast<int>(DeformTarget::kSh)]) + o * kDeformBlock + lane;
  TS_UNROLL
  for (int j = 0; j < J; ++j) {
    const float* basis = b.scratch + plan.basis + (o + j) / 3 * kDeformBlock + lane;
    float* color = b.scratch + plan.color + (o + j) % 3 * kDeformBlock + lane;
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) {
      const int at = g * kLanes;
      store(color + at, fma(sum[j][g] + load(canonical + j * kDeformBlock + at), load(basis + at), load(color + at)));
    }
  }
}

template <int J>
TS_INLINE void finish(const DeformStep& s, const Block& b, int o, int lane, f32 (&sum)[J][kGroups]) {
  if (s.activation != Activation::kNone) {
    const f32 slope(s.slope);
    TS_UNROLL
    for (int j = 0; j < J; ++j) {
      TS_UNROLL
      for (int g = 0; g < kGroups; ++g) sum[j][g] = activated(s.activation, slope, sum[j][g]);
    }
  }
  if (s.narrow)
    narrow_head(s, b, o, lane, sum);
  else if (s.to_sh && b.args.eye_w)
    to_color(b, o, lane, sum);
  else
    write(s, b, o, lane, sum);
}

// bias + plus, where sums begin: both are of a layer's size, unlike canonical values.
template <int J>
TS_INLINE void begin(const DeformStep& s, const Block& b, int o, int lane, f32 (&sum)[J][kGroups]) {
  const float *bias = b.bias(s), *plus = b.at(s.plus.place);
  TS_UNROLL
  for (int j = 0; j < J; ++j) {
    const f32 first(bias ? bias[o + j] : 0.0f);
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) sum[j][g] = first;
  }
  if (!plus) return;
#if TS_BF16
  if (s.plus.pairs) {
    plus += o / 2 * kDeformBlock + lane;
    TS_UNROLL
    for (int j = 0; j < J; j += 2) {
      TS_UNROLL
      for (int g = 0; g < kGroups; ++g) {
        f32 even, odd;
        load_pairs(plus + j / 2 * kDeformBlock + g * kLanes, even, odd);
        sum[j][g] = sum[j][g] + even;
        if (j + 1 < J) sum[j + 1 < J ? j + 1 : j][g] = sum[j + 1 < J ? j + 1 : j][g] + odd;
      }
    }
    return;
  }
#endif
  TS_UNROLL
  for (int j = 0; j < J; ++j) {
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) sum[j][g] = sum[j][g] + load(plus + (o + j) * kDeformBlock + lane + g * kLanes);
  }
}

template <int J>
TS_INLINE void multiply(const float* x, const float* weight, int inputs, f32 (&sum)[J][kGroups]) {
  for (int k = 0; k < inputs; ++k, x += kDeformBlock, weight += J) {
    f32 value[kGroups];
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) value[g] = load(x + g * kLanes);
    TS_UNROLL
    for (int j = 0; j < J; ++j) {
      const f32 w(weight[j]);
      TS_UNROLL
      for (int g = 0; g < kGroups; ++g) sum[j][g] = fma(value[g], w, sum[j][g]);
    }
  }
}

// Calls body with std::integral_constant n, which is 1 to J.
template <int J = kOutputs, class Body>
TS_INLINE void with_outputs(int n, const Body& body) {
  if constexpr (J == 1) {
    body(std::integral_constant<int, 1>());
  } else {
    if (n == J)
      body(std::integral_constant<int, J>());
    else
      with_outputs<J - 1>(n, body);
  }
}

template <bool kPairs>
void dense_in_registers(const DeformStep& s, const Block& b) {
  const float *x = b.at(s.x), *weight = b.weight(s);
  const int rows = kPairs ? (s.inputs + 1) / 2 : s.inputs;  // of x, and words of weight per output
  for (int o = 0; o < s.outputs; o += kOutputs) {
    with_outputs(s.outputs - o < kOutputs ? s.outputs - o : kOutputs, [&](auto outputs) TS_ALWAYS {
      constexpr int J = decltype(outputs)::value;
      for (int lane = 0; lane < kDeformBlock; lane += kGroupLanes) {
        f32 sum[J][kGroups];
        begin(s, b, o, lane, sum);
#if defined(TS_TARGET_IS_AVX512_BF16)
        if constexpr (kPairs)
          multiply_pairs(x + lane, weight + o * rows, s.inputs, sum);
        else
#endif
          multiply(x + lane, weight + o * rows, s.inputs, sum);
        finish(s, b, o, lane, sum);
      }
    });
  }
}

#if defined(TS_TARGET_IS_AVX512_AMX)
// Two sets of sums: one is being computed while the other is finished.
void dense_in_squares(const DeformStep& s, const Block& b) {
  const float *x = b.at(s.x), *weight = b.weight(s);
  const int inputs = (s.inputs + 31) / 32 * 32;
  float* squares = b.scratch + b.args.plan->squares;
  multiply_squares(x, weight, inputs, squares);
  for (int first = 0, set = 0; first < s.outputs; first += 16, set = 1 - set) {
    if (first + 16 < s.outputs)
      multiply_squares(x, weight + (first + 16) * inputs / 2, inputs, squares + (1 - set) * 16 * kDeformBlock);
    const float* product = squares + set * 16 * kDeformBlock;
    for (int o = first; o < first + 16 && o < s.outputs; o += kOutputs, product += kOutputs * kDeformBlock) {
      with_outputs(s.outputs - o < kOutputs ? s.outputs - o : kOutputs, [&](auto outputs) TS_ALWAYS {
        constexpr int J = decltype(outputs)::value;
        f32 sum[J][kGroups];
        begin(s, b, o, 0, sum);
        TS_UNROLL
        for (int j = 0; j < J; ++j) {
          TS_UNROLL
          for (int g = 0; g < kGroups; ++g) sum[j][g] = sum[j][g] + load(product + j * kDeformBlock + g * kLanes);
        }
        finish(s, b, o, 0, sum);
      });
    }
  }
}
#endif

void dense(const DeformStep& s, const Block& b) {
  for (int n = 0; n < s.narrow; ++n) {
    const f32 bias(s.narrow_bias ? s.narrow_bias[n] : 0.0f);
    for (int i = 0; i < kDeformBlock; i += kLanes) store(b.scratch + s.narrow_y + n * kDeformBlock + i, bias);
  }
#if defined(TS_TARGET_IS_AVX512_AMX)
  if (s.bf16) return dense_in_squares(s, b);
#elif defined(TS_TARGET_IS_AVX512_BF16)
  if (s.bf16) return dense_in_registers<true>(s, b);
#endif
  dense_in_registers<false>(s, b);
}

void pointwise(const DeformStep& s, const Block& b) {
  for (int o = 0; o < s.outputs; o += kOutputs) {
    with_outputs(s.outputs - o < kOutputs ? s.outputs - o : kOutputs, [&](auto outputs) TS_ALWAYS {
      for (int lane = 0; lane < kDeformBlock; lane += kGroupLanes) {
        f32 sum[decltype(outputs)::value][kGroups];
        begin(s, b, o, lane, sum);
        finish(s, b, o, lane, sum);
      }
    });
  }
}

void softmax(const DeformStep& s, const Block& b) {
  const int tokens = s.outputs / s.heads;
  for (int head = 0; head < s.heads; ++head) {
    for (int lane = 0; lane < kDeformBlock; lane += kLanes) {
      float* score = b.scratch + s.y + head * tokens * kDeformBlock + lane;
      f32 largest = load(score);
      for (int t = 1; t < tokens; ++t) largest = max(load(score + t * kDeformBlock), largest);
      f32 total(0.0f);
      for (int t = 0; t < tokens; ++t) {
        const f32 e = exp_accurate(load(score + t * kDeformBlock) - largest);
        store(score + t * kDeformBlock, e);
        total = total + e;
      }
      const f32 share = f32(1.0f) / total;
      for (int t = 0; t < tokens; ++t) store(score + t * kDeformBlock, load(score + t * kDeformBlock) * share);
    }
  }
}

void norm(const DeformStep& s, const Block& b) {
  const float* x = b.at(s.x);
  const f32 one(1.0f), share(1.0f / static_cast<float>(s.outputs));
  for (int lane = 0; lane < kDeformBlock; lane += kGroupLanes) {
    f32 mean[kGroups], scale[kGroups];
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) mean[g] = scale[g] = f32(0.0f);
    for (int k = 0; k < s.outputs; ++k) {
      TS_UNROLL
      for (int g = 0; g < kGroups; ++g) mean[g] = mean[g] + load(x + k * kDeformBlock + lane + g * kLanes);
    }
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) mean[g] = mean[g] * share;
    for (int k = 0; k < s.outputs; ++k) {
      TS_UNROLL
      for (int g = 0; g < kGroups; ++g) {
        const f32 d = load(x + k * kDeformBlock + lane + g * kLanes) - mean[g];
        scale[g] = fma(d, d, scale[g]);
      }
    }
    TS_UNROLL
    for (int g = 0; g < kGroups; ++g) scale[g] = one / sqrt(fma(scale[g], share, f32(s.epsilon)));
    for (int o = 0; o < s.outputs; o += 2) {
      with_outputs<2>(s.outputs - o < 2 ? 1 : 2, [&](auto outputs) TS_ALWAYS {
        constexpr int J = decltype(outputs)::value;
        f32 y[J][kGroups];
        TS_UNROLL
        for (int j = 0; j < J; ++j) {
          const f32 gamma(s.weight[o + j]), beta(s.bias[o + j]);
          TS_UNROLL
          for (int g = 0; g < kGroups; ++g)
            y[j][g] = fma((load(x + (o + j) * kDeformBlock + lane + g * kLanes) - mean[g]) * scale[g], gamma, beta);
        }
        finish(s, b, o, lane, y);
      });
    }
  }
}

void basis(const DeformStep& s, const Block& b) {
  if (!b.args.eye_w) return;
  const DeformPlan& plan = *b.args.plan;
  alignas(64) float copy[3 * kDeformBlock];
  const float* mean = own_rows(b).in<3>(b.args.in.mean, copy);
  for (int lane = 0; lane < kDeformBlock; lane += kLanes) {
    f32 x, y, z;
    moved(b, DeformTarget::kMean, mean, lane, x, y, z);
    f32 values[16];
    sh_basis_from(b.args.eye_w, plan.sh_degree, x, y, z, values);
    for (int k = 0; k < 16; ++k) store(b.scratch + s.y + k * kDeformBlock + lane, values[k]);
    for (int c = 0; c < 3; ++c) store(b.scratch + plan.color + c * kDeformBlock + lane, f32(0.5f));
  }
}

void zero(const DeformStep& s, const Block& b) {
  std::memset(b.scratch + s.y, 0, sizeof(float) * kDeformBlock * static_cast<size_t>(s.outputs));
}

void deform_blocks(const DeformBlocks& args, int64_t first, int64_t last, float* scratch) {
#if TS_BF16
  [[maybe_unused]] const MatrixUnit unit;
#endif
  for (int64_t block = first; block < last; ++block) {
    const Block b{args, block, scratch};
    for (const DeformStep& s : args.plan->steps) {
      switch (s.kind) {
        case DeformStepKind::kDense:
          dense(s, b);
          break;
        case DeformStepKind::kPointwise:
          pointwise(s, b);
          break;
        case DeformStepKind::kSoftmax:
          softmax(s, b);
          break;
        case DeformStepKind::kNorm:
          norm(s, b);
          break;
        case DeformStepKind::kZero:
          zero(s, b);
          break;
        case DeformStepKind::kBasis:
          basis(s, b);
      }
    }
    write_rows(b);
  }
}

}  // namespace

DeformKernels deform_kernels() {
  DeformKernels kernels;
#if TS_BF16
  kernels.bf16 = deform_blocks;
  kernels.bf16_peak = peak_products;
  kernels.packing = kBf16Packing;
#else
  kernels.fp32 = deform_blocks;
  kernels.fp32_peak = peak_products;
#endif
  kernels.outputs = kOutputs;
  return kernels;
}

TS_TARGET_END
