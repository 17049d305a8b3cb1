// SPDX-License-Identifier: Apache-2.0
// The table of kernels/triton in builds for tests without nvcc: kernels that the fake driver stands in for. On sm_80
// nobody has measured which kernel is faster, on sm_86 Triton's never are, on sm_90 from three frames and from six towers on.
#include "cuda/triton.h"

namespace ts::cuda {

const unsigned char kTritonImages[1] = {};
const TritonCubin kTritonCubins[] = {{80, "deform_layers_kernel", 128, 16384, 0},
                                     {86, "deform_layers_kernel", 128, 16384, 0},
                                     {90, "deform_layers_kernel", 128, 8192, 0},
                                     {80, "encode_rows_kernel", 256, 24576, 0},
                                     {90, "encode_rows_kernel", 256, 24576, 0}};
const size_t kTritonCubinCount = 5;
const TritonMeasured kTritonMeasured[] = {{"deform_layers_kernel", 86, 0},
                                          {"encode_rows_kernel", 86, 0},
                                          {"deform_layers_kernel", 90, 3},
                                          {"encode_rows_kernel", 90, 6}};
const size_t kTritonMeasuredCount = 4;
const char* const kTritonContents = "sm_80, sm_86, sm_90, by nobody";
const char* const kTritonWhyNone = "";

}  // namespace ts::cuda
