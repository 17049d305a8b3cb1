// SPDX-License-Identifier: Apache-2.0
#include "engine/rig.h"

#include <algorithm>
#include <cmath>

namespace ts {
namespace {

constexpr int32_t kNone = -1;

template <class T>
T* filled(Buffer<T>& buffer, int64_t n, T value) {
  T* data = buffer.reserve(static_cast<size_t>(n));
  std::fill(data, data + n, value);
  return data;
}

template <class T, class U>
const T* copied(Buffer<T>& buffer, const U* source, int64_t n) {
  T* data = buffer.reserve(static_cast<size_t>(n));
  std::copy(source, source + n, data);
  return data;
}

// Turns counts in start[1..blocks] into first entries.
void accumulate(int64_t* start, int64_t blocks) {
  for (int64_t block = 0; block < blocks; ++block) start[block + 1] += start[block];
}

}  // namespace

Rig::Rig(const AvatarFile& file) {
  number_by_first_use(file);
  build_mesh(file);
  build_skin(file);
  build_skeleton(file);
  build_binding(file);
}

void Rig::number_by_first_use(const AvatarFile& file) {
  int32_t* vertex_slot = filled(slot_of_vertex_, file.v, kNone);
  int32_t* triangle_slot = filled(slot_of_triangle_, file.f, kNone);
  int32_t* triangle_of_slot = triangle_of_slot_.reserve(static_cast<size_t>(file.f));
  int32_t n_vertices = 0, n_triangles = 0;
  const auto use = [&](int64_t vertex) {
    if (vertex_slot[vertex] == kNone) vertex_slot[vertex] = n_vertices++;
  };
  for (int64_t i = 0; i < file.gaussians.n && file.binding != BindingKind::kStatic; ++i) {
    const int64_t target = file.binding_index[i];
    if (file.binding == BindingKind::kVertex) {
      use(target);
    } else if (triangle_slot[target] == kNone) {
      triangle_of_slot[n_triangles] = static_cast<int32_t>(target);
      triangle_slot[target] = n_triangles++;
      for (int corner = 0; corner < 3; ++corner) use(file.triangle[3 * target + corner]);
    }
  }
  for (int64_t vertex = 0; vertex < file.v; ++vertex) use(vertex);
  binding.n_triangles = n_triangles;
}

void Rig::build_mesh(const AvatarFile& file) {
  const int64_t blocks = pose_blocks(file.v);
  const int32_t* slot = slot_of_vertex_.data();
  float* rest = filled(rest_, blocks * 3 * kPoseBlock, 0.0f);
  for (int64_t vertex = 0; vertex < file.v; ++vertex) {
    float* lane = rest + slot[vertex] / kPoseBlock * 3 * kPoseBlock + slot[vertex] % kPoseBlock;
    for (int axis = 0; axis < 3; ++axis) lane[axis * kPoseBlock] = file.vertex[3 * vertex + axis];
  }

  // Shapes are visited in order twice: to count the (block, shape) pairs, then to fill them.
  int64_t* start = filled(shape_start_, blocks + 1, int64_t{0});
  Buffer<int32_t> last_shape;
  int32_t* last = filled(last_shape, blocks, kNone);
  const auto each_delta = [&](const auto& visit) {
    for (int32_t shape = 0; shape < file.s; ++shape) {
      for (int64_t z = file.shape_start[shape]; z < file.shape_start[shape + 1]; ++z) {
        const int64_t block = slot[file.shape_vertex[z]] / kPoseBlock;
        const bool opens = last[block] != shape;
        last[block] = shape;
        visit(z, shape, block, opens);
      }
    }
  };
  each_delta([&](int64_t, int32_t, int64_t block, bool opens) { start[block + 1] += opens; });
  accumulate(start, blocks);
  int32_t* entry_shape = shape_.reserve(static_cast<size_t>(start[blocks]));
  float* entry_delta = filled(shape_delta_, start[blocks] * 3 * kPoseBlock, 0.0f);
  Buffer<int64_t> next_entry;
  int64_t* next = next_entry.reserve(static_cast<size_t>(blocks));
  std::copy(start, start + blocks, next);
  std::fill(last, last + blocks, kNone);
  each_delta([&](int64_t z, int32_t shape, int64_t block, bool opens) {
    if (opens) entry_shape[next[block]++] = shape;
    float* lane = entry_delta + (next[block] - 1) * 3 * kPoseBlock + slot[file.shape_vertex[z]] % kPoseBlock;
    for (int axis = 0; axis < 3; ++axis) lane[axis * kPoseBlock] = file.shape_delta[3 * z + axis];
  });

  mesh.v = file.v;
  mesh.s = file.s;
  mesh.rest = rest;
  mesh.shape_start = start;
  mesh.shape = entry_shape;
  mesh.shape_delta = entry_delta;
}

void Rig::build_skin(const AvatarFile& file) {
  const int64_t blocks = pose_blocks(file.v);
  int64_t* start = filled(skin_start_, blocks + 1, int64_t{0});
  mesh.skin_start = start;
  if (file.j == 0) return;

  Buffer<int32_t> vertex_buffer;
  int32_t* vertex_of_slot = filled(vertex_buffer, blocks * kPoseBlock, kNone);
  for (int64_t vertex = 0; vertex < file.v; ++vertex) {
    vertex_of_slot[slot_of_vertex_[static_cast<size_t>(vertex)]] = static_cast<int32_t>(vertex);
  }
  // entry_of_joint[joint] is valid in the block that last_block[joint] names.
  Buffer<int64_t> block_buffer, entry_buffer;
  int64_t* last_block = block_buffer.reserve(static_cast<size_t>(file.j));
  int64_t* entry_of_joint = entry_buffer.reserve(static_cast<size_t>(file.j));
  const auto each_influence = [&](const auto& visit) {
    std::fill(last_block, last_block + file.j, int64_t{-1});
    int64_t n_entries = 0;
    for (int64_t slot = 0; slot < blocks * kPoseBlock; ++slot) {
      for (int64_t i = 0; i < file.k && vertex_of_slot[slot] != kNone; ++i) {
        const int64_t at = vertex_of_slot[slot] * file.k + i, block = slot / kPoseBlock;
        const int32_t joint = file.skin_joint[at];
        if (file.skin_weight[at] == 0.0f) continue;
        if (last_block[joint] != block) entry_of_joint[joint] = n_entries++;
        visit(entry_of_joint[joint], joint, slot, file.skin_weight[at], last_block[joint] != block);
        last_block[joint] = block;
      }
    }
  };
  each_influence([&](int64_t, int32_t, int64_t slot, float, bool opens) { start[slot / kPoseBlock + 1] += opens; });
  accumulate(start, blocks);
  int32_t* entry_joint = skin_joint_.reserve(static_cast<size_t>(start[blocks]));
  float* entry_weight = filled(skin_weight_, start[blocks] * kPoseBlock, 0.0f);
  each_influence([&](int64_t entry, int32_t joint, int64_t slot, float weight, bool) {
    entry_joint[entry] = joint;
    entry_weight[entry * kPoseBlock + slot % kPoseBlock] += weight;
  });
  mesh.skin_joint = entry_joint;
  mesh.skin_weight = entry_weight;
}

void Rig::build_skeleton(const AvatarFile& file) {
  if (file.j == 0) return;
  skeleton.j = file.j;
  skeleton.parent = copied(parent_, file.joint_parent, file.j);
  skeleton.rest_local = copied(rest_local_, file.joint_rest_local, 12 * file.j);
  skeleton.inverse_bind = copied(inverse_bind_, file.joint_inverse_bind, 12 * file.j);
  if (file.joint_shape_delta) {
    skeleton.shape_delta = copied(joint_shape_delta_, file.joint_shape_delta, 3 * file.s * file.j);
  }
  if (file.pose_shape_first >= 0) {
    skeleton.n_pose_joints = static_cast<int64_t>(file.pose_shape_joints.size());
    skeleton.pose_shape_first = file.pose_shape_first;
    skeleton.pose_joint = copied(pose_joint_, file.pose_shape_joints.data(), skeleton.n_pose_joints);
  }
}

void Rig::build_binding(const AvatarFile& file) {
  const int64_t blocks = pose_blocks(file.gaussians.n);
  binding.n = file.gaussians.n;
  if (file.binding == BindingKind::kTriangle) binding.follow = PoseFollow::kTriangle;
  if (file.binding == BindingKind::kVertex) {
    // Without joints a vertex has no rotation to follow.
    const bool turns = file.rotate && file.j > 0;
    binding.follow = turns ? PoseFollow::kVertexAxes : PoseFollow::kVertexPosition;
  }
  binding.inverse_length = file.scale_rule == ScaleRule::kInverseLength;

  int32_t* triangle = filled(triangle_, pose_blocks(binding.n_triangles) * 3 * kPoseBlock, 0);
  for (int64_t i = 0; i < binding.n_triangles; ++i) {
    const int64_t source = triangle_of_slot_[static_cast<size_t>(i)];
    for (int corner = 0; corner < 3; ++corner) {
      triangle[(i / kPoseBlock * 3 + corner) * kPoseBlock + i % kPoseBlock] =
          slot_of_vertex_[file.triangle[3 * source + corner]];
    }
  }
  binding.triangle = triangle;

  int32_t* index = filled(index_, blocks * kPoseBlock, 0);
  float* local = filled(local_, blocks * kPoseLocal * kPoseBlock, 0.0f);
  for (int64_t i = 0; i < file.gaussians.n; ++i) {
    if (file.binding == BindingKind::kTriangle) index[i] = slot_of_triangle_[file.binding_index[i]];
    if (file.binding == BindingKind::kVertex) index[i] = slot_of_vertex_[file.binding_index[i]];
    const float *mean = file.gaussians.mean + 3 * i, *quat = file.gaussians.quat + 4 * i,
                *scale = file.gaussians.scale + 3 * i;
    double norm2 = 0;  // the file's are unit within 1e-3 only
    for (int c = 0; c < 4; ++c) norm2 += static_cast<double>(quat[c]) * quat[c];
    const double inverse = 1 / std::sqrt(norm2);
    float* lane = local + i / kPoseBlock * kPoseLocal * kPoseBlock + i % kPoseBlock;
    for (int c = 0; c < 3; ++c) lane[c * kPoseBlock] = mean[c];
    for (int c = 0; c < 4; ++c) lane[(3 + c) * kPoseBlock] = static_cast<float>(quat[c] * inverse);
    for (int c = 0; c < 3; ++c) lane[(7 + c) * kPoseBlock] = scale[c];
  }
  binding.index = index;
  binding.local = local;
}

uint64_t Rig::bytes() const {
  return slot_of_vertex_.bytes() + slot_of_triangle_.bytes() + triangle_of_slot_.bytes() + rest_.bytes() +
         shape_delta_.bytes() + skin_weight_.bytes() + shape_start_.bytes() + skin_start_.bytes() + shape_.bytes() +
         skin_joint_.bytes() + parent_.bytes() + pose_joint_.bytes() + rest_local_.bytes() + inverse_bind_.bytes() +
         joint_shape_delta_.bytes() + triangle_.bytes() + index_.bytes() + local_.bytes();
}

}  // namespace ts
