// SPDX-License-Identifier: Apache-2.0
#include "cuda/triton.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "core/text.h"
#include "kernels/cuda/deform.h"

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

constexpr auto kDeviceError = StatusCode::kDeviceError;

}  // namespace

std::string DeformChoice::in_words() const {
  std::string words = !cubin             ? "cuda"
                      : from_frames <= 1 ? "triton"
                                         : "cuda, triton from " + std::to_string(from_frames);
  if (cubin && from_frames > 1) words += " frames at once";
  return words + ", " + why;
}

Status choose_deform(int capability, const char* pinned, DeformChoice& choice) {
  choice = {};
  const bool to_triton = pinned && std::strcmp(pinned, "triton") == 0;
  if (pinned && !to_triton && std::strcmp(pinned, "cuda") != 0) {
    return error(kDeviceError,
                 "cuda: TALKSPLAT_DEFORM must be cuda or triton; got %s. Unset it to choose by what was measured.",
                 quoted(pinned).c_str());
  }
  const TritonCubin* cubins_end = kTritonCubins + kTritonCubinCount;
  const TritonCubin* cubin =
      std::find_if(kTritonCubins, cubins_end, [&](const TritonCubin& one) { return one.capability == capability; });
  if (pinned) {
    choice.why = "TALKSPLAT_DEFORM";
    if (!to_triton) return {};
    if (kTritonCubinCount == 0) return error(kDeviceError, "cuda: TALKSPLAT_DEFORM is triton, but %s", kTritonWhyNone);
    if (cubin == cubins_end) {
      return error(
          kDeviceError,
          "cuda: TALKSPLAT_DEFORM is triton, but this build's Triton kernels are for %s, and this GPU is sm_%d. "
          "Unset it, or set it to cuda.",
          kTritonContents, capability);
    }
    choice.cubin = cubin, choice.from_frames = 1;
    return {};
  }
  const TritonMeasured* end = kTritonMeasured + kTritonMeasuredCount;
  const TritonMeasured* measured =
      std::find_if(kTritonMeasured, end, [&](const TritonMeasured& one) { return one.capability == capability; });
  choice.why = measured == end ? "not measured" : "measured";
  if (measured != end && measured->from_frames > 0 && cubin != cubins_end)
    choice.cubin = cubin, choice.from_frames = measured->from_frames;
  return {};
}

}  // namespace ts::cuda
