#include "engine/avatar.h"

#include <algorithm>
#include <chrono>

namespace ts {
namespace {

using Clock = std::chrono::steady_clock;

float microseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<float, std::micro>(to - from).count();
}

template <class T>
T* zeros(Buffer<T>& buffer, int64_t n) {
  T* data = buffer.reserve(static_cast<size_t>(n));
  std::fill(data, data + n, T{});
  return data;
}

}  // namespace

Status Avatar::load(const char* path, std::unique_ptr<Avatar>& avatar) {
  AvatarFile file;
  TS_RETURN_IF_ERROR(read_avatar_file(path, file));
  avatar.reset(new Avatar(std::move(file)));
  return {};
}

Avatar::Avatar(AvatarFile file) : file_(std::move(file)), rig_(file_), control_(file_) {
  const int64_t slots = kPoseBlock * pose_blocks(file_.v), frames = kPoseBlock * pose_blocks(rig_.n_frames());
  const int64_t rows = kPoseBlock * pose_blocks(file_.n);
  pose_.mesh = rig_.mesh;
  pose_.skeleton = rig_.skeleton;
  pose_.binding = rig_.binding;
  pose_.weight = control_.weight();
  pose_.joint_quat = control_.joint_quat();
  pose_.joint_translation = control_.joint_translation();
  if (rig_.skeleton.shape_delta) pose_.joint_delta = zeros(joint_delta_, 3 * file_.j);
  pose_.world_from_joint = zeros(world_from_joint_, 12 * file_.j);
  pose_.world_from_mesh = zeros(world_from_mesh_, 12 * file_.j);
  pose_.position_w = zeros(position_w_, 4 * slots);
  pose_.frame = zeros(frame_, 3 * 4 * frames);
  pose_.frame_quat = zeros(frame_quat_, 4 * frames);
  pose_.frame_size = zeros(frame_size_, rig_.binding.follow == PoseFollow::kTriangle ? frames : 0);
  pose_.mean_w = zeros(mean_w_, 3 * rows);
  pose_.quat = zeros(quat_, 4 * rows);
  pose_.scale = zeros(scale_, 3 * rows);
  rows_ = {pose_.mean_w, pose_.quat, pose_.scale};

  // What the binding does not move is constant: pose never writes it.
  for (int64_t i = 0; i < file_.n; ++i) {
    const float* local = rig_.binding.local + i / kPoseBlock * kPoseLocal * kPoseBlock + i % kPoseBlock;
    for (int c = 0; c < 4; ++c) rows_.quat[4 * i + c] = local[(3 + c) * kPoseBlock];
    for (int c = 0; c < 3; ++c) rows_.scale[3 * i + c] = local[(7 + c) * kPoseBlock];
  }
}

Status Avatar::pose(const ts_control* controls, uint32_t n_controls, const KernelTable& kernels, ThreadPool& pool,
                    AvatarTimes* times) {
  const Clock::time_point begin = Clock::now();
  TS_RETURN_IF_ERROR(control_.resolve(controls, n_controls));
  std::copy(control_.translation(), control_.translation() + 3, pose_.translation);
  TS_RETURN_IF_ERROR(pose_cpu(pose_, kernels, pool));
  const Clock::time_point posed = Clock::now();
  TS_RETURN_IF_ERROR(deform_cpu({file_.n, 0, rows_, rows_}));  // format 1 has no stages
  if (times) *times = {microseconds(begin, posed), microseconds(posed, Clock::now())};
  return {};
}

Status Avatar::check_vertices(const float* vertices, int64_t n_vertices) const {
  if (n_vertices != file_.v) {
    return error(StatusCode::kInvalidArgument, "vertices: n_vertices must be %lld, as this avatar has; got %lld.",
                 static_cast<long long>(file_.v), static_cast<long long>(n_vertices));
  }
  if (!vertices && n_vertices > 0) {
    return error(StatusCode::kInvalidArgument, "vertices must point to [%lld,3] floats; got NULL.",
                 static_cast<long long>(n_vertices));
  }
  return {};
}

void Avatar::vertices(float* vertices) const {
  for (int64_t i = 0; i < file_.v; ++i) {
    const float* position = position_w_.data() + 4 * int64_t{rig_.slot_of_vertex()[i]};
    std::copy(position, position + 3, vertices + 3 * i);
  }
}

Status Avatar::check_gaussians(const ts_gaussians& out) const {
  if (out.n != file_.source_count) {
    return error(StatusCode::kInvalidArgument, "gaussians: n must be n_source=%lld of this avatar; got %lld.",
                 static_cast<long long>(file_.source_count), static_cast<long long>(out.n));
  }
  return {};
}

Status Avatar::gaussians_in_source_order(const ts_gaussians& out) const {
  bool inside = true;
  const auto scatter = [&](const float* rows, float* to, int64_t columns) {
    if (!to) return;
    std::fill(to, to + out.n * columns, 0.0f);
    for (int64_t i = 0; i < file_.n; ++i) {
      // Still the mapped file, which may have been edited since it was checked.
      const int64_t row = file_.source_index[i];
      if (row < out.n)
        std::copy(rows + i * columns, rows + (i + 1) * columns, to + row * columns);
      else
        inside = false;
    }
  };
  scatter(rows_.mean_w, out.mean_w, 3);
  scatter(rows_.scale, out.scale, 3);
  scatter(file_.opacity, out.opacity, 1);
  scatter(file_.color, out.color, 3 * std::max(1, (file_.sh_degree + 1) * (file_.sh_degree + 1)));
  if (out.quat) {
    scatter(rows_.quat, out.quat, 4);
    for (int64_t i = 0; i < out.n; ++i) {
      float* q = out.quat + 4 * i;
      if (q[0] == 0 && q[1] == 0 && q[2] == 0 && q[3] == 0) q[0] = 1;
    }
  }
  if (inside) return {};
  return error(StatusCode::kAvatarInvalid,
               "gaussians: gaussians/source_index must be below n_source=%lld, as it was when the avatar was loaded. "
               "Load it again, and replace its file by rename, never in place.",
               static_cast<long long>(out.n));
}

uint64_t Avatar::resident_bytes() const {
  return rig_.bytes() + control_.bytes() + joint_delta_.bytes() + world_from_joint_.bytes() + world_from_mesh_.bytes() +
         position_w_.bytes() + frame_.bytes() + frame_quat_.bytes() + frame_size_.bytes() + mean_w_.bytes() +
         quat_.bytes() + scale_.bytes();
}

}  // namespace ts
