// SPDX-License-Identifier: Apache-2.0
// The kernels of kernels/triton in this build, and on which GPU which of them computes the layers of deform programs in
// fast precision in the place of kernels/cuda/deform.cu. Where no machine has measured it, none: the hand-written kernel
// is the default, and TALKSPLAT_DEFORM=cuda|triton pins one of the two.
//
// Bits       a frame's are the same alone and in a batch where one kernel computes both: where from_frames is above 1, the
//            two are apart by what halves round
// Cubins     run on their own architecture alone
// Jobs       are those of the hand-written kernel: kernels/triton/deform.py says what a launch computes,
//            kernels/cuda/deform.h how everything lies
#pragma once
#include <cstddef>
#include <string>

#include "core/status.h"

namespace ts::cuda {

constexpr int kTritonGroups = 2;  // that a block of deform_layers_kernel has

struct TritonCubin {
  int capability;    // 90 is 9.0
  const char* name;  // of its kernel
  int threads;       // of a block
  int shared_bytes;  // dynamic
  size_t at;         // in kTritonImages
};
// From how many frames in a draw on Triton's kernel is the faster one on these GPUs, as `make gpu-check` measured.
struct TritonMeasured {
  int capability;
  int from_frames;  // 0: never
};

// kernels/triton/aot.py makes the file that defines these, or cmake/no_triton.cc.in stands in for it.
extern const unsigned char kTritonImages[];
extern const TritonCubin kTritonCubins[];
extern const size_t kTritonCubinCount;  // 0: there are none
extern const TritonMeasured kTritonMeasured[];
extern const size_t kTritonMeasuredCount;
extern const char* const kTritonContents;  // "sm_80, ..., by Triton 3.9.0"; "": no kernels
extern const char* const kTritonWhyNone;   // one sentence; "" where there are kernels

// What computes deform programs on a GPU.
struct DeformChoice {
  const TritonCubin* cubin = nullptr;  // nullptr: the hand-written kernel computes all draws
  int from_frames = 0;                 // draws of so many frames and more are Triton's
  const char* why = "";                // "measured", "not measured", "TALKSPLAT_DEFORM"

  bool is_triton(int64_t frames) const { return cubin && frames >= from_frames; }
  std::string in_words() const;  // "cuda, not measured"
};

// pinned: TALKSPLAT_DEFORM; Nullable. kDeviceError where it names no kernel, or one that this build or GPU has not.
Status choose_deform(int capability, const char* pinned, DeformChoice& choice);

}  // namespace ts::cuda
