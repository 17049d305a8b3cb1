// SPDX-License-Identifier: Apache-2.0
// deform on the CPU: the condition and what depends on it alone on the calling thread, then blocks of all branches on all
// threads.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "cpu/deform_plan.h"
#include "ops/deform.h"

namespace ts {

struct KernelTable;

// What the kernel needs of one branch in one frame.
struct DeformBlocks {
  const DeformPlan* plan = nullptr;
  const float* frame = nullptr;  // [plan.frame_floats]
  GaussianView in;               // of the branch's rows
  GaussianRows rows;             // likewise; nullptr: not wanted
  const float* eye_w = nullptr;  // [3]; Nullable: SH is written as coefficients
};

// Blocks first..last-1. scratch: [plan.scratch_words], the calling thread's.
using DeformKernel = void (*)(const DeformBlocks& args, int64_t first, int64_t last, float* scratch);

struct DeformKernels {
  DeformKernel fp32 = nullptr;
  DeformKernel bf16 = nullptr;                   // Nullable: float32 is no slower here
  DeformPacking packing = DeformPacking::kFp32;  // of bf16
  // Products from registers alone, `turns` times; returns the FLOPs. What the others are measured against.
  int64_t (*fp32_peak)(int64_t turns) = nullptr;
  int64_t (*bf16_peak)(int64_t turns) = nullptr;  // Nullable, as bf16
  int outputs = 0;                                // outputs that kFp32 and kPairs compute at a time
};

// A program as one instruction set runs it: constant, shared by frames. Nothing for a program of no branches.
class CpuDeform {
 public:
  CpuDeform(const DeformProgram& program, const GaussianView& at_rest, const KernelTable& kernels,
            DeformPrecision precision);

  const std::vector<DeformPlan>& branches() const { return branches_; }
  const DeformProgram& program() const { return *program_; }
  const KernelTable& kernels() const { return kernels_; }
  DeformKernel kernel() const { return kernel_; }
  int64_t scratch_words() const;
  uint64_t bytes() const;

 private:
  const DeformProgram* program_;
  const KernelTable& kernels_;
  DeformKernel kernel_;
  std::vector<DeformPlan> branches_;
};

// What a frame of a program changes.
class DeformFrame {
 public:
  explicit DeformFrame(const CpuDeform& deform);
  uint64_t bytes() const { return condition_.bytes() + packed_.bytes(); }

  // out: the Gaussians after the program: the view that came in for a program of no branches, which moves and copies
  // nothing. Rows of args that no branch adds to may be nullptr. scratch: of each of the pool's threads.
  Status run(const DeformArgs& args, const CpuDeform& deform, ThreadPool& pool, std::vector<Buffer<float>>& scratch,
             GaussianView& out);

 private:
  Buffer<float> condition_, packed_;
};

}  // namespace ts
