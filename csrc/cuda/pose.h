// SPDX-License-Identifier: Apache-2.0
// pose on the GPU: joints move on the host, in float64 (ops/pose.h), then kernels/cuda/pose.cu.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "core/status.h"
#include "cuda/jobs.h"
#include "cuda/stream.h"
#include "ops/backend.h"
#include "ops/pose.h"

namespace ts::cuda {

// A model's rig in the GPU's memory.
struct PoseRig {
  float* rest = nullptr;
  int64_t* shape_start = nullptr;
  int32_t* shape = nullptr;
  float* shape_delta = nullptr;
  int64_t* skin_start = nullptr;
  int32_t* skin_joint = nullptr;
  float* skin_weight = nullptr;
  int32_t *triangle = nullptr, *index = nullptr;
  float* local = nullptr;
  // [n,4] and [n,3] as bound: of Gaussians that keep theirs; nullptr where pose writes them for every frame.
  float *quat = nullptr, *scale = nullptr;

  void place(Layout& layout, const ModelView& view);
  // Pageable memory of the view may be gone when this returns.
  Status upload(const Stream& stream, const ModelView& view) const;
};

// One frame's posed mesh and Gaussians in the GPU's memory, rows padded to whole blocks.
struct PosedRows {
  float *position_w = nullptr, *axes = nullptr, *axes_quat = nullptr, *axes_size = nullptr;
  float *mean = nullptr, *quat = nullptr, *scale = nullptr;

  void place(Layout& layout, const ModelView& view, const PoseRig& rig);
};

// What moving the joints needs on the host.
class PoseJoints {
 public:
  explicit PoseJoints(const ModelView& view);
  // Moves them and writes the frame's job.
  Status write_job(const PoseControl& control, const ModelView& view, const PoseRig& rig, const PosedRows& rows,
                   JobCursor& cursor);
  uint64_t bytes() const { return joint_delta_.bytes() + world_from_joint_.bytes(); }

 private:
  Buffer<double> joint_delta_, world_from_joint_;
};

// Adds a frame's rows and bytes of control to the extents.
void add_pose(const ModelView& view, Extents& extents);

Status launch_pose(const Stream& stream, const Extents& extents, const DrawJobs& jobs);

}  // namespace ts::cuda
