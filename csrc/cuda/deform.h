// SPDX-License-Identifier: Apache-2.0
// deform on the GPU: the condition on the host (ops/condition.h), what depends on it alone packed for each draw
// (deform_plan.h), then kernels/cuda/deform.cu, a job for each branch.
#pragma once
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/status.h"
#include "cuda/arena.h"
#include "cuda/deform_plan.h"
#include "cuda/jobs.h"
#include "cuda/stream.h"
#include "ops/backend.h"

namespace ts::cuda {

// A model's deform program in one precision, in the GPU's memory: constant, shared by frames. Nothing for one of no
// branches.
class DeformConstants {
 public:
  explicit DeformConstants(const Device& device) : device_(device), arena_(device, MemoryKind::kDevice) {}
  Status make(const ModelView& view, bool fast);

  const std::vector<DeformPlan>& branches() const { return branches_; }
  const uint4* constant(size_t branch) const { return constants_[branch]; }
  // Draws of some size leave layers and rows to two kernels, with frames' memory in between.
  bool keeps_layers() const { return fast_ && device_.deform_layers().choice.cubin; }
  // Adds a frame's jobs and bytes of control to the extents.
  void add_to(Extents& extents) const;
  uint64_t bytes() const { return arena_.bytes(); }

 private:
  const Device& device_;
  bool fast_ = false;
  std::vector<DeformPlan> branches_;
  std::vector<uint4*> constants_;  // [branches]
  int warps_ = 0;                  // of a block
  Arena arena_;
};

// What a program writes for a frame, in the GPU's memory: rows of all branches; nullptr where none adds to them.
struct DeformedRows {
  float *mean = nullptr, *quat = nullptr, *scale = nullptr, *opacity = nullptr, *color = nullptr;

  void place(Layout& layout, const ModelView& view);
  // The branch's Gaussians, from `first` of all on: posed, but for what it adds to. to_rgb: SH were seen from an eye.
  GaussianView after(const DeformBranch& branch, int64_t first, const GaussianView& posed, bool to_rgb) const;
};

// What a frame of a program needs on the host.
class DeformFrame {
 public:
  DeformFrame(const ModelView& view, const DeformConstants& constants);
  // What layers leave to rows, in the GPU's memory.
  void place(Layout& layout);
  // posed: on the device. eye_w: [3] where SH is seen from; nullptr: it is written as coefficients. cpu: makes the
  // condition.
  void write_jobs(const Backend& cpu, const float* control, const GaussianView& posed, const DeformedRows& rows,
                  const float* eye_w, JobCursor& cursor);
  uint64_t bytes() const { return condition_.bytes() + work_.bytes(); }

 private:
  const DeformProgram& program_;
  const DeformConstants& constants_;
  Buffer<float> condition_, work_;
  std::vector<uint4*> scratch_;  // [branches]; empty where one kernel computes both
};

Status launch_deform(const Stream& stream, const Extents& extents, const DrawJobs& jobs);

}  // namespace ts::cuda
