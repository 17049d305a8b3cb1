// SPDX-License-Identifier: Apache-2.0
#include "sample_rig.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace ts_test {
namespace {

using ts::kPoseBlock;
using ts::PoseFollow;
using Vec = std::array<double, 3>;
using Mat = std::array<Vec, 3>;  // rows

Vec operator+(const Vec& a, const Vec& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
Vec operator-(const Vec& a, const Vec& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Vec operator*(double k, const Vec& a) { return {k * a[0], k * a[1], k * a[2]}; }
double dot(const Vec& a, const Vec& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vec cross(const Vec& a, const Vec& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
Vec unit(const Vec& a) { return 1 / std::sqrt(dot(a, a)) * a; }
Vec operator*(const Mat& m, const Vec& v) { return {dot(m[0], v), dot(m[1], v), dot(m[2], v)}; }
Mat transposed(const Mat& m) {
  return {{{m[0][0], m[1][0], m[2][0]}, {m[0][1], m[1][1], m[2][1]}, {m[0][2], m[1][2], m[2][2]}}};
}
Mat operator*(const Mat& a, const Mat& b) {
  const Mat columns = transposed(b);
  return transposed({{a * columns[0], a * columns[1], a * columns[2]}});
}
Mat operator*(double k, const Mat& m) { return {{k * m[0], k * m[1], k * m[2]}}; }

// The rotation nearest to a matrix of positive determinant: Newton's iteration for the polar decomposition (Higham 1986),
// R <- (R + R^-T) / 2. The rows of R^-T are the cross products of R's, over the determinant.
Mat nearest_rotation(Mat r) {
  for (int i = 0; i < 60; ++i) {
    const Mat cofactors = {{cross(r[1], r[2]), cross(r[2], r[0]), cross(r[0], r[1])}};
    const double determinant = dot(r[0], cofactors[0]);
    for (int row = 0; row < 3; ++row) r[row] = 0.5 * (r[row] + 1 / determinant * cofactors[row]);
  }
  return r;
}

Mat rotation_of(double w, double x, double y, double z) {
  return {{{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
           {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
           {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}}};
}

// Axes of a Gaussian: its matrix with the size in it, its rotation, its origin.
struct Frame {
  Mat matrix, rotation;
  Vec origin;
  double size = 1, slack = 1;
};

struct Vertex {
  Vec position;
  Mat matrix;  // the blend of its joints
};

Vertex move_vertex(const ts::PoseArgs& a, int64_t slot) {
  const int64_t block = slot / kPoseBlock, lane = slot % kPoseBlock;
  Vec p;
  for (int axis = 0; axis < 3; ++axis) {
    p[axis] = a.mesh.rest[(block * 3 + axis) * kPoseBlock + lane];
    for (int64_t e = a.mesh.shape_start[block]; e < a.mesh.shape_start[block + 1]; ++e) {
      p[axis] += double{a.control.weight[a.mesh.shape[e]]} * a.mesh.shape_delta[(e * 3 + axis) * kPoseBlock + lane];
    }
  }
  const Vec t = {a.control.translation[0], a.control.translation[1], a.control.translation[2]};
  if (a.skeleton.j == 0) return {p + t, Mat{}};
  Mat m{};
  Vec origin{};
  for (int64_t e = a.mesh.skin_start[block]; e < a.mesh.skin_start[block + 1]; ++e) {
    const double w = a.mesh.skin_weight[e * kPoseBlock + lane];
    const float* joint = a.world_from_mesh + 12 * a.mesh.skin_joint[e];
    for (int row = 0; row < 3; ++row) {
      for (int column = 0; column < 3; ++column) m[row][column] += w * joint[4 * row + column];
      origin[row] += w * joint[4 * row + 3];
    }
  }
  return {m * p + origin + t, m};
}

// Qian et al. 2024, "GaussianAvatars", section 3.1.
Frame triangle_frame(const Vec& a, const Vec& b, const Vec& c, bool inverse_length) {
  const Vec edge = unit(b - a), area = cross(b - a, c - a), normal = unit(area), third = cross(edge, normal);
  const double length = 0.5 * (std::sqrt(dot(b - a, b - a)) + std::abs(dot(third, c - a)));
  const double size = inverse_length ? 1 / length : length;
  const Mat rotation = transposed({{edge, normal, third}});
  const double longest = std::sqrt(std::max({dot(b - a, b - a), dot(c - b, c - b), dot(a - c, a - c)}));
  const double shortest = std::sqrt(std::min({dot(b - a, b - a), dot(c - b, c - b), dot(a - c, a - c)}));
  const double height = std::min(std::sqrt(dot(area, area)) / longest, shortest);
  return {size * rotation, rotation, 1.0 / 3 * (a + b + c), size, std::max(1.0, 1 / height)};
}

}  // namespace

double SampleRig::random() {
  state_ = state_ * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(state_ >> 11) / static_cast<double>(uint64_t{1} << 52) - 1;
}

int64_t SampleRig::below(int64_t n) { return static_cast<int64_t>((random() + 1) / 2 * static_cast<double>(n)); }

SampleRig::SampleRig(const RigShape& shape, uint32_t seed) : state_(seed) {
  make_mesh(shape);
  make_joints(shape);
  make_binding(shape);
  args.binding.inverse_length = shape.inverse_length;
  for (float& t : args.control.translation) t = static_cast<float>(random());
  if (shape.hostile) {
    for (auto* numbers : {&rest_, &shape_delta_, &skin_weight_, &local_, &weight_, &world_from_mesh_}) spoil(*numbers);
  }
}

// Vertices go round a circle, an angle of 1 apart and on their way up, so that three in a row make a sound triangle.
// Slots past v are zero.
void SampleRig::make_mesh(const RigShape& shape) {
  const int64_t blocks = ts::pose_blocks(shape.v);
  rest_.assign(3 * kPoseBlock * blocks, 0);
  for (int64_t i = 0; i < shape.v; ++i) {
    float* p = rest_.data() + i / kPoseBlock * 3 * kPoseBlock + i % kPoseBlock;
    p[0] = static_cast<float>(std::cos(static_cast<double>(i)));
    p[kPoseBlock] = static_cast<float>(std::sin(static_cast<double>(i)));
    p[2 * kPoseBlock] = static_cast<float>(0.3 * static_cast<double>(i % 7));
  }
  shape_start_.assign(1, 0);
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t s = 0; s < shape.s; ++s) {
      if (random() < 2 * shape.share - 1) shape_.push_back(static_cast<int32_t>(s));
    }
    shape_start_.push_back(static_cast<int64_t>(shape_.size()));
  }
  shape_delta_.resize(3 * kPoseBlock * shape_.size());
  // Together they move a vertex by less than a triangle is high.
  const double size = 0.1 / std::sqrt(20.0 + static_cast<double>(shape.s));
  for (float& delta : shape_delta_) delta = static_cast<float>(size * random());
  weight_.resize(shape.s);
  for (float& weight : weight_) weight = random() < 0.3 ? static_cast<float>(random()) : 0.0f;
  args.mesh = {shape.v, shape.s, rest_.data(), shape_start_.data(), shape_.data(), shape_delta_.data()};
  args.control.weight = weight_.data();
}

// Joints turn by up to 60 degrees, so that blends of them have one nearest rotation.
void SampleRig::make_joints(const RigShape& shape) {
  for (int64_t joint = 0; joint < shape.j; ++joint) {
    const Vec axis = 0.5 * unit({random(), random(), random()});
    const Mat r = rotation_of(std::sqrt(0.75), axis[0], axis[1], axis[2]);
    for (const Vec& row : r) {
      for (double entry : row) world_from_mesh_.push_back(static_cast<float>(entry));
      world_from_mesh_.push_back(static_cast<float>(random()));
    }
  }
  skin_start_.assign(1, 0);
  for (int64_t block = 0; shape.j > 0 && block < ts::pose_blocks(shape.v); ++block) {
    const int64_t first = skin_start_.back();
    for (int64_t joint = 0; joint < shape.j; ++joint) {
      if (skin_joint_.size() == static_cast<size_t>(first) || random() < 0.5) {
        skin_joint_.push_back(static_cast<int32_t>(joint));
      }
    }
    skin_start_.push_back(static_cast<int64_t>(skin_joint_.size()));
    const int64_t joints = skin_start_.back() - first;
    skin_weight_.resize(kPoseBlock * skin_joint_.size(), 0);
    for (int64_t lane = 0; lane < kPoseBlock && block * kPoseBlock + lane < shape.v; ++lane) {
      const int64_t own = below(joints);
      for (int64_t e = 0; e < joints; ++e) {
        const float blended =
            static_cast<float>(e == own ? 0.5 + 0.5 / static_cast<double>(joints) : 0.5 / static_cast<double>(joints));
        skin_weight_[(first + e) * kPoseBlock + lane] = shape.rigid ? (e == own ? 1.0f : 0.0f) : blended;
      }
    }
  }
  args.skeleton.j = shape.j;
  args.world_from_mesh = world_from_mesh_.data();
  args.mesh.skin_start = skin_start_.data();
  args.mesh.skin_joint = skin_joint_.data();
  args.mesh.skin_weight = skin_weight_.data();
}

void SampleRig::make_binding(const RigShape& shape) {
  for (int64_t block = 0; block < ts::pose_blocks(shape.n_triangles); ++block) {
    std::array<int64_t, kPoseBlock> first;
    for (int lane = 0; lane < kPoseBlock; ++lane) {
      first[lane] = block * kPoseBlock + lane < shape.n_triangles ? below(shape.v) : 0;
    }
    for (int corner = 0; corner < 3; ++corner) {
      for (int lane = 0; lane < kPoseBlock; ++lane) {
        triangle_.push_back(static_cast<int32_t>(shape.hostile ? below(shape.v) : (first[lane] + corner) % shape.v));
      }
    }
  }
  const int64_t blocks = ts::pose_blocks(shape.n);
  const int64_t followed = shape.follow == PoseFollow::kTriangle ? shape.n_triangles : shape.v;
  for (int64_t i = 0; shape.follow != PoseFollow::kNothing && i < kPoseBlock * blocks; ++i) {
    index_.push_back(i < shape.n ? static_cast<int32_t>(below(followed)) : 0);
  }
  local_.assign(ts::kPoseLocal * kPoseBlock * blocks, 0);
  for (int64_t i = 0; i < shape.n; ++i) {
    float* field = local_.data() + i / kPoseBlock * ts::kPoseLocal * kPoseBlock + i % kPoseBlock;
    const auto set = [&](int k, double x) { field[k * kPoseBlock] = static_cast<float>(x); };
    for (int k = 0; k < 3; ++k) set(k, random());
    const double q[4] = {random(), random(), random(), random()};
    const double norm = std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    for (int k = 0; k < 4; ++k) set(3 + k, q[k] / norm);
    for (int k = 0; k < 3; ++k) set(7 + k, 1.1 + random());
  }
  args.binding.n = shape.n;
  args.binding.follow = shape.follow;
  args.binding.n_triangles = shape.n_triangles;
  args.binding.triangle = triangle_.data();
  args.binding.index = index_.data();
  args.binding.local = local_.data();
}

// Every thirtieth number or so becomes one that nobody meant.
void SampleRig::spoil(std::vector<float>& numbers) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNotMeant[] = {
      std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, 3e38f, -1e30f, 1e-42f, -0.0f, 0.0f};
  for (float& x : numbers) {
    if (below(30) == 0) x = kNotMeant[below(8)];
  }
}

PosedRef pose_ref(const SampleRig& rig) {
  const ts::PoseArgs& a = rig.args;
  const ts::PoseBinding& binding = a.binding;
  std::vector<Vertex> vertex;
  PosedRef out;
  for (int64_t slot = 0; slot < rig.v_slots(); ++slot) {
    vertex.push_back(move_vertex(a, slot));
    for (double x : vertex.back().position) out.vertex.push_back(x);
  }
  for (int64_t i = 0; i < binding.n; ++i) {
    const float* field = binding.local + i / kPoseBlock * ts::kPoseLocal * kPoseBlock + i % kPoseBlock;
    const auto local = [&](int k) { return double{field[k * kPoseBlock]}; };
    const Vec own = {local(0), local(1), local(2)};
    const auto put = [&](const Vec& mean) {
      for (double x : mean) out.mean.push_back(x);
    };
    if (binding.follow == PoseFollow::kNothing) {
      put(own + Vec{a.control.translation[0], a.control.translation[1], a.control.translation[2]});
      continue;
    }
    const int64_t row = binding.index[i];
    if (binding.follow == PoseFollow::kVertexPosition) {
      put(own + vertex[row].position);
      continue;
    }
    Frame frame;
    if (binding.follow == PoseFollow::kTriangle) {
      const int32_t* corner = binding.triangle + row / kPoseBlock * 3 * kPoseBlock + row % kPoseBlock;
      frame = triangle_frame(vertex[corner[0]].position, vertex[corner[kPoseBlock]].position,
                             vertex[corner[2 * kPoseBlock]].position, binding.inverse_length);
      for (int k = 0; k < 3; ++k) out.scale.push_back(frame.size * local(7 + k));
    } else {
      frame.matrix = vertex[row].matrix, frame.rotation = nearest_rotation(vertex[row].matrix);
      frame.origin = vertex[row].position;
    }
    out.slack.push_back(frame.slack);
    put(frame.matrix * own + frame.origin);
    const Mat turned = frame.rotation * rotation_of(local(3), local(4), local(5), local(6));
    for (const Vec& r : turned) {
      for (double x : r) out.rotation.push_back(x);
    }
  }
  return out;
}

}  // namespace ts_test
