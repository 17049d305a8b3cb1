// SPDX-License-Identifier: Apache-2.0
// pose — one frame's controls to world-space Gaussians: corrective shapes, joints, blendshapes, linear-blend skinning,
// then the binding.
//
// Maths    python/authoring/FORMAT.md, "How a frame is posed"; math/quat.h, math/triangle_axes.h, math/affine.h
// Launch   move_joints() on the calling thread in float64; then blocks of 16 vertices, of 16 triangles, of 16 Gaussians
// Layout   a block holds its own list of shapes and of joints, each with 16 values side by side, so that a frame
//          streams contiguous memory, a lane is a vertex, and a shape of weight 0 costs one branch per block it touches
// Writes   position_w always; rows.mean always; rows.quat where there are axes; rows.scale for triangles. What is not
//          written is constant over frames: the caller fills it once. Opacity and colour are never written
// Axes     what a Gaussian's local coordinates are in: a triangle's three directions times its size, about its centre;
//          or a vertex's blend of its joints' matrices, about the vertex
// Order    deterministic: every block is computed by one thread, in one order
// Edges    n = 0 and v = 0 write nothing; degenerate triangles give finite axes and unit quaternions; values that
//          overflow become infinite and are culled by project
// Oracle   tests/reference/pose.py      Bench  bench/ops/bench_pose.py
#pragma once
#include <cstdint>

#include "core/status.h"
#include "math/target.h"
#include "ops/gaussians.h"

namespace ts {

constexpr int kPoseBlock = 16;  // a multiple of kLanes of every target
constexpr int kPoseLocal = 10;  // floats of a bound Gaussian: mean xyz, quat wxyz, scale xyz

TS_INLINE constexpr int64_t pose_blocks(int64_t rows) { return (rows + kPoseBlock - 1) / kPoseBlock; }

// Vertices are in slots, an order that keeps blocks compact. Lanes past v are zero.
struct PoseMesh {
  int64_t v = 0, s = 0;
  const float* rest = nullptr;           // [blocks][3][16]
  const int64_t* shape_start = nullptr;  // [blocks+1]: block b owns shape_start[b]..shape_start[b+1]-1 of
  const int32_t* shape = nullptr;        //   [.]          shape index
  const float* shape_delta = nullptr;    //   [.][3][16]   per unit weight
  const int64_t* skin_start = nullptr;   // [blocks+1], likewise of
  const int32_t* skin_joint = nullptr;   //   [.]          joint index
  const float* skin_weight = nullptr;    //   [.][16]
};

struct PoseSkeleton {
  int64_t j = 0;                        // 0: no skinning
  const int32_t* parent = nullptr;      // [j], -1 or < own index
  const float* rest_local = nullptr;    // [j,3,4] parent_from_joint at rest
  const float* inverse_bind = nullptr;  // [j,3,4] joint_from_mesh at rest
  const float* shape_delta = nullptr;   // [s,j,3]; nullptr: joints do not depend on shapes
  int64_t n_pose_joints = 0;            // joints whose rotation drives corrective shapes
  int64_t pose_shape_first = 0;         // 9 shapes per pose joint from here
  const int32_t* pose_joint = nullptr;  // [n_pose_joints]
};

enum class PoseFollow {
  kNothing,         // mean_w = local mean + translation
  kTriangle,        // the axes and the size of a triangle
  kVertexAxes,      // a vertex and its skin rotation
  kVertexPosition,  // a vertex alone
};

struct PoseBinding {
  int64_t n = 0;
  PoseFollow follow = PoseFollow::kNothing;
  bool inverse_length = false;        // triangle size k = 1/l instead of l
  int64_t n_triangles = 0;            // those that are followed
  const int32_t* triangle = nullptr;  // [blocks][3][16] vertex slots
  const int32_t* index = nullptr;     // [16 * blocks of n] triangle or vertex slot; unused for kNothing
  const float* local = nullptr;       // [blocks of n][10][16]
};

// Triangles or vertices whose axes a frame needs: rows of PoseArgs::axes, before padding.
inline int64_t axes_of(const PoseBinding& binding, const PoseMesh& mesh) {
  if (binding.follow == PoseFollow::kTriangle) return binding.n_triangles;
  return binding.follow == PoseFollow::kVertexAxes ? mesh.v : 0;
}

// What a frame's control asks of the rig.
struct PoseControl {
  float* weight = nullptr;                    // [s]; the op overwrites those of pose shapes
  const double* joint_quat = nullptr;         // [j,4] wxyz, unit; after the rest rotation
  const double* joint_translation = nullptr;  // [j,3] added to the rest translation
  float translation[3] = {0, 0, 0};           // of everything, after skinning
};

struct PoseArgs {
  PoseMesh mesh;
  PoseSkeleton skeleton;
  PoseBinding binding;
  PoseControl control;

  // scratch
  double* joint_delta = nullptr;       // [j,3]; only with skeleton.shape_delta
  double* world_from_joint = nullptr;  // [j,3,4]
  float* world_from_mesh = nullptr;    // [j,3,4] what skinning blends

  // out; rows are padded to whole blocks
  float* position_w = nullptr;  // [slots,4] x y z 0
  float* axes = nullptr;        // [3][a,4] rows of [matrix | origin]; a: triangles or vertex slots
  float* axes_quat = nullptr;   // [a,4]
  float* axes_size = nullptr;   // [a]; triangles only
  GaussianRows rows;            // [n] world
};

Status check(const PoseArgs& args);

// What is done before any vertex moves, the same for every backend: corrective shapes get their weights from the
// joints' rotations, shapes move the joints, and the joints' chains give world_from_joint and world_from_mesh. Some
// hundred floating-point operations a joint, in float64.
void move_joints(const PoseArgs& args);

}  // namespace ts
