// SPDX-License-Identifier: Apache-2.0
#include "cuda/pose.h"

#include <algorithm>
#include <vector>

namespace ts::cuda {
namespace {

int64_t slots_of(int64_t rows) { return kPoseBlock * pose_blocks(rows); }

bool moves_quat(const PoseBinding& binding) {
  return binding.follow == PoseFollow::kTriangle || binding.follow == PoseFollow::kVertexAxes;
}
bool moves_scale(const PoseBinding& binding) { return binding.follow == PoseFollow::kTriangle; }

// visit(array on the device, array on the host, its length) for all that is uploaded as it lies.
template <class Visit>
Status each_array(PoseRig& rig, const ModelView& view, const Visit& visit) {
  const PoseMesh& mesh = view.mesh;
  const PoseBinding& binding = view.binding;
  const int64_t blocks = pose_blocks(mesh.v), bound = pose_blocks(binding.n);
  if (blocks > 0) {
    const int64_t shapes = mesh.shape_start[blocks], skins = mesh.skin_start[blocks];
    TS_RETURN_IF_ERROR(visit(rig.rest, mesh.rest, blocks * 3 * kPoseBlock));
    TS_RETURN_IF_ERROR(visit(rig.shape_start, mesh.shape_start, blocks + 1));
    TS_RETURN_IF_ERROR(visit(rig.shape, mesh.shape, shapes));
    TS_RETURN_IF_ERROR(visit(rig.shape_delta, mesh.shape_delta, shapes * 3 * kPoseBlock));
    TS_RETURN_IF_ERROR(visit(rig.skin_start, mesh.skin_start, blocks + 1));
    TS_RETURN_IF_ERROR(visit(rig.skin_joint, mesh.skin_joint, skins));
    TS_RETURN_IF_ERROR(visit(rig.skin_weight, mesh.skin_weight, skins * kPoseBlock));
  }
  if (binding.follow == PoseFollow::kTriangle)
    TS_RETURN_IF_ERROR(visit(rig.triangle, binding.triangle, pose_blocks(binding.n_triangles) * 3 * kPoseBlock));
  if (binding.follow != PoseFollow::kNothing) TS_RETURN_IF_ERROR(visit(rig.index, binding.index, bound * kPoseBlock));
  return visit(rig.local, binding.local, bound * kPoseLocal * kPoseBlock);
}

}  // namespace

void PoseRig::place(Layout& layout, const ModelView& view) {
  const auto take = [&](auto*& device, const auto*, int64_t n) -> Status {
    device = layout.take<std::remove_reference_t<decltype(*device)>>(static_cast<uint64_t>(n));
    return {};
  };
  static_cast<void>(each_array(*this, view, take));  // taking does not fail
  const auto n = static_cast<uint64_t>(view.binding.n);
  quat = moves_quat(view.binding) ? nullptr : layout.take<float>(4 * n);
  scale = moves_scale(view.binding) ? nullptr : layout.take<float>(3 * n);
}

Status PoseRig::upload(const Stream& stream, const ModelView& view) const {
  PoseRig to = *this;
  const auto copy = [&](auto* device, const auto* host, int64_t n) {
    return stream.upload(device, host, static_cast<uint64_t>(n) * sizeof *host);
  };
  TS_RETURN_IF_ERROR(each_array(to, view, copy));
  // Columns of `local` as rows.
  const auto upload_rows = [&](float* device, int first, int columns) -> Status {
    if (!device) return {};
    std::vector<float> rows(static_cast<size_t>(view.binding.n) * static_cast<size_t>(columns));
    for (int64_t i = 0; i < view.binding.n; ++i) {
      const float* local = view.binding.local + i / kPoseBlock * kPoseLocal * kPoseBlock + i % kPoseBlock;
      for (int c = 0; c < columns; ++c) rows[static_cast<size_t>(i * columns + c)] = local[(first + c) * kPoseBlock];
    }
    return stream.upload(device, rows.data(), rows.size() * sizeof(float));
  };
  TS_RETURN_IF_ERROR(upload_rows(quat, 3, 4));
  return upload_rows(scale, 7, 3);
}

void PosedRows::place(Layout& layout, const ModelView& view, const PoseRig& rig) {
  const PoseBinding& binding = view.binding;
  const auto floats = [&](int64_t rows, int columns) {
    return layout.take<float>(static_cast<uint64_t>(slots_of(rows)) * static_cast<uint64_t>(columns));
  };
  const int64_t axes_rows = axes_of(binding, view.mesh);
  position_w = floats(view.mesh.v, 4);
  axes = floats(axes_rows, 3 * 4);
  axes_quat = floats(axes_rows, 4);
  if (binding.follow == PoseFollow::kTriangle) axes_size = floats(axes_rows, 1);
  mean = floats(binding.n, 3);
  quat = rig.quat ? rig.quat : floats(binding.n, 4);
  scale = rig.scale ? rig.scale : floats(binding.n, 3);
}

PoseJoints::PoseJoints(const ModelView& view) {
  const auto j = static_cast<size_t>(view.skeleton.j);
  if (view.skeleton.shape_delta) joint_delta_.reserve(3 * j);
  world_from_joint_.reserve(12 * j);
}

Status PoseJoints::write_job(const PoseControl& control, const ModelView& view, const PoseRig& rig,
                             const PosedRows& rows, JobCursor& cursor) {
  const PoseMesh& mesh = view.mesh;
  const PoseBinding& binding = view.binding;
  PoseJob& job = cursor.host.pose[cursor.frame];
  job = {};
  float* weight = cursor.take_control(mesh.s, &job.weight);
  float* world_from_mesh = cursor.take_control(12 * view.skeleton.j, &job.world_from_mesh);

  PoseArgs args;
  args.mesh = mesh, args.skeleton = view.skeleton, args.binding = binding, args.control = control;
  args.joint_delta = joint_delta_.data(), args.world_from_joint = world_from_joint_.data();
  args.world_from_mesh = world_from_mesh;
  args.position_w = rows.position_w;
  args.axes = rows.axes, args.axes_quat = rows.axes_quat, args.axes_size = rows.axes_size;
  args.rows.mean = rows.mean, args.rows.quat = rows.quat, args.rows.scale = rows.scale;
  TS_RETURN_IF_ERROR(check(args));
  move_joints(args);
  std::copy(control.weight, control.weight + mesh.s, weight);

  job.v_slots = slots_of(mesh.v), job.a_slots = slots_of(axes_of(binding, mesh));
  job.n = binding.n;
  job.follow = binding.follow;
  job.skinned = view.skeleton.j > 0, job.inverse_length = binding.inverse_length;
  std::copy(control.translation, control.translation + 3, job.translation);
  job.rest = rig.rest;
  job.shape_start = rig.shape_start, job.shape = rig.shape, job.shape_delta = rig.shape_delta;
  job.skin_start = rig.skin_start, job.skin_joint = rig.skin_joint, job.skin_weight = rig.skin_weight;
  job.triangle = rig.triangle, job.index = rig.index, job.local = rig.local;
  job.position_w = rows.position_w;
  job.axes = rows.axes, job.axes_quat = rows.axes_quat, job.axes_size = rows.axes_size;
  job.mean = rows.mean, job.quat = rows.quat, job.scale = rows.scale;
  return {};
}

void add_pose(const ModelView& view, Extents& extents) {
  extents.vertices = slots_of(view.mesh.v);
  extents.triangles = view.binding.follow == PoseFollow::kTriangle ? slots_of(view.binding.n_triangles) : 0;
  extents.gaussians = view.binding.n;
  extents.control_bytes +=
      JobCursor::control_bytes<float>(view.mesh.s) + JobCursor::control_bytes<float>(12 * view.skeleton.j);
}

Status launch_pose(const Stream& stream, const Extents& extents, const DrawJobs& jobs) {
  const Kernels& kernels = stream.device().kernels();
  const Jobs<PoseJob> args{jobs.pose};
  const auto launch = [&](const Kernel<Jobs<PoseJob>>& kernel, int64_t rows, int rows_per_block) {
    return stream.launch(kernel, (rows + rows_per_block - 1) / rows_per_block, extents.frames, kPoseThreads, args);
  };
  TS_RETURN_IF_ERROR(launch(kernels.pose_vertices_kernel, extents.vertices, kPoseVertices));
  TS_RETURN_IF_ERROR(launch(kernels.pose_triangles_kernel, extents.triangles, kPoseThreads));
  return launch(kernels.pose_gaussians_kernel, extents.gaussians, kPoseThreads);
}

}  // namespace ts::cuda
