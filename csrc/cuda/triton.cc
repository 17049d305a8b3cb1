// SPDX-License-Identifier: Apache-2.0
#include "cuda/triton.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "core/text.h"
#include "kernels/cuda/deform.h"
#include "kernels/cuda/encode.h"

namespace ts::cuda {
namespace {

// kernels/triton/deform.py counts these in words of 4 bytes.
static_assert(sizeof(DeformJob) == 4 * 46 && offsetof(DeformJob, constant) == 4 * 22);
static_assert(offsetof(DeformJob, frame) == 4 * 24 && offsetof(DeformJob, scratch) == 4 * 26);
static_assert(offsetof(DeformLayout, n) == 0 && offsetof(DeformLayout, n_steps) == 4);
static_assert(offsetof(DeformLayout, steps) == 4 * 2 && offsetof(DeformLayout, sh_added) == 4 * 6);
static_assert(offsetof(DeformLayout, kept) == 4 * 7);
static_assert(sizeof(DeformStep) == 4 * 22 && offsetof(DeformStep, activation) == 4);
static_assert(offsetof(DeformStep, slope) == 4 * 2 && offsetof(DeformStep, epsilon) == 4 * 3);
static_assert(offsetof(DeformStep, inputs) == 4 * 4 && offsetof(DeformStep, outputs) == 4 * 5);
static_assert(offsetof(DeformStep, heads) == 4 * 6 && offsetof(DeformStep, x) == 4 * 7);
static_assert(offsetof(DeformStep, plus) == 4 * 9 && offsetof(DeformStep, y) == 4 * 11);
static_assert(offsetof(DeformStep, columns) == 4 * 12 && offsetof(DeformStep, weight) == 4 * 13);
static_assert(offsetof(DeformStep, terms) == 4 * 15 && offsetof(DeformStep, head_weight) == 4 * 17);
static_assert(offsetof(DeformStep, head_terms) == 4 * 19 && offsetof(DeformStep, head_outputs) == 4 * 21);
static_assert(offsetof(DeformOperand, stride) == 4 && offsetof(DeformMemory, of_frame) == 4);
static_assert(kDeformFastRows == 32 && kDeformColumnGap == 4 && kDeformSquareSize == 64);
static_assert(static_cast<int>(DeformStepKind::kLayer) == 0 && static_cast<int>(DeformStepKind::kHead) == 1);
static_assert(static_cast<int>(DeformStepKind::kColumns) == 2 && static_cast<int>(DeformStepKind::kSoftmax) == 3);
static_assert(static_cast<int>(DeformStepKind::kNorm) == 4 && static_cast<int>(DeformStepKind::kTanh) == 5);
static_assert(static_cast<int>(DeformStepKind::kSh) == 6);
static_assert(static_cast<int>(Activation::kRelu) == 1 && static_cast<int>(Activation::kLeakyRelu) == 2);

// kernels/triton/encode.py counts these.
static_assert(sizeof(EncodeJob) == 4 * 14 && offsetof(EncodeJob, state) == 4 * 2);
static_assert(offsetof(EncodeJob, step) == 4 * 4 && offsetof(EncodeJob, input) == 4 * 6);
static_assert(offsetof(EncodeJob, feature) == 4 * 8 && offsetof(EncodeJob, output) == 4 * 10);
static_assert(offsetof(EncodeJob, scratch) == 4 * 12);
static_assert(offsetof(EncodeTower, width) == 0 && offsetof(EncodeTower, width_p) == 4);
static_assert(offsetof(EncodeTower, heads) == 4 * 2 && offsetof(EncodeTower, head_width) == 4 * 3);
static_assert(offsetof(EncodeTower, head_width_p) == 4 * 4 && offsetof(EncodeTower, window) == 4 * 5);
static_assert(offsetof(EncodeTower, window_p) == 4 * 6 && offsetof(EncodeTower, taps) == 4 * 7);
static_assert(offsetof(EncodeTower, hidden_p) == 4 * 8 && offsetof(EncodeTower, stem) == 4 * 12);
static_assert(offsetof(EncodeTower, head) == 4 * 18 && offsetof(EncodeTower, n_layers) == 4 * 24);
static_assert(offsetof(EncodeTower, layers) == 4 * 26);
static_assert(sizeof(EncodeLinear) == 4 * 6 && offsetof(EncodeLinear, rows_p) == 0);
static_assert(offsetof(EncodeLinear, columns_p) == 4 && offsetof(EncodeLinear, weight) == 4 * 2);
static_assert(offsetof(EncodeLinear, bias) == 4 * 4);
static_assert(sizeof(EncodeLayer) == 4 * 42 && offsetof(EncodeLayer, qkv) == 0);
static_assert(offsetof(EncodeLayer, out) == 4 * 6 && offsetof(EncodeLayer, gate) == 4 * 12);
static_assert(offsetof(EncodeLayer, mix) == 4 * 18 && offsetof(EncodeLayer, up) == 4 * 24);
static_assert(offsetof(EncodeLayer, down) == 4 * 30 && offsetof(EncodeLayer, age_bias) == 4 * 36);
static_assert(offsetof(EncodeLayer, conv_weight) == 4 * 38 && offsetof(EncodeLayer, conv_bias) == 4 * 40);
static_assert(sizeof(EncodeLayerState) == 4 * 6 && offsetof(EncodeLayerState, key) == 0);
static_assert(offsetof(EncodeLayerState, value) == 4 * 2 && offsetof(EncodeLayerState, gated) == 4 * 4);
static_assert(kEncodeBlock == 16);

constexpr auto kDeviceError = StatusCode::kDeviceError;

const TritonCubin* cubin_of(const TritonOp& op, int capability) {
  const TritonCubin* end = kTritonCubins + kTritonCubinCount;
  const TritonCubin* found = std::find_if(kTritonCubins, end, [&](const TritonCubin& one) {
    return one.capability == capability && std::strcmp(one.name, op.kernel) == 0;
  });
  return found == end ? nullptr : found;
}

}  // namespace

std::string TritonChoice::in_words() const {
  std::string words = !cubin ? "cuda" : from <= 1 ? "triton" : "cuda, triton from " + std::to_string(from);
  if (cubin && from > 1) words += std::string(" ") + what + " at once";
  return words + ", " + why;
}

Status choose_kernel(const TritonOp& op, int capability, TritonChoice& choice) {
  choice = {};
  choice.what = op.what;
  const char* pinned = std::getenv(op.variable);
  const bool to_triton = pinned && std::strcmp(pinned, "triton") == 0;
  if (pinned && !to_triton && std::strcmp(pinned, "cuda") != 0) {
    return error(kDeviceError, "cuda: %s must be cuda or triton; got %s. Unset it to choose by what was measured.",
                 op.variable, quoted(pinned).c_str());
  }
  const TritonCubin* cubin = cubin_of(op, capability);
  if (pinned) {
    choice.why = op.variable;
    if (!to_triton) return {};
    if (kTritonCubinCount == 0) return error(kDeviceError, "cuda: %s is triton, but %s", op.variable, kTritonWhyNone);
    if (!cubin) {
      return error(kDeviceError,
                   "cuda: %s is triton, but this build's Triton kernels are for %s, and this GPU is sm_%d. "
                   "Unset it, or set it to cuda.",
                   op.variable, kTritonContents, capability);
    }
    choice.cubin = cubin, choice.from = 1;
    return {};
  }
  const TritonMeasured* end = kTritonMeasured + kTritonMeasuredCount;
  const TritonMeasured* measured = std::find_if(kTritonMeasured, end, [&](const TritonMeasured& one) {
    return one.capability == capability && std::strcmp(one.name, op.kernel) == 0;
  });
  choice.why = measured == end ? "not measured" : "measured";
  if (measured != end && measured->from > 0 && cubin) choice.cubin = cubin, choice.from = measured->from;
  return {};
}

}  // namespace ts::cuda
