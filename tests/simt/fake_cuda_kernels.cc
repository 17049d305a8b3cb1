// SPDX-License-Identifier: Apache-2.0
#include "simt/fake_cuda_kernels.h"

#include "kernels/cuda/device.h"
//
#include "kernels/cuda/bin.cu"
#include "kernels/cuda/blend.cu"
#include "kernels/cuda/deform.cu"
#include "kernels/cuda/dilate.cu"
#include "kernels/cuda/encode.cu"
#include "kernels/cuda/list.h"
#include "kernels/cuda/peak.cu"
#include "kernels/cuda/pose.cu"
#include "kernels/cuda/project.cu"
#include "kernels/cuda/sort.cu"

namespace {

template <class Args, void (*kKernel)(const Args)>
void run(const void* argument) {
  kKernel(*static_cast<const Args*>(argument));
}

}  // namespace

using namespace ts::cuda;

const FakeKernel kFakeKernels[] = {
#define TS_ENTRY(kernel, ...) {#kernel, sizeof(__VA_ARGS__), &run<__VA_ARGS__, &kernel>},
    TS_CUDA_KERNELS(TS_ENTRY)
#undef TS_ENTRY
};
const int kFakeKernelCount = sizeof kFakeKernels / sizeof *kFakeKernels;
