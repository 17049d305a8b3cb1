// SPDX-License-Identifier: Apache-2.0
// Rigs made in memory, in the blocks that pose reads, at some moment of a frame: shapes have weights, joints have moved.
// And where their Gaussians are then, computed in float64.
#pragma once
#include <cstdint>
#include <vector>

#include "ops/pose.h"

namespace ts_test {

struct RigShape {
  ts::PoseFollow follow = ts::PoseFollow::kNothing;
  int64_t v = 0;            // vertices
  int64_t s = 0;            // shapes
  int64_t j = 0;            // joints; 0: no skin
  int64_t n = 0;            // Gaussians
  int64_t n_triangles = 0;  // those that are followed
  double share = 0.5;       // of a block's entries that there are, of all shapes
  bool inverse_length = false;
  bool rigid = false;    // every vertex follows one joint alone
  bool hostile = false;  // numbers and triangles of files that should not be: for comparisons of bits, not for pose_ref
};

// What its views point to lives as long as it does.
class SampleRig {
 public:
  SampleRig(const RigShape& shape, uint32_t seed);
  SampleRig(const SampleRig&) = delete;
  SampleRig& operator=(const SampleRig&) = delete;

  int64_t v_slots() const { return ts::kPoseBlock * ts::pose_blocks(args.mesh.v); }
  int64_t a_slots() const { return ts::kPoseBlock * ts::pose_blocks(axes_of(args.binding, args.mesh)); }
  int64_t n_slots() const { return ts::kPoseBlock * ts::pose_blocks(args.binding.n); }

  ts::PoseArgs args;  // without what is written

 private:
  double random();  // in -1..1
  int64_t below(int64_t n);
  void make_mesh(const RigShape& shape);
  void make_joints(const RigShape& shape);
  void make_binding(const RigShape& shape);
  void spoil(std::vector<float>& numbers);

  uint64_t state_;
  std::vector<float> rest_, shape_delta_, skin_weight_, local_, weight_, world_from_mesh_;
  std::vector<int64_t> shape_start_, skin_start_;
  std::vector<int32_t> shape_, skin_joint_, triangle_, index_;
};

// Rotations as matrices, because a quaternion and its negative are the same one.
struct PosedRef {
  std::vector<double> vertex;    // [v_slots,3]
  std::vector<double> mean;      // [n,3]
  std::vector<double> rotation;  // [n,3,3]; of Gaussians that follow axes
  std::vector<double> scale;     // [n,3]; of Gaussians that follow triangles
  // [n] how far a Gaussian's axes turn when its triangle's corners move by 1, and at least 1: a sliver's turn far.
  std::vector<double> slack;
};
PosedRef pose_ref(const SampleRig& rig);

}  // namespace ts_test
