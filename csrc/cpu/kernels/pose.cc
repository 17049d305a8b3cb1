// SPDX-License-Identifier: Apache-2.0
// pose — vertices, axes and bound Gaussians of one frame.
// Maths    ops/pose.h; math/axes.h, math/triangle_axes.h, math/quat.h
// Launch   blocks of 16, kLanes at a time: a lane is a vertex, a triangle or a Gaussian
// Reads    vertices: 192 B a (block, shape) whose weight is not 0, 68 B a (block, joint); triangles: three 16 B rows;
//          Gaussians: 40 B, and 16 B rows of what they follow: one, four, or four and a size
// Writes   vertices: 16 B, with axes 80 B; triangles: 68 B; Gaussians: mean 12 B, with axes quat 16 B, scale 12 B
// Cost     O(shapes that touch a block) for vertices, bound by memory; O(1) for the others
// Order    deterministic; a block's entries are added in the order of the rig
// Edges    rows past the end compute on zeros and row 0, into padding
// Oracle   tests/reference/pose.py      Bench  bench/ops/bench_pose.py
#include <cstring>

#include "cpu/kernels/kernels.h"
#include "math/axes.h"

TS_TARGET_BEGIN

namespace {

static_assert(kPoseBlock % kLanes == 0);

// Copies kLanes rows of four floats, table[index[.]], side by side. Copying all rows before any is loaded back hides
// the latency of stores that loads of another width wait for.
TS_INLINE void copy_rows(const float* table, const int32_t* index, float* rows) {
  for (int i = 0; i < kLanes; ++i) std::memcpy(rows + 4 * i, table + 4 * int64_t{index[i]}, 4 * sizeof(float));
}

// stride: floats of a plane of rows.
TS_INLINE void store_axes(float* first, int64_t stride, const Axes& a) {
  for (int i = 0; i < 3; ++i) store4(first + i * stride, a.m[i][0], a.m[i][1], a.m[i][2], a.m[i][3]);
}

void vertices(const PoseArgs& a, int64_t first, int64_t last) {
  const PoseMesh& mesh = a.mesh;
  const bool skinned = a.skeleton.j > 0, turns = a.binding.follow == PoseFollow::kVertexAxes;
  const int64_t stride = 4 * kPoseBlock * pose_blocks(mesh.v);  // of a plane of axes rows
  const f32 tx(a.control.translation[0]), ty(a.control.translation[1]), tz(a.control.translation[2]);
  for (int64_t block = first; block < last; ++block) {
    for (int lane = 0; lane < kPoseBlock; lane += kLanes) {
      const float* rest = mesh.rest + block * 3 * kPoseBlock + lane;
      f32 x = load(rest), y = load(rest + kPoseBlock), z = load(rest + 2 * kPoseBlock);
      for (int64_t e = mesh.shape_start[block]; e < mesh.shape_start[block + 1]; ++e) {
        const float weight = a.control.weight[mesh.shape[e]];
        if (weight == 0.0f) continue;
        const float* delta = mesh.shape_delta + e * 3 * kPoseBlock + lane;
        const f32 w(weight);
        x = fma(w, load(delta), x);
        y = fma(w, load(delta + kPoseBlock), y);
        z = fma(w, load(delta + 2 * kPoseBlock), z);
      }
      float* position = a.position_w + 4 * (block * kPoseBlock + lane);
      if (!skinned) {
        store4(position, x + tx, y + ty, z + tz, f32(0.0f));
        continue;
      }
      Axes joints = zero_axes();
      for (int64_t e = mesh.skin_start[block]; e < mesh.skin_start[block + 1]; ++e) {
        const f32 w = load(mesh.skin_weight + e * kPoseBlock + lane);
        add_joint(joints, w, a.world_from_mesh + 12 * int64_t{mesh.skin_joint[e]});
      }
      const Vec3 local = apply(joints, {x, y, z});
      const Vec3 world = {local.x + tx, local.y + ty, local.z + tz};
      store4(position, world.x, world.y, world.z, f32(0.0f));
      if (turns) {
        const int64_t row = block * kPoseBlock + lane;
        store_axes(a.axes + 4 * row, stride, about(joints, world));
        const Quat q = quat_of_nearest_rotation(joints);
        store4(a.axes_quat + 4 * row, q.w, q.x, q.y, q.z);
      }
    }
  }
}

void triangles(const PoseArgs& a, int64_t first, int64_t last) {
  const int64_t stride = 4 * kPoseBlock * pose_blocks(a.binding.n_triangles);
  for (int64_t block = first; block < last; ++block) {
    for (int lane = 0; lane < kPoseBlock; lane += kLanes) {
      alignas(64) float rows[3][4 * kLanes];
      for (int corner = 0; corner < 3; ++corner) {
        copy_rows(a.position_w, a.binding.triangle + (block * 3 + corner) * kPoseBlock + lane, rows[corner]);
      }
      Vec3 corners[3];
      f32 unused;
      for (int i = 0; i < 3; ++i) load4(rows[i], corners[i].x, corners[i].y, corners[i].z, unused);
      const TriangleAxes t = triangle_axes(corners[0], corners[1], corners[2]);
      const f32 size = size_of(t, a.binding.inverse_length);
      const int64_t row = block * kPoseBlock + lane;
      store_axes(a.axes + 4 * row, stride, sized_axes(t, size));
      const Quat q = quat_of_rotation(t.rotation);
      store4(a.axes_quat + 4 * row, q.w, q.x, q.y, q.z);
      store(a.axes_size + row, size);
    }
  }
}

// mean = matrix * local + origin, quat = axes * local; scale times the size for triangles.
TS_INLINE void follow_axes(const PoseArgs& a, const float* local, const int32_t* index, int64_t row, int64_t stride,
                           bool sized) {
  alignas(64) float rows[4][4 * kLanes];
  alignas(64) float sizes[kLanes];
  for (int i = 0; i < 3; ++i) copy_rows(a.axes + i * stride, index, rows[i]);
  copy_rows(a.axes_quat, index, rows[3]);
  if (sized) {
    for (int i = 0; i < kLanes; ++i) sizes[i] = a.axes_size[index[i]];
  }
  Axes axes;
  for (int i = 0; i < 3; ++i) load4(rows[i], axes.m[i][0], axes.m[i][1], axes.m[i][2], axes.m[i][3]);
  const Vec3 mean = apply(axes, {load(local), load(local + kPoseBlock), load(local + 2 * kPoseBlock)});
  store3(a.rows.mean + 3 * row, mean.x, mean.y, mean.z);
  Quat turn;
  load4(rows[3], turn.w, turn.x, turn.y, turn.z);
  const float* own = local + 3 * kPoseBlock;
  const Quat q = turn * Quat{load(own), load(own + kPoseBlock), load(own + 2 * kPoseBlock), load(own + 3 * kPoseBlock)};
  store4(a.rows.quat + 4 * row, q.w, q.x, q.y, q.z);
  if (sized) {
    const f32 k = load(sizes);
    const float* scale = local + 7 * kPoseBlock;
    store3(a.rows.scale + 3 * row, k * load(scale), k * load(scale + kPoseBlock), k * load(scale + 2 * kPoseBlock));
  }
}

void gaussians(const PoseArgs& a, int64_t first, int64_t last) {
  const PoseBinding& binding = a.binding;
  const PoseFollow follow = binding.follow;
  const int64_t n_axes = follow == PoseFollow::kTriangle ? binding.n_triangles : a.mesh.v;
  const int64_t stride = 4 * kPoseBlock * pose_blocks(n_axes);
  for (int64_t block = first; block < last; ++block) {
    for (int lane = 0; lane < kPoseBlock; lane += kLanes) {
      const float* local = binding.local + block * kPoseLocal * kPoseBlock + lane;
      const int64_t row = block * kPoseBlock + lane;
      if (follow == PoseFollow::kTriangle || follow == PoseFollow::kVertexAxes) {
        follow_axes(a, local, binding.index + row, row, stride, follow == PoseFollow::kTriangle);
        continue;
      }
      f32 x(a.control.translation[0]), y(a.control.translation[1]), z(a.control.translation[2]), unused;
      if (follow == PoseFollow::kVertexPosition) {
        alignas(64) float rows[4 * kLanes];
        copy_rows(a.position_w, binding.index + row, rows);
        load4(rows, x, y, z, unused);
      }
      store3(a.rows.mean + 3 * row, load(local) + x, load(local + kPoseBlock) + y, load(local + 2 * kPoseBlock) + z);
    }
  }
}

}  // namespace

PoseKernels pose_kernels() { return {vertices, triangles, gaussians}; }

TS_TARGET_END
