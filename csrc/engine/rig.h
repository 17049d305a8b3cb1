// SPDX-License-Identifier: Apache-2.0
// Rig — an avatar file's mesh, skeleton and binding, rearranged once at load into the blocks that `pose` streams.
//
// Vertices and triangles are renumbered in the order in which Gaussians first use them (the file keeps Gaussians in
// Morton order), so that neighbours share a block, a block has few shapes and joints, and a Gaussian's gather stays
// in cache. Triangles that no Gaussian follows are left out; vertices that none follows come last.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "engine/avatar_file.h"
#include "ops/pose.h"

namespace ts {

class Rig {
 public:
  // The file must be valid; nothing of it is referred to afterwards. Throws std::bad_alloc.
  explicit Rig(const AvatarFile& file);

  PoseMesh mesh;  // views of the buffers below
  PoseSkeleton skeleton;
  PoseBinding binding;

  const int32_t* slot_of_vertex() const { return slot_of_vertex_.data(); }  // [v]
  uint64_t bytes() const;

 private:
  void number_by_first_use(const AvatarFile& file);
  void build_mesh(const AvatarFile& file);
  void build_skin(const AvatarFile& file);
  void build_skeleton(const AvatarFile& file);
  void build_binding(const AvatarFile& file);

  Buffer<int32_t> slot_of_vertex_, slot_of_triangle_, triangle_of_slot_;
  Buffer<float> rest_, shape_delta_, skin_weight_;
  Buffer<int64_t> shape_start_, skin_start_;
  Buffer<int32_t> shape_, skin_joint_;
  Buffer<int32_t> parent_, pose_joint_;
  Buffer<float> rest_local_, inverse_bind_, joint_shape_delta_;
  Buffer<int32_t> triangle_, index_;
  Buffer<float> local_;
};

}  // namespace ts
