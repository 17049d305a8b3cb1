// SPDX-License-Identifier: Apache-2.0
// pose's kernels on a CPU: against float64, against the bits of the CPU's own kernel, in several orders of threads, and
// with several frames in one launch.
#include "kernels/cuda/pose.cu"
//
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../cpp/check.h"
#include "cpu/kernel_table.h"
#include "sample_rig.h"

using ts::PoseFollow;
using ts::cuda::Jobs;
using ts::cuda::PoseJob;
using ts_test::PosedRef;
using ts_test::RigShape;
using ts_test::SampleRig;

namespace {

constexpr int kGuard = 64;  // floats on either side
constexpr float kFill = -7.25e20f;

// An array between guard words.
class Guarded {
 public:
  explicit Guarded(int64_t n) : n_(n), memory_(n + 2 * kGuard, kFill) {}
  float* data() { return memory_.data() + kGuard; }
  const float* data() const { return memory_.data() + kGuard; }
  int64_t size() const { return n_; }
  bool intact() const {
    const auto filled = [](float x) { return x == kFill; };
    return std::all_of(memory_.begin(), memory_.begin() + kGuard, filled) &&
           std::all_of(memory_.end() - kGuard, memory_.end(), filled);
  }
  bool untouched() const {
    return std::all_of(memory_.begin(), memory_.end(), [](float x) { return x == kFill; });
  }

 private:
  int64_t n_;
  std::vector<float> memory_;
};

// What pose writes; rows: of Gaussians, which the CPU pads.
struct Posed {
  Guarded position, axes, axes_quat, axes_size, mean, quat, scale;
  Posed(const SampleRig& rig, int64_t rows)
      : position(4 * rig.v_slots()),
        axes(12 * rig.a_slots()),
        axes_quat(4 * rig.a_slots()),
        axes_size(rig.a_slots()),
        mean(3 * rows),
        quat(4 * rows),
        scale(3 * rows) {}
  bool intact() const {
    return position.intact() && axes.intact() && axes_quat.intact() && axes_size.intact() && mean.intact() &&
           quat.intact() && scale.intact();
  }
};

PoseJob job_of(const SampleRig& rig, Posed& out) {
  const ts::PoseArgs& a = rig.args;
  PoseJob job{};
  job.v_slots = rig.v_slots(), job.a_slots = rig.a_slots(), job.n = a.binding.n;
  job.follow = a.binding.follow;
  job.skinned = a.skeleton.j > 0, job.inverse_length = a.binding.inverse_length;
  std::copy_n(a.control.translation, 3, job.translation);
  job.weight = a.control.weight, job.world_from_mesh = a.world_from_mesh;
  job.rest = a.mesh.rest;
  job.shape_start = a.mesh.shape_start, job.shape = a.mesh.shape, job.shape_delta = a.mesh.shape_delta;
  job.skin_start = a.mesh.skin_start, job.skin_joint = a.mesh.skin_joint, job.skin_weight = a.mesh.skin_weight;
  job.triangle = a.binding.triangle, job.index = a.binding.index, job.local = a.binding.local;
  job.position_w = out.position.data();
  job.axes = out.axes.data(), job.axes_quat = out.axes_quat.data(), job.axes_size = out.axes_size.data();
  job.mean = out.mean.data(), job.quat = out.quat.data(), job.scale = out.scale.data();
  return job;
}

// The three launches of a draw of these frames.
void pose_on_gpu(const std::vector<PoseJob>& jobs, const simt::Options& options = {}) {
  int64_t v = 0, triangles = 0, n = 0;
  for (const PoseJob& job : jobs) {
    v = std::max(v, job.v_slots), n = std::max(n, job.n);
    if (job.follow == PoseFollow::kTriangle) triangles = std::max(triangles, job.a_slots);
  }
  const Jobs<PoseJob> args{jobs.data()};
  const auto launch = [&](const char* name, int64_t rows, int64_t per_block, void (*kernel)(const Jobs<PoseJob>)) {
    if (rows == 0) return;
    const dim3 grid(static_cast<unsigned>((rows + per_block - 1) / per_block), static_cast<unsigned>(jobs.size()));
    simt::launch(name, grid, dim3(ts::cuda::kPoseThreads), 0, options, [&] { kernel(args); });
  };
  launch("pose_vertices_kernel", v, ts::cuda::kPoseVertices, ts::cuda::pose_vertices_kernel);
  launch("pose_triangles_kernel", triangles, ts::cuda::kPoseThreads, ts::cuda::pose_triangles_kernel);
  launch("pose_gaussians_kernel", n, ts::cuda::kPoseThreads, ts::cuda::pose_gaussians_kernel);
}

void pose_on_cpu(const SampleRig& rig, const ts::PoseKernels& kernels, Posed& out) {
  ts::PoseArgs a = rig.args;
  a.position_w = out.position.data();
  a.axes = out.axes.data(), a.axes_quat = out.axes_quat.data(), a.axes_size = out.axes_size.data();
  a.rows.mean = out.mean.data(), a.rows.quat = out.quat.data(), a.rows.scale = out.scale.data();
  kernels.vertices(a, 0, ts::pose_blocks(a.mesh.v));
  if (a.binding.follow == PoseFollow::kTriangle) kernels.triangles(a, 0, ts::pose_blocks(a.binding.n_triangles));
  kernels.gaussians(a, 0, ts::pose_blocks(a.binding.n));
}

// Of the first n floats, how many have other bits. Any NaN is any other: the sign that an operation gives one is not
// defined.
int64_t other_bits(const Guarded& a, const Guarded& b, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float x = a.data()[i], y = b.data()[i];
    if (std::isnan(x) && std::isnan(y)) continue;
    count += std::memcmp(&x, &y, sizeof x) != 0;
  }
  return count;
}

double worst_difference(const float* a, const double* b, int64_t n) {
  double worst = 0;
  for (int64_t i = 0; i < n; ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

std::string name_of(const RigShape& s) {
  const char* follow[] = {"nothing", "triangles", "vertex axes", "vertex positions"};
  char text[200];
  std::snprintf(text, sizeof text,
                "follow %s, v %lld, s %lld, j %lld, n %lld, triangles %lld%s%s: ", follow[static_cast<int>(s.follow)],
                static_cast<long long>(s.v), static_cast<long long>(s.s), static_cast<long long>(s.j),
                static_cast<long long>(s.n), static_cast<long long>(s.n_triangles), s.rigid ? ", rigid" : "",
                s.hostile ? ", hostile" : "");
  return text;
}

// Everything that a frame must hold, whatever it is compared with.
void check_written(const RigShape& shape, const Posed& gpu) {
  const std::string name = name_of(shape);
  const bool turns = shape.follow == PoseFollow::kTriangle || shape.follow == PoseFollow::kVertexAxes;
  CHECK_MESSAGE(gpu.intact(), name + "a word outside an array was written");
  CHECK_MESSAGE(turns || (gpu.axes.untouched() && gpu.axes_quat.untouched() && gpu.quat.untouched()),
                name + "axes or quaternions were written, which are constant");
  CHECK_MESSAGE(shape.follow == PoseFollow::kTriangle || (gpu.axes_size.untouched() && gpu.scale.untouched()),
                name + "sizes or scales were written, which are constant");
}

struct Worst {
  double vertex = 0, mean = 0, rotation = 0, scale = 0;
};

void check_against_float64(const RigShape& shape, const SampleRig& rig, const Posed& gpu, Worst& worst) {
  const PosedRef ref = pose_ref(rig);
  Worst here;
  for (int64_t slot = 0; slot < rig.v_slots(); ++slot) {
    here.vertex = std::max(here.vertex, worst_difference(gpu.position.data() + 4 * slot, &ref.vertex[3 * slot], 3));
    CHECK(gpu.position.data()[4 * slot + 3] == 0.0f);
  }
  for (int64_t i = 0; i < shape.n; ++i) {
    const double slack = ref.slack.empty() ? 1 : ref.slack[i];
    here.mean = std::max(here.mean, worst_difference(gpu.mean.data() + 3 * i, &ref.mean[3 * i], 3) / slack);
    if (!ref.scale.empty())
      here.scale = std::max(here.scale, worst_difference(gpu.scale.data() + 3 * i, &ref.scale[3 * i], 3) / slack);
    if (ref.rotation.empty()) continue;
    const float* q = gpu.quat.data() + 4 * i;
    const float w = q[0], x = q[1], y = q[2], z = q[3];
    const float r[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                        2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                        2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
    here.rotation = std::max(here.rotation, worst_difference(r, &ref.rotation[9 * i], 9) / slack);
  }
  // Coordinates are within 10, so that a rounding is 5e-7.
  CHECK_MESSAGE(here.vertex < 3e-6 && here.mean < 6e-6 && here.rotation < 3e-6 && here.scale < 3e-6,
                name_of(shape) + "too far from float64");
  worst.vertex = std::max(worst.vertex, here.vertex), worst.mean = std::max(worst.mean, here.mean);
  worst.rotation = std::max(worst.rotation, here.rotation), worst.scale = std::max(worst.scale, here.scale);
}

// A thread stops squaring a blend's form when its own vertex is there, the CPU when all lanes of a register are: such
// quaternions differ by roundings, and what is computed from them.
bool same_turns(const RigShape& s) { return s.follow != PoseFollow::kVertexAxes || s.rigid; }

void check_against_cpu(const RigShape& shape, const SampleRig& rig, const ts::PoseKernels& kernels, const Posed& gpu) {
  Posed cpu(rig, rig.n_slots());
  pose_on_cpu(rig, kernels, cpu);
  const std::string name = name_of(shape);
  const auto same = [&](const char* what, const Guarded& a, const Guarded& b, int64_t n) {
    const int64_t count = other_bits(a, b, n);
    CHECK_MESSAGE(count == 0, name + std::to_string(count) + " of " + std::to_string(n) + " numbers of " + what +
                                  " have other bits than the CPU's");
  };
  same("position_w", gpu.position, cpu.position, gpu.position.size());
  same("axes", gpu.axes, cpu.axes, gpu.axes.size());
  same("axes_size", gpu.axes_size, cpu.axes_size, gpu.axes_size.size());
  same("mean", gpu.mean, cpu.mean, gpu.mean.size());
  same("scale", gpu.scale, cpu.scale, gpu.scale.size());
  if (same_turns(shape)) {
    same("axes_quat", gpu.axes_quat, cpu.axes_quat, gpu.axes_quat.size());
    same("quat", gpu.quat, cpu.quat, gpu.quat.size());
  }
}

void test_every_rig(const ts::PoseKernels* kernels) {
  std::vector<RigShape> shapes;
  // Numbers of Gaussians around a warp, a block of threads, and several of them; vertices around the 16 of a warp and
  // the 64 of a block; lists of shapes around the 8 that are fetched at once and the 32 that lanes read.
  for (int64_t n : {0, 1, 31, 32, 33, 127, 128, 129, 255, 256, 257, 700}) {
    shapes.push_back({PoseFollow::kNothing, 0, 0, 0, n});
    shapes.push_back({PoseFollow::kVertexPosition, 70, 9, n % 2, n});
    shapes.push_back({PoseFollow::kVertexAxes, 70, 9, 3, n});
    shapes.push_back({PoseFollow::kTriangle, 70, 9, n % 2, n, 131, 0.5, n % 2 == 0});
  }
  for (int64_t v : {3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 255, 256, 257, 1000}) {
    shapes.push_back({PoseFollow::kTriangle, v, 40, 4, 50, v});
    shapes.push_back({PoseFollow::kVertexAxes, v, 3, 5, 50});
    shapes.push_back({PoseFollow::kVertexPosition, v, 12, 0, 50});
  }
  for (int64_t s : {0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 400}) {
    shapes.push_back({PoseFollow::kVertexPosition, 40, s, 0, 40, 0, 1.0});
    shapes.push_back({PoseFollow::kVertexAxes, 48, s, 2, 40, 0, 0.2, false, true});
  }
  shapes.push_back({PoseFollow::kVertexAxes, 320, 30, 7, 300, 0, 0.3, false, true});
  // Of the sizes of a FLAME head and of LAM's.
  shapes.push_back({PoseFollow::kTriangle, 5023, 400, 5, 10000, 9976, 0.6});
  shapes.push_back({PoseFollow::kVertexAxes, 20018, 51, 11, 20018, 0, 0.18});

  Worst worst;
  uint32_t seed = 1;
  for (const RigShape& shape : shapes) {
    const SampleRig rig(shape, ++seed);
    Posed gpu(rig, shape.n);
    pose_on_gpu({job_of(rig, gpu)});
    check_written(shape, gpu);
    check_against_float64(shape, rig, gpu, worst);
    if (kernels != nullptr) check_against_cpu(shape, rig, *kernels, gpu);
  }
  std::printf("from float64 at most: vertex %.1e, mean %.1e, rotation %.1e, scale %.1e\n", worst.vertex, worst.mean,
              worst.rotation, worst.scale);
}

void test_hostile_numbers(const ts::PoseKernels* kernels) {
  uint32_t seed = 100;
  for (PoseFollow follow :
       {PoseFollow::kNothing, PoseFollow::kTriangle, PoseFollow::kVertexAxes, PoseFollow::kVertexPosition}) {
    for (int64_t j : {0, 4}) {
      if (follow == PoseFollow::kVertexAxes && j == 0) continue;
      RigShape shape = {follow, 200, 40, j, 500, 150};
      shape.hostile = true;
      const SampleRig rig(shape, ++seed);
      Posed gpu(rig, shape.n);
      pose_on_gpu({job_of(rig, gpu)});
      check_written(shape, gpu);
      if (kernels != nullptr) check_against_cpu(shape, rig, *kernels, gpu);
    }
  }
}

// A shape that nobody uses does nothing, whatever is in it; -0 is no weight either.
void test_weights_of_zero() {
  const RigShape shape = {PoseFollow::kVertexPosition, 64, 50, 0, 64, 0, 1.0};
  const SampleRig rig(shape, 7);
  Posed plain(rig, shape.n), spoiled(rig, shape.n);
  pose_on_gpu({job_of(rig, plain)});
  std::vector<float> delta(rig.args.mesh.shape_delta,
                           rig.args.mesh.shape_delta + 3 * ts::kPoseBlock * rig.args.mesh.shape_start[4]);
  std::vector<float> weight(rig.args.control.weight, rig.args.control.weight + shape.s);
  int n_unused = 0;
  for (int64_t e = 0; e < rig.args.mesh.shape_start[4]; ++e) {
    if (weight[rig.args.mesh.shape[e]] != 0) continue;
    std::fill_n(delta.begin() + e * 3 * ts::kPoseBlock, 3 * ts::kPoseBlock, NAN);
    ++n_unused;
  }
  std::replace_if(weight.begin(), weight.end(), [](float w) { return w == 0; }, -0.0f);
  CHECK(n_unused > 0);
  PoseJob job = job_of(rig, spoiled);
  job.shape_delta = delta.data(), job.weight = weight.data();
  pose_on_gpu({job});
  CHECK(other_bits(plain.position, spoiled.position, plain.position.size()) == 0);
  CHECK(other_bits(plain.mean, spoiled.mean, plain.mean.size()) == 0);
}

// Where fewer than eight shapes are left, what is fetched in place of the others is not added: -0 stays -0 only so.
void test_signs_of_zero() {
  const RigShape shape = {PoseFollow::kVertexPosition, 16, 40, 0, 0, 0, 1.0};
  const SampleRig rig(shape, 9);
  Posed out(rig, 0);
  const std::vector<float> rest(3 * ts::kPoseBlock, -0.0f), delta(3 * ts::kPoseBlock * shape.s, -0.0f);
  std::vector<float> weight(shape.s, 0.0f);
  for (int s : {0, 5, 31, 39}) weight[s] = 1;
  PoseJob job = job_of(rig, out);
  job.rest = rest.data(), job.shape_delta = delta.data(), job.weight = weight.data();
  for (float& t : job.translation) t = -0.0f;
  pose_on_gpu({job});
  int n_negative = 0;
  for (int64_t i = 0; i < out.position.size(); ++i) n_negative += i % 4 < 3 && std::signbit(out.position.data()[i]);
  CHECK(n_negative == 3 * ts::kPoseBlock);
}

// Frames of several avatars in one launch, and places that no frame fills, in every order: the bits of each alone.
void test_several_frames() {
  const RigShape shapes[] = {
      {PoseFollow::kTriangle, 150, 20, 3, 300, 170}, {PoseFollow::kNothing, 0, 0, 0, 0},
      {PoseFollow::kVertexAxes, 33, 40, 5, 120},     {PoseFollow::kNothing, 0, 0, 0, 513},
      {PoseFollow::kVertexPosition, 300, 3, 0, 1},
  };
  std::vector<std::unique_ptr<SampleRig>> rigs;
  std::vector<std::unique_ptr<Posed>> alone;
  for (const RigShape& shape : shapes) {
    rigs.push_back(std::make_unique<SampleRig>(shape, static_cast<uint32_t>(50 + rigs.size())));
    alone.push_back(std::make_unique<Posed>(*rigs.back(), shape.n));
    pose_on_gpu({job_of(*rigs.back(), *alone.back())});
  }
  for (simt::Order order : simt::kOrders) {
    simt::Options options;
    options.order = order, options.seed = 3;
    std::vector<std::unique_ptr<Posed>> together;
    std::vector<PoseJob> jobs;
    for (size_t i = 0; i < rigs.size(); ++i) {
      together.push_back(std::make_unique<Posed>(*rigs[i], shapes[i].n));
      jobs.push_back(job_of(*rigs[i], *together.back()));
    }
    jobs.push_back(PoseJob{});
    pose_on_gpu(jobs, options);
    for (size_t i = 0; i < rigs.size(); ++i) {
      check_written(shapes[i], *together[i]);
      const auto same = [&](const Guarded& a, const Guarded& b) { return other_bits(a, b, a.size()) == 0; };
      CHECK_MESSAGE(same(alone[i]->position, together[i]->position) && same(alone[i]->axes, together[i]->axes) &&
                        same(alone[i]->axes_quat, together[i]->axes_quat) &&
                        same(alone[i]->axes_size, together[i]->axes_size) && same(alone[i]->mean, together[i]->mean) &&
                        same(alone[i]->quat, together[i]->quat) && same(alone[i]->scale, together[i]->scale),
                    name_of(shapes[i]) + "other bits with others in the launch, order " +
                        std::to_string(static_cast<int>(order)));
    }
  }
}

}  // namespace

int main() {
  const ts::KernelTable* table = nullptr;
  const ts::Status status = ts::find_kernels("avx2", &table);
  if (!status.ok()) std::printf("not compared with the CPU's kernel: %s\n", status.message().c_str());
  const ts::PoseKernels* kernels = status.ok() ? &table->pose : nullptr;
  test_every_rig(kernels);
  test_hostile_numbers(kernels);
  test_weights_of_zero();
  test_signs_of_zero();
  test_several_frames();
  return ts_test::report("test_pose");
}
