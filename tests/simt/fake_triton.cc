// SPDX-License-Identifier: Apache-2.0
// The table of kernels/triton in builds for tests without nvcc: kernels that the fake driver stands in for. On sm_80
// nobody has measured which kernel is faster, on sm_86 Triton's never is, on sm_90 from three frames on.
#include "cuda/triton.h"

namespace ts::cuda {

const unsigned char kTritonImages[1] = {};
const TritonCubin kTritonCubins[] = {{80, "deform_layers_kernel", 128, 16384, 0},
                                     {86, "deform_layers_kernel", 128, 16384, 0},
                                     {90, "deform_layers_kernel", 128, 8192, 0}};
const size_t kTritonCubinCount = 3;
const TritonMeasured kTritonMeasured[] = {{86, 0}, {90, 3}};
const size_t kTritonMeasuredCount = 2;
const char* const kTritonContents = "sm_80, sm_86, sm_90, by nobody";
const char* const kTritonWhyNone = "";

}  // namespace ts::cuda
