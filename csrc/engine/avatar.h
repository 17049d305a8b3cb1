// Avatar — a loaded avatar file and the memory of one posed frame: controls in, world-space Gaussians out. All memory
// is claimed at load; a frame allocates nothing unless it fails.
#pragma once
#include <cstdint>
#include <memory>

#include "core/buffer.h"
#include "core/status.h"
#include "engine/avatar_file.h"
#include "engine/control.h"
#include "engine/rig.h"
#include "ops/deform.h"
#include "talksplat.h"

namespace ts {

class ThreadPool;
struct KernelTable;

struct AvatarTimes {
  float pose_us = 0, deform_us = 0;
};

class Avatar {
 public:
  // Fails as read_avatar_file() does. Throws std::bad_alloc.
  static Status load(const char* path, std::unique_ptr<Avatar>& avatar);
  Avatar(const Avatar&) = delete;
  Avatar& operator=(const Avatar&) = delete;

  // Runs pose and deform. Wrong controls are kInvalidArgument (Control::resolve) and leave the last frame as it was.
  Status pose(const ts_control* controls, uint32_t n_controls, const KernelTable& kernels, ThreadPool& pool,
              AvatarTimes* times = nullptr);

  const AvatarFile& file() const { return file_; }

  // Of the last posed frame, rows as in the file (opacity and colour are the file's). Padded to whole 16 rows.
  const float* mean_w() const { return rows_.mean_w; }  // [n,3]
  const float* quat() const { return rows_.quat; }      // [n,4] wxyz, unit
  const float* scale() const { return rows_.scale; }    // [n,3]

  // Whether vertices() and gaussians_in_source_order() may write there; to be asked before posing for them.
  // n_vertices must be the avatar's, out.n the file's source_count.
  Status check_vertices(const float* vertices, int64_t n_vertices) const;
  Status check_gaussians(const ts_gaussians& out) const;

  // The last posed mesh, [v,3] in the file's order.
  void vertices(float* vertices) const;

  // The last posed Gaussians in the source's order; rows that the file lacks are zero with a quaternion of 1 0 0 0.
  // NULL arrays are left out. kAvatarInvalid when the file has been edited in place since it was loaded.
  Status gaussians_in_source_order(const ts_gaussians& out) const;

  uint64_t resident_bytes() const;  // memory beside the mapped file

 private:
  explicit Avatar(AvatarFile file);

  AvatarFile file_;
  Rig rig_;
  Control control_;
  Buffer<double> joint_delta_, world_from_joint_;
  Buffer<float> world_from_mesh_, position_w_, frame_, frame_quat_, frame_size_;
  Buffer<float> mean_w_, quat_, scale_;
  PoseArgs pose_;
  DeformRows rows_;
};

}  // namespace ts
