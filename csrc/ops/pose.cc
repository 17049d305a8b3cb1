// SPDX-License-Identifier: Apache-2.0
#include "ops/pose.h"

#include <algorithm>

#include "math/affine.h"

namespace ts {
namespace {

Status missing(const char* name, const char* size) {
  return error(StatusCode::kInvalidArgument, "pose: %s must point to %s; got NULL.", name, size);
}

// Shape index first + 9 j + e gets entry e of R(pose joint j) - I.
void drive_pose_shapes(const PoseArgs& a) {
  const PoseSkeleton& skeleton = a.skeleton;
  for (int64_t i = 0; i < skeleton.n_pose_joints; ++i) {
    double r[9];
    rotation_of(a.control.joint_quat + 4 * int64_t{skeleton.pose_joint[i]}, r);
    for (int e = 0; e < 9; ++e) {
      a.control.weight[skeleton.pose_shape_first + 9 * i + e] = static_cast<float>(r[e] - (e % 4 == 0 ? 1.0 : 0.0));
    }
  }
}

void move_joints_by_shapes(const PoseArgs& a) {
  const int64_t n = 3 * a.skeleton.j;
  std::fill(a.joint_delta, a.joint_delta + n, 0.0);
  for (int64_t shape = 0; shape < a.mesh.s; ++shape) {
    const double weight = a.control.weight[shape];
    if (weight == 0.0) continue;
    const float* delta = a.skeleton.shape_delta + shape * n;
    for (int64_t i = 0; i < n; ++i) a.joint_delta[i] += weight * delta[i];
  }
}

Affine affine_of(const float* m) {
  Affine a;
  std::copy(m, m + 12, a.m);
  return a;
}

void chain_joints(const PoseArgs& a) {
  const PoseSkeleton& skeleton = a.skeleton;
  for (int64_t joint = 0; joint < skeleton.j; ++joint) {
    const int64_t parent = skeleton.parent[joint];
    Affine rest = affine_of(skeleton.rest_local + 12 * joint);
    Affine mesh = affine_of(skeleton.inverse_bind + 12 * joint);
    for (int axis = 0; axis < 3; ++axis) {
      double& translation = rest.m[4 * axis + 3];
      translation += a.control.joint_translation[3 * joint + axis];
      if (!skeleton.shape_delta) continue;
      const double delta = a.joint_delta[3 * joint + axis];
      translation += delta - (parent < 0 ? 0.0 : a.joint_delta[3 * parent + axis]);
      mesh.m[4 * axis + 3] -= delta;
    }
    double r[9];
    rotation_of(a.control.joint_quat + 4 * joint, r);
    const Affine turn = {{r[0], r[1], r[2], 0, r[3], r[4], r[5], 0, r[6], r[7], r[8], 0}};
    Affine world = compose(rest, turn);
    if (parent >= 0) {
      Affine world_from_parent;
      std::copy(a.world_from_joint + 12 * parent, a.world_from_joint + 12 * parent + 12, world_from_parent.m);
      world = compose(world_from_parent, world);
    }
    std::copy(world.m, world.m + 12, a.world_from_joint + 12 * joint);
    const Affine skin = compose(world, mesh);
    for (int i = 0; i < 12; ++i) a.world_from_mesh[12 * joint + i] = static_cast<float>(skin.m[i]);
  }
}

}  // namespace

Status check(const PoseArgs& a) {
  const PoseMesh& mesh = a.mesh;
  const PoseSkeleton& skeleton = a.skeleton;
  const PoseBinding& binding = a.binding;
  if (mesh.v < 0 || mesh.s < 0 || skeleton.j < 0 || skeleton.n_pose_joints < 0 || binding.n < 0 ||
      binding.n_triangles < 0) {
    return error(StatusCode::kInvalidArgument, "pose: counts must be >= 0; got v=%lld s=%lld j=%lld n=%lld.",
                 static_cast<long long>(mesh.v), static_cast<long long>(mesh.s), static_cast<long long>(skeleton.j),
                 static_cast<long long>(binding.n));
  }
  if (skeleton.n_pose_joints > 0 &&
      (skeleton.pose_shape_first < 0 || skeleton.pose_shape_first + 9 * skeleton.n_pose_joints > mesh.s)) {
    return error(StatusCode::kInvalidArgument,
                 "pose: the %lld pose joints need 9 shapes each from shape %lld on; the mesh has %lld shapes.",
                 static_cast<long long>(skeleton.n_pose_joints), static_cast<long long>(skeleton.pose_shape_first),
                 static_cast<long long>(mesh.s));
  }
  if (mesh.v > 0 && !mesh.rest) return missing("mesh.rest", "[blocks,3,16]");
  if (mesh.v > 0 && (!mesh.shape_start || !mesh.skin_start)) return missing("mesh.*_start", "[blocks+1]");
  if (mesh.v > 0 && !a.position_w) return missing("position_w", "[16*blocks,4]");
  if (mesh.s > 0 && !a.control.weight) return missing("weight", "[s]");
  if (skeleton.j > 0 && (!a.control.joint_quat || !a.control.joint_translation))
    return missing("joint_*", "[j,4] and [j,3]");
  if (skeleton.j > 0 && (!a.world_from_joint || !a.world_from_mesh)) return missing("world_from_*", "[j,3,4]");
  if (skeleton.shape_delta && !a.joint_delta) return missing("joint_delta", "[j,3]");
  const bool turns = binding.follow == PoseFollow::kTriangle || binding.follow == PoseFollow::kVertexAxes;
  if (binding.n > 0 && (!binding.local || !a.rows.mean)) return missing("binding.local and rows.mean", "[n] rows");
  if (binding.n > 0 && turns && (!a.axes || !a.axes_quat || !a.rows.quat))
    return missing("axes and rows.quat", "[n] rows");
  if (binding.follow == PoseFollow::kVertexAxes && skeleton.j == 0) {
    return error(StatusCode::kInvalidArgument,
                 "pose: Gaussians that follow vertex axes need joints; got j=0. Follow the position instead.");
  }
  return {};
}

void move_joints(const PoseArgs& args) {
  drive_pose_shapes(args);
  if (args.skeleton.shape_delta) move_joints_by_shapes(args);
  chain_joints(args);
}

}  // namespace ts
