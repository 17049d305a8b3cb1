// SPDX-License-Identifier: Apache-2.0
// The GPU kernels of this build: kernels/cuda/*.cu as nvcc compiled them, for every architecture, in one image.
// cmake/kernels.cmake makes the file that defines these, from fatbin.cc.in or no_fatbin.cc.in beside it.
#pragma once
#include <cstddef>

namespace ts::cuda {

extern const unsigned char kFatbin[];      // where there are no kernels, 64 bytes of 0, which the driver refuses
extern const size_t kFatbinBytes;          // 0: there are no kernels
extern const int kFatbinCudaVersion;       // of the toolkit, as the driver numbers it: 13000 is 13.0; 0: no kernels
extern const char* const kFatbinContents;  // "sm_75, sm_80, ..., compute_120, by nvcc 13.0.88"; "": no kernels
extern const char* const kFatbinWhyNone;   // one sentence; "" where there are kernels

}  // namespace ts::cuda
