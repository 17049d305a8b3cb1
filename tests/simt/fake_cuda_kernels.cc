// SPDX-License-Identifier: Apache-2.0
#include "simt/fake_cuda_kernels.h"

#include "kernels/cuda/device.h"
//
#include "cuda/triton.h"
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

using namespace ts::cuda;

// In the place of kernels/triton/deform.py, a group for each of a block's first warps: the steps of deform_fast_kernel,
// values in DeformJob::scratch, and what is added to SH kept too.
void run_deform_layers(const void* argument) {
  const DeformJob& job = (*static_cast<const DeformJob* const*>(argument))[blockIdx.y];
  const int warp_of_block = static_cast<int>(threadIdx.x) / 32;
  const int group = static_cast<int>(blockIdx.x) * kTritonGroups + warp_of_block;
  if (warp_of_block >= kTritonGroups || int64_t{group} * deform::Fast::kRows >= job.layout.n) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const deform::Warp warp{job, job.scratch + int64_t{group} * job.layout.kept, group, lane};
  const auto* steps = reinterpret_cast<const DeformStep*>(job.constant + job.layout.steps);
  for (int i = 0; i < job.layout.n_steps; ++i) {
    DeformStep step = steps[i];
    if (step.kind == DeformStepKind::kSoftmax) {
      deform::softmax<deform::Fast>(warp, step);
    } else if (step.kind == DeformStepKind::kNorm) {
      deform::norm<deform::Fast>(warp, step);
    } else if (step.kind == DeformStepKind::kTanh) {
      deform::tanh_of<deform::Fast>(warp, step);
    } else if (step.kind == DeformStepKind::kSh) {
      step.kind = DeformStepKind::kColumns, step.columns = job.layout.sh_added;
      float head[deform::Fast::kHeight][deform::kOctet] = {};
      for (int square = 0; square * kDeformSquare < step.outputs; ++square)
        deform::layer_squares<deform::Fast, 1>(warp, step, square, head);
    } else {
      deform::layer<deform::Fast>(warp, step);
    }
    __syncwarp();
  }
}

// In the place of kernels/triton/encode.py: the jobs of a block one after the other.
void run_encode_rows(const void* argument) {
  const EncodeJob* job = *static_cast<const EncodeJob* const*>(argument) + int64_t{blockIdx.y} * kTritonRows;
  for (int row = 0; row < kTritonRows; ++row, ++job) {
    if (job->tower) encode::run(*job);
    __syncthreads();
  }
}

}  // namespace

const FakeKernel kFakeKernels[] = {
#define TS_ENTRY(kernel, ...) {#kernel, sizeof(__VA_ARGS__), &run<__VA_ARGS__, &kernel>},
    TS_CUDA_KERNELS(TS_ENTRY)
#undef TS_ENTRY
        {"deform_layers_kernel", sizeof(void*), &run_deform_layers, 2},
    {"encode_rows_kernel", sizeof(void*), &run_encode_rows, 2},
};
const int kFakeKernelCount = sizeof kFakeKernels / sizeof *kFakeKernels;
