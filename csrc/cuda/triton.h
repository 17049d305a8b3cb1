// SPDX-License-Identifier: Apache-2.0
// The kernels of kernels/triton in this build, and on which GPU which of them computes what in the place of a kernel of
// kernels/cuda. Where no machine has measured it, none: the hand-written kernel is the default, and an environment
// variable, TALKSPLAT_DEFORM=cuda|triton or TALKSPLAT_ENCODE, pins one of the two.
//
// Bits       a frame's or a stream's are the same alone and in a batch where one kernel computes both: where `from` is
//            above 1, the two are apart by what halves or float32 round
// Cubins     run on their own architecture alone
// Jobs       are those of the hand-written kernel: kernels/triton says what a launch computes, kernels/cuda how everything
//            lies
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/status.h"

namespace ts::cuda {

constexpr int kTritonGroups = 2;  // that a block of deform_layers_kernel has
constexpr int kTritonRows = 16;   // jobs that a block of encode_rows_kernel has

struct TritonCubin {
  int capability;    // 90 is 9.0
  const char* name;  // of its kernel
  int threads;       // of a block
  int shared_bytes;  // dynamic
  size_t at;         // in kTritonImages
};
// From how many at once on Triton's kernel is the faster one on these GPUs, as `make gpu-check` measured.
struct TritonMeasured {
  const char* name;  // of the kernel
  int capability;
  int from;  // 0: never
};

// kernels/triton/aot.py makes the file that defines these, or cmake/no_triton.cc.in stands in for it.
extern const unsigned char kTritonImages[];
extern const TritonCubin kTritonCubins[];
extern const size_t kTritonCubinCount;  // 0: there are none
extern const TritonMeasured kTritonMeasured[];
extern const size_t kTritonMeasuredCount;
extern const char* const kTritonContents;  // "sm_80, ..., by Triton 3.9.0"; "": no kernels
extern const char* const kTritonWhyNone;   // one sentence; "" where there are kernels

// A kernel that stands beside a hand-written one.
struct TritonOp {
  const char* kernel;
  const char* variable;  // of the environment, that pins one of the two
  const char* what;      // of which a launch has one or more
};
inline constexpr TritonOp kDeformLayers = {"deform_layers_kernel", "TALKSPLAT_DEFORM", "frames"};
inline constexpr TritonOp kEncodeRows = {"encode_rows_kernel", "TALKSPLAT_ENCODE", "towers"};

// Which of the two computes on a GPU.
struct TritonChoice {
  const TritonCubin* cubin = nullptr;  // nullptr: the hand-written kernel computes everything
  int from = 0;                        // launches of so many and more are Triton's
  const char* why = "";                // "measured", "not measured", or the variable's name
  const char* what = "";

  bool is_triton(int64_t n) const { return cubin && n >= from; }
  std::string in_words() const;  // "cuda, not measured"
};

// Follows the variable, or else what was measured. kDeviceError where it names no kernel, or one that this build or GPU
// has not.
Status choose_kernel(const TritonOp& op, int capability, TritonChoice& choice);

}  // namespace ts::cuda
