// SPDX-License-Identifier: Apache-2.0
// pose — vertices, axes and bound Gaussians of the frames of a launch: three kernels, one after the other.
// Maths    ops/pose.h; math/axes.h, math/triangle_axes.h, math/quat.h
// Launch   block 128, grid y: frames; x: for the largest of them
//            pose_vertices   ceil(v_slots / 64); 16 slots a warp, then a slot a thread; 768 B shared
//            pose_triangles  ceil(a_slots / 128), of frames that follow triangles; a triangle a thread
//            pose_gaussians  ceil(n / 128); a Gaussian a thread
// Reads    vertices: 192 B a (block of 16, shape) whose weight is not 0, 112 B a (block, joint); triangles: 12 B, and
//          three 16 B rows; Gaussians: 44 B, and 16 B rows of what they follow: one, four, or four and a size
// Writes   vertices: 16 B, with axes 80 B; triangles: 68 B; Gaussians: mean 12 B, with axes quat 16 B, on triangles
//          scale 12 B. Neither quat and scale of Gaussians that do not turn or grow, nor opacity and colour
// Cost     O(shapes that touch a block) for vertices: bound by memory, 8 MB for a FLAME head of 136 shapes; O(1) for the
//          others, whose rows come from the cache
// Order    deterministic; a block's entries are added in the order of the rig, so that bits are those of the CPU's fused
//          kernels. Except the quaternions of blended joints: a thread stops squaring when its own vertex is there, the
//          CPU when all its lanes are
// Edges    v_slots = 0, a_slots = 0 and n = 0 launch nothing; slots past the end compute on zeros and row 0, into padding
// Oracle   tests/simt/test_pose.cc      Bench  bench/gpu
#include "kernels/cuda/device.h"
//
#include "kernels/cuda/pose.h"
#include "math/axes.h"

namespace ts::cuda {
namespace pose {

constexpr int kPairs = 3 * kPoseBlock / 2;  // of the numbers of a block's vertices: a lane has one, eight lanes none
constexpr int kAhead = 8;                   // shapes whose deltas are under way at once
constexpr uint32_t kAllLanes = 0xffffffffu;

// What a kernel reads it never writes. Said by __ldg, that lets loads go ahead of stores, and makes them loads from global
// memory, which a pointer out of a job does not tell.
TS_DEVICE float4 row_of(const float* table, int64_t row) { return __ldg(reinterpret_cast<const float4*>(table) + row); }

TS_DEVICE void store_row(float* table, int64_t row, f32 x, f32 y, f32 z, f32 w) {
  reinterpret_cast<float4*>(table)[row] = make_float4(x.v, y.v, z.v, w.v);
}
TS_DEVICE void store_row(float* table, int64_t row, const Quat& q) { store_row(table, row, q.w, q.x, q.y, q.z); }

TS_DEVICE Vec3 position_of(const float* table, int64_t row) {
  const float4 p = row_of(table, row);
  return {f32(p.x), f32(p.y), f32(p.z)};
}

// Three of the numbers of a bound Gaussian, whose block of 16 has them 16 apart.
TS_DEVICE Vec3 local_at(const float* local, int field) {
  const float* p = local + field * kPoseBlock;
  return {f32(__ldg(p)), f32(__ldg(p + kPoseBlock)), f32(__ldg(p + 2 * kPoseBlock))};
}

TS_DEVICE void store_axes(const PoseJob& job, int64_t row, const Axes& a) {
  TS_UNROLL
  for (int i = 0; i < 3; ++i) store_row(job.axes, i * job.a_slots + row, a.m[i][0], a.m[i][1], a.m[i][2], a.m[i][3]);
}

// This lane's two numbers of a block: at rest, plus all shapes. Lanes take 32 entries of the block's list side by side, so
// that shapes of weight 0 cost nothing but that; the others' deltas are fetched kAhead at a time, because a warp that
// waited for each in turn would wait for memory once a shape.
TS_DEVICE float2 add_shapes(const PoseJob& job, int64_t block, int lane) {
  const bool mine = lane < kPairs;
  float2 sum = make_float2(0, 0);
  if (mine) sum = __ldg(reinterpret_cast<const float2*>(job.rest) + block * kPairs + lane);
  int64_t first = __ldg(job.shape_start + block);
  const int64_t end = __ldg(job.shape_start + block + 1);
  const float2* delta = reinterpret_cast<const float2*>(job.shape_delta) + first * kPairs + lane;
  for (; first < end; first += 32, delta += 32 * kPairs) {
    const float weight = first + lane < end ? __ldg(job.weight + __ldg(job.shape + first + lane)) : 0.0f;
    uint32_t rest = __ballot_sync(kAllLanes, weight != 0.0f);
    while (rest != 0) {
      float w[kAhead];
      float2 d[kAhead];
      TS_UNROLL
      for (int i = 0; i < kAhead; ++i) {
        const int entry = __ffs(static_cast<int>(rest)) - 1;  // -1: there is none
        w[i] = __shfl_sync(kAllLanes, weight, entry & 31);
        if (rest == 0) w[i] = 0.0f;
        d[i] = make_float2(0, 0);
        if (mine && rest != 0) d[i] = __ldg(delta + entry * kPairs);
        rest &= rest - 1;
      }
      TS_UNROLL
      for (int i = 0; i < kAhead; ++i) {
        if (w[i] == 0.0f) continue;
        sum.x = fmaf(w[i], d[i].x, sum.x);
        sum.y = fmaf(w[i], d[i].y, sum.y);
      }
    }
  }
  return sum;
}

// The blend of a slot's joints. The 16 threads of a block read the same entries.
TS_DEVICE Axes blend_joints(const PoseJob& job, int64_t slot) {
  const int64_t block = slot / kPoseBlock, lane = slot % kPoseBlock;
  const int64_t end = __ldg(job.skin_start + block + 1);
  Axes sum = zero_axes();
  for (int64_t e = __ldg(job.skin_start + block); e < end; ++e) {
    const f32 weight(__ldg(job.skin_weight + e * kPoseBlock + lane));
    const int64_t row = 3 * int64_t{__ldg(job.skin_joint + e)};
    const float4 x = row_of(job.world_from_mesh, row), y = row_of(job.world_from_mesh, row + 1),
                 z = row_of(job.world_from_mesh, row + 2);
    const float joint[12] = {x.x, x.y, x.z, x.w, y.x, y.y, y.z, y.w, z.x, z.y, z.z, z.w};
    add_joint(sum, weight, joint);
  }
  return sum;
}

}  // namespace pose

// Shapes    a warp owns a block of 16 slots, a lane two of its 48 numbers: a shape's delta is 192 bytes in a row, and a
//           mesh of 5,000 vertices gives work to 314 warps. The sums go to shared memory as [block][xyz][16].
// Joints    the barrier hands them over: now a thread owns a slot, half the warps have nothing more to do, and none of the
//           arithmetic is done by idle lanes.
TS_KERNEL void __launch_bounds__(kPoseThreads, 6) pose_vertices_kernel(const Jobs<PoseJob> args) {
  const PoseJob& job = args.job[blockIdx.y];
  const int64_t first = int64_t{blockIdx.x} * kPoseVertices;
  if (first >= job.v_slots) return;
  __shared__ float2 shaped[kPoseVertices / kPoseBlock][pose::kPairs];

  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  if (first + warp * kPoseBlock < job.v_slots) {
    const float2 pair = pose::add_shapes(job, first / kPoseBlock + warp, lane);
    if (lane < pose::kPairs) shaped[warp][lane] = pair;
  }
  __syncthreads();

  const int own = static_cast<int>(threadIdx.x);
  const int64_t slot = first + own;
  if (own >= kPoseVertices || slot >= job.v_slots) return;
  const float* mesh = &shaped[own / kPoseBlock][0].x + own % kPoseBlock;
  Vec3 p = {f32(mesh[0]), f32(mesh[kPoseBlock]), f32(mesh[2 * kPoseBlock])};
  const Vec3 t = {f32(job.translation[0]), f32(job.translation[1]), f32(job.translation[2])};
  if (!job.skinned) {
    pose::store_row(job.position_w, slot, p.x + t.x, p.y + t.y, p.z + t.z, f32(0.0f));
    return;
  }
  const Axes joints = pose::blend_joints(job, slot);
  p = apply(joints, p);
  p = {p.x + t.x, p.y + t.y, p.z + t.z};
  pose::store_row(job.position_w, slot, p.x, p.y, p.z, f32(0.0f));
  if (job.follow == PoseFollow::kVertexAxes) {
    pose::store_axes(job, slot, about(joints, p));
    pose::store_row(job.axes_quat, slot, quat_of_nearest_rotation(joints));
  }
}

TS_KERNEL void __launch_bounds__(kPoseThreads) pose_triangles_kernel(const Jobs<PoseJob> args) {
  const PoseJob job = args.job[blockIdx.y];
  const int64_t row = int64_t{blockIdx.x} * kPoseThreads + threadIdx.x;
  if (job.follow != PoseFollow::kTriangle || row >= job.a_slots) return;
  const int32_t* corner = job.triangle + row / kPoseBlock * 3 * kPoseBlock + row % kPoseBlock;
  const Vec3 a = pose::position_of(job.position_w, __ldg(corner));
  const Vec3 b = pose::position_of(job.position_w, __ldg(corner + kPoseBlock));
  const Vec3 c = pose::position_of(job.position_w, __ldg(corner + 2 * kPoseBlock));
  const TriangleAxes t = triangle_axes(a, b, c);
  const f32 size = size_of(t, job.inverse_length);
  pose::store_axes(job, row, sized_axes(t, size));
  pose::store_row(job.axes_quat, row, quat_of_rotation(t.rotation));
  job.axes_size[row] = size.v;
}

TS_KERNEL void __launch_bounds__(kPoseThreads) pose_gaussians_kernel(const Jobs<PoseJob> args) {
  const PoseJob job = args.job[blockIdx.y];
  const int64_t i = int64_t{blockIdx.x} * kPoseThreads + threadIdx.x;
  if (i >= job.n) return;
  const float* local = job.local + i / kPoseBlock * kPoseLocal * kPoseBlock + i % kPoseBlock;
  const Vec3 mean = pose::local_at(local, 0);
  if (job.follow == PoseFollow::kNothing || job.follow == PoseFollow::kVertexPosition) {
    const Vec3 origin = job.follow == PoseFollow::kNothing
                            ? Vec3{f32(job.translation[0]), f32(job.translation[1]), f32(job.translation[2])}
                            : pose::position_of(job.position_w, __ldg(job.index + i));
    store3(job.mean + 3 * i, mean.x + origin.x, mean.y + origin.y, mean.z + origin.z);
    return;
  }
  const int64_t row = __ldg(job.index + i);
  Axes axes;
  TS_UNROLL
  for (int k = 0; k < 3; ++k) {
    const float4 r = pose::row_of(job.axes, k * job.a_slots + row);
    axes.m[k][0] = f32(r.x), axes.m[k][1] = f32(r.y), axes.m[k][2] = f32(r.z), axes.m[k][3] = f32(r.w);
  }
  const Vec3 world = apply(axes, mean);
  store3(job.mean + 3 * i, world.x, world.y, world.z);
  const float4 turn = pose::row_of(job.axes_quat, row);
  const Vec3 own = pose::local_at(local, 4);
  pose::store_row(job.quat, i,
                  Quat{f32(turn.x), f32(turn.y), f32(turn.z), f32(turn.w)} *
                      Quat{f32(__ldg(local + 3 * kPoseBlock)), own.x, own.y, own.z});
  if (job.follow == PoseFollow::kTriangle) {
    const f32 size(__ldg(job.axes_size + row));
    const Vec3 scale = pose::local_at(local, 7);
    store3(job.scale + 3 * i, size * scale.x, size * scale.y, size * scale.z);
  }
}

}  // namespace ts::cuda
