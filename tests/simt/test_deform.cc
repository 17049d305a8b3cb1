// SPDX-License-Identifier: Apache-2.0
// deform.cu against an oracle in float64 and the CPU's float32: the methods' networks and random programs, in both
// precisions, in three orders of threads, several jobs in a launch.
#include "kernels/cuda/deform.cu"
// Before all others: with it begins what a GPU's lanes are.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "cpp/check.h"
#include "cpu/deform.h"
#include "cpu/kernel_table.h"
#include "cuda/deform_plan.h"
#include "ops/backend.h"
#include "simt/sample_program.h"

namespace {

using ts::DeformTarget;
using ts::cuda::DeformJob;
using ts::cuda::DeformPlan;
using ts_test::SampleProgram;

constexpr float kEye[3] = {0.5f, -1, -4};
constexpr float kFill = -7.25e20f;  // what no kernel writes

struct Rows {
  std::vector<float> mean, quat, scale, opacity, color;
  bool operator==(const Rows& o) const {
    const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
      return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), 4 * a.size()) == 0);
    };
    return same(mean, o.mean) && same(quat, o.quat) && same(scale, o.scale) && same(opacity, o.opacity) &&
           same(color, o.color);
  }
};

// A program as a GPU holds it, and the rows of a frame.
class Gpu {
 public:
  Gpu(const SampleProgram& sample, bool fast, const float* eye_w) : sample_(sample), fast_(fast), eye_w_(eye_w) {
    int64_t first = 0;
    for (const ts::DeformBranch& branch : sample.program.branches) {
      plans_.emplace_back(sample.program, branch, sample.posed, first, fast);
      constant_.push_back(plans_.back().take_constant());
      frame_.emplace_back(plans_.back().frame_bytes() / 4);
      first += branch.n;
    }
  }

  // Jobs of a draw, whose rows lie in `rows`; one for each branch.
  std::vector<DeformJob> jobs(Rows& rows) {
    const ts::GaussianView& in = sample_.posed;
    const bool rgb = in.sh_degree < 0 || eye_w_;
    const int64_t columns = rgb ? 3 : ts::color_stride(in), n = in.n;
    const auto make = [&](std::vector<float>& of, int64_t width) { of.assign(static_cast<size_t>(n * width), kFill); };
    make(rows.mean, 3), make(rows.quat, 4), make(rows.scale, 3), make(rows.opacity, 1), make(rows.color, columns);
    std::vector<DeformJob> made;
    int64_t first = 0;
    for (size_t b = 0; b < plans_.size(); ++b) {
      std::vector<float> work(static_cast<size_t>(plans_[b].work_floats()));
      plans_[b].fill(sample_.condition(), work.data(), frame_[b].data());
      DeformJob job{};
      job.layout = plans_[b].layout();
      job.constant = reinterpret_cast<const uint4*>(constant_[b].data());
      job.frame = reinterpret_cast<const uint4*>(frame_[b].data());
      job.mean = in.mean + 3 * first;
      job.color = in.color + 3 * first;
      job.has_eye = eye_w_ != nullptr;
      if (eye_w_) std::copy_n(eye_w_, 3, job.eye_w);
      job.mean_out = rows.mean.data() + 3 * first, job.quat_out = rows.quat.data() + 4 * first;
      job.scale_out = rows.scale.data() + 3 * first, job.opacity_out = rows.opacity.data() + first;
      job.color_out = rows.color.data() + columns * first;
      made.push_back(job);
      first += plans_[b].branch().n;
    }
    return made;
  }

  // What the branches did not write is as it was posed.
  void keep_posed(Rows& rows) const {
    const ts::GaussianView& in = sample_.posed;
    int64_t first = 0;
    for (const ts::DeformBranch& branch : sample_.program.branches) {
      const auto keep = [&](std::vector<float>& of, const float* posed, bool adds, int64_t width) {
        for (int64_t i = width * first; i < width * (first + branch.n); ++i) {
          float& x = of[static_cast<size_t>(i)];
          if (!CHECK_MESSAGE((x == kFill) == !adds, "written, or not written, against what the branch adds to")) return;
          if (!adds) x = posed[i];
        }
      };
      keep(rows.mean, in.mean, branch.adds_to(DeformTarget::kMean), 3);
      keep(rows.quat, in.quat, branch.adds_to(DeformTarget::kRotation), 4);
      keep(rows.scale, in.scale, branch.adds_to_scale(), 3);
      keep(rows.opacity, in.opacity, branch.adds_to(DeformTarget::kLogit), 1);
      const bool sh = branch.adds_to(DeformTarget::kSh);
      const int64_t columns = sh && eye_w_ ? 3 : ts::color_stride(in);
      if (sh || in.sh_degree < 0) keep(rows.color, in.color, sh || branch.adds_to(DeformTarget::kColor), columns);
      first += branch.n;
    }
  }

  const std::vector<DeformPlan>& plans() const { return plans_; }
  bool fast() const { return fast_; }

 private:
  const SampleProgram& sample_;
  const bool fast_;
  const float* eye_w_;
  std::vector<DeformPlan> plans_;
  std::vector<std::vector<uint32_t>> constant_, frame_;
};

void launch(const std::vector<DeformJob>& jobs, bool fast, int warps, simt::Order order) {
  int64_t groups = 0, scratch = 0;
  const int64_t rows = fast ? ts::cuda::kDeformFastRows : ts::cuda::kDeformReferenceRows;
  for (const DeformJob& job : jobs) {
    groups = std::max(groups, (job.layout.n + rows - 1) / rows);
    scratch = std::max<int64_t>(scratch, job.layout.scratch);
  }
  if (groups == 0) return;
  const dim3 grid(static_cast<unsigned>((groups + warps - 1) / warps), static_cast<unsigned>(jobs.size()));
  const auto bytes = static_cast<size_t>(16 * scratch * warps);
  simt::Options options{order, 3};
  options.max_dynamic_bytes = 227 << 10;  // sm_90's
  const ts::cuda::Jobs<DeformJob> args{jobs.data()};
  const char* name = fast ? "deform_fast_kernel" : "deform_reference_kernel";
  simt::launch(name, grid, dim3(static_cast<unsigned>(32 * warps)), bytes, options,
               [&] { fast ? ts::cuda::deform_fast_kernel(args) : ts::cuda::deform_reference_kernel(args); });
}

Rows run(const SampleProgram& sample, bool fast, const float* eye_w, int warps = 2,
         simt::Order order = simt::Order::kAscending) {
  Gpu gpu(sample, fast, eye_w);
  Rows rows;
  launch(gpu.jobs(rows), fast, warps, order);
  gpu.keep_posed(rows);
  return rows;
}

Rows run_cpu(const SampleProgram& sample, const float* eye_w) {
  const ts::KernelTable* kernels = nullptr;
  CHECK(ts::find_kernels(nullptr, &kernels).ok());
  const ts::CpuDeform deform(sample.program, sample.posed, *kernels, ts::DeformPrecision::kFp32);
  const auto n = static_cast<size_t>(sample.posed.n);
  const bool rgb = sample.posed.sh_degree < 0 || eye_w;
  Rows rows{std::vector<float>(3 * n), std::vector<float>(4 * n), std::vector<float>(3 * n), std::vector<float>(n),
            std::vector<float>(n * static_cast<size_t>(rgb ? 3 : ts::color_stride(sample.posed)))};
  ts::DeformArgs args;
  args.program = &sample.program;
  args.control = sample.control.data();
  args.in = sample.posed;
  args.rows = {rows.mean.data(), rows.quat.data(), rows.scale.data(), rows.opacity.data(), rows.color.data()};
  args.eye_w = eye_w;
  ts::ThreadPool pool(1);
  std::vector<ts::Buffer<float>> scratch;
  ts::GaussianView out;
  CHECK(ts::DeformFrame(deform).run(args, deform, pool, scratch, out).ok());
  return rows;
}

// How far off at most: motion by its standard deviation, scales by their logarithm, the rest as it is.
struct Error {
  double mean = 0, quat = 0, scale = 0, opacity = 0, color = 0;
  double worst() const { return std::max({mean, quat, scale, opacity, color}); }
  void take(const Error& o) {
    mean = std::max(mean, o.mean), quat = std::max(quat, o.quat), scale = std::max(scale, o.scale);
    opacity = std::max(opacity, o.opacity), color = std::max(color, o.color);
  }
};

template <class Other>
Error error_of(const SampleProgram& sample, const Rows& rows, const Other& right) {
  const auto worst = [](const auto& a, const auto& b, const auto& map) {
    double most = a.size() == b.size() ? 0 : INFINITY;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      const double off = std::abs(map(a[i]) - map(b[i]));
      most = off <= most ? most : off;  // NaN counts as far off
      if (off != off) most = INFINITY;
    }
    return most;
  };
  const auto same = [](double x) { return x; };
  Error error;
  double motion2 = 0;
  for (size_t i = 0; i < right.mean.size(); ++i) {
    const double moved = right.mean[i] - sample.posed.mean[i];
    motion2 += moved * moved / static_cast<double>(right.mean.size());
  }
  error.mean = worst(rows.mean, right.mean, same) / std::sqrt(std::max(motion2, 1e-12));
  error.quat = worst(rows.quat, right.quat, same);
  if (std::any_of(sample.program.branches.begin(), sample.program.branches.end(),
                  [](const auto& b) { return b.adds_to_scale(); })) {
    // Posed scales here may be negative: they are the same on both sides.
    error.scale = worst(rows.scale, right.scale, [](double x) { return std::log(std::abs(x)); });
  }
  error.opacity = worst(rows.opacity, right.opacity, same);
  error.color = worst(rows.color, right.color, same);
  return error;
}

void print(const char* name, bool fast, const Error& e) {
  std::printf("%-20s %-9s mean %.1e of its motion, rotation %.1e, log scale %.1e, opacity %.1e, color %.1e\n", name,
              fast ? "fast" : "reference", e.mean, e.quat, e.scale, e.opacity, e.color);
}

// Bounds. Fast: a thousandth of the motion's standard deviation is 0.01 px where that is 10 px; half of 1/255 in colour.
// Reference: what a float32 sum of this length may be off by, of mean's own rounding beside its small motion above all.
constexpr Error kFast{4e-3, 2e-3, 2e-3, 5e-4, 2e-3};
constexpr Error kReference{8e-6, 2e-6, 4e-6, 1e-6, 3e-6};

void check_error(const std::string& name, bool fast, const Error& e) {
  const Error& bound = fast ? kFast : kReference;
  const bool holds = e.mean <= bound.mean && e.quat <= bound.quat && e.scale <= bound.scale &&
                     e.opacity <= bound.opacity && e.color <= bound.color;
  if (!CHECK_MESSAGE(holds, name + ": too far off")) print(name.c_str(), fast, e);
}

void test_methods() {
  const struct {
    const char* name;
    SampleProgram sample;
  } methods[] = {{"EmbedTalk W=64", ts_test::embed_talk(100, 64)},
                 {"EmbedTalk W=128", ts_test::embed_talk(65, 128)},
                 {"GaussianTalker", ts_test::gaussian_talker(48, 2, 64, 128, 128, 3)},
                 {"TalkingGaussian", ts_test::talking_gaussian(70, 33)}};
  for (const auto& method : methods) {
    const ts_test::Deformed right = ts_test::deform_ref(method.sample, kEye);
    const Rows cpu = run_cpu(method.sample, kEye);
    for (const bool fast : {true, false}) {
      const Rows rows = run(method.sample, fast, kEye);
      const Error error = error_of(method.sample, rows, right);
      print(method.name, fast, error);
      check_error(method.name, fast, error);
      check_error(std::string(method.name) + ", cpu", fast, error_of(method.sample, rows, cpu));
    }
  }
}

void test_random_programs() {
  Error worst[2];
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const SampleProgram sample = ts_test::random_program(seed, 1 + seed % 40);
    const float* eye_w = seed % 3 ? kEye : nullptr;
    const ts_test::Deformed right = ts_test::deform_ref(sample, eye_w);
    for (const bool fast : {true, false}) {
      const Error error = error_of(sample, run(sample, fast, eye_w, 1), right);
      check_error("random program " + std::to_string(seed), fast, error);
      worst[fast].take(error);
    }
  }
  for (const bool fast : {true, false}) print("random programs", fast, worst[fast]);
}

void test_sizes() {
  for (const int64_t n : {0, 1, 15, 16, 17, 31, 32, 33, 300}) {
    for (const bool fast : {true, false}) {
      const SampleProgram sample = ts_test::talking_gaussian(n, 33);
      check_error("n = " + std::to_string(n), fast,
                  error_of(sample, run(sample, fast, nullptr), ts_test::deform_ref(sample, nullptr)));
      const SampleProgram none = ts_test::random_program(3, 0);
      CHECK(run(none, fast, kEye).mean.empty());
    }
  }
}

// Neither the order of threads, nor the warps of a block, nor what else is launched changes a bit.
void test_order() {
  for (const bool fast : {true, false}) {
    const SampleProgram a = ts_test::gaussian_talker(40, 1, 32, 48, 32, 2), b = ts_test::random_program(8, 70);
    const Rows of_a = run(a, fast, kEye), of_b = run(b, fast, kEye);
    for (const simt::Order order : {simt::Order::kAscending, simt::Order::kDescending, simt::Order::kRandom}) {
      for (const int warps : {1, 4}) {
        Gpu gpu_a(a, fast, kEye), gpu_b(b, fast, kEye);
        Rows rows_a, rows_b;
        std::vector<DeformJob> jobs = gpu_a.jobs(rows_a);
        for (const DeformJob& job : gpu_b.jobs(rows_b)) jobs.push_back(job);
        launch(jobs, fast, warps, order);
        gpu_a.keep_posed(rows_a), gpu_b.keep_posed(rows_b);
        CHECK(rows_a == of_a && rows_b == of_b);
      }
    }
  }
}

// Sizes of numbers that halves have not: matrices and rows are scaled.
void test_scales() {
  for (const float size : {1e-30f, 1e-6f, 1e6f, 1e12f}) {
    for (const bool fast : {true, false}) {
      SampleProgram s(5);
      const int gain = s.input(20, size);
      s.branch("all", 40);
      const int x = s.rows(20, 1 / size), base = s.rows(24, 0.5f);
      s.add(s.linear(x, 24, ts::Activation::kRelu, {gain, -1, base, true}), DeformTarget::kMean);
      const int small = s.rows(24, size);
      s.add(s.norm(small, ts::Activation::kTanh), DeformTarget::kRotation);
      s.finish();
      check_error("numbers around " + std::to_string(size), fast,
                  error_of(s, run(s, fast, nullptr), ts_test::deform_ref(s, nullptr)));
    }
  }
}

// Numbers that overflow on their way: what comes out may be no number, but what is bounded stays so.
void test_overflow() {
  for (const float huge : {3e38f, -3e38f, INFINITY, std::numeric_limits<float>::quiet_NaN()}) {
    for (const bool fast : {true, false}) {
      SampleProgram sample = ts_test::gaussian_talker(33, 1, 16, 16, 16, 1);
      std::fill(sample.control.begin(), sample.control.end(), huge);
      Gpu gpu(sample, fast, kEye);
      Rows rows;
      launch(gpu.jobs(rows), fast, 1, simt::Order::kAscending);
      const auto in_range = [](const std::vector<float>& x, float low, float high) {
        return std::all_of(x.begin(), x.end(), [&](float v) { return v >= low && v <= high; });
      };
      CHECK(in_range(rows.opacity, 0, 1) && in_range(rows.quat, -1.0001f, 1.0001f));
    }
  }
}

void test_warps() {
  const SampleProgram sample = ts_test::gaussian_talker(10, 2, 64, 128, 128, 3);
  const Gpu gpu(sample, true, nullptr);
  const uint64_t bytes = gpu.plans()[0].warp_bytes();
  std::printf("GaussianTalker: %llu bytes a warp\n", static_cast<unsigned long long>(bytes));
  const ts::cuda::SharedMemory turing{64 << 10, 64 << 10, 0}, hopper{227 << 10, 228 << 10, 1 << 10};
  int warps = 0;
  // Four of 13,872 bytes on the one. On the other, with a KiB less for each block, 15 alone, but 16 in pairs.
  CHECK(ts::cuda::choose_warps(gpu.plans(), turing, warps).ok() && warps == 1);
  CHECK(ts::cuda::choose_warps(gpu.plans(), hopper, warps).ok() && warps == 2);
  const ts::Status refused = ts::cuda::choose_warps(gpu.plans(), {bytes - 1, bytes, 0}, warps);
  CHECK(refused.code() == ts::StatusCode::kDeviceError);
  CHECK_MESSAGE(
      ts_test::contains(refused.message(), "cannot run branch \"head\", whose values need " + std::to_string(bytes)),
      refused.message());
  // A program of no branches needs nothing.
  CHECK(ts::cuda::choose_warps({}, turing, warps).ok() && warps == 1);
}

}  // namespace

int main() {
  test_methods();
  test_random_programs();
  test_sizes();
  test_order();
  test_scales();
  test_overflow();
  test_warps();
  return ts_test::report("test_deform_kernels");
}
