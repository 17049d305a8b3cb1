// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/cuda/job.h"
#include "ops/pose.h"

namespace ts::cuda {

constexpr int kPoseThreads = 128;                              // of all three kernels
constexpr int kPoseVertices = kPoseThreads / 32 * kPoseBlock;  // slots of a thread block of pose_vertices: 16 a warp

// A frame: arrays as in ops/pose.h, on the device, each aligned to 16 bytes. The host has moved the joints (move_joints),
// and has filled once, for all frames, the rows of quat and scale that no kernel writes.
struct PoseJob {
  int64_t v_slots;  // of vertices, whole blocks of kPoseBlock
  int64_t a_slots;  // of axes rows, likewise; 0: none
  int64_t n;        // Gaussians
  PoseFollow follow;
  int32_t skinned, inverse_length;
  float translation[3];
  const float* weight;           // [s]
  const float* world_from_mesh;  // [j,3,4]
  const float* rest;
  const int64_t* shape_start;
  const int32_t* shape;
  const float* shape_delta;
  const int64_t* skin_start;
  const int32_t* skin_joint;
  const float* skin_weight;
  const int32_t* triangle;
  const int32_t* index;
  const float* local;
  float* position_w;  // [v_slots,4]                                            (out)
  float* axes;        // [3][a_slots,4]                                         (out)
  float* axes_quat;   // [a_slots,4]                                            (out)
  float* axes_size;   // [a_slots]; triangles only                              (out)
  float* mean;        // [n,3]                                                  (out)
  float* quat;        // [n,4]                                                  (out, where they follow axes)
  float* scale;       // [n,3]                                                  (out, where they follow triangles)
};

}  // namespace ts::cuda
