// SPDX-License-Identifier: Apache-2.0
// deform from inside, on every instruction set: what it refuses, that it writes its own rows and no word more, and that
// neither the number of threads nor what memory held before changes a bit. Its numbers are tested from Python
// (tests/ops).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "check.h"
#include "core/thread_pool.h"
#include "cpu/deform.h"
#include "cpu/kernel_table.h"
#include "engine/avatar_file.h"
#include "ops/backend.h"
#include "sample_deform.h"

using ts_test::contains;
using ts_test::SampleDeform;

namespace {

constexpr int kGuard = 64;  // floats on either side
constexpr float kFill = -7.25e20f;

void expect(const ts::Status& status, const char* part) {
  CHECK_MESSAGE(status.code() == ts::StatusCode::kInvalidArgument, std::string("expected an error: ") + part);
  CHECK_MESSAGE(contains(status.message(), part), std::string("expected: ") + part + "\n  got: " + status.message());
}

// An array between guard words.
class Guarded {
 public:
  explicit Guarded(int64_t n) : n_(static_cast<size_t>(n)), memory_(n_ + 2 * kGuard, kFill) {}
  float* data() { return memory_.data() + kGuard; }
  bool intact() const {
    const auto filled = [](float x) { return x == kFill; };
    return std::all_of(memory_.begin(), memory_.begin() + kGuard, filled) &&
           std::all_of(memory_.end() - kGuard, memory_.end(), filled);
  }
  bool written() const {
    return std::none_of(memory_.begin() + kGuard, memory_.end() - kGuard, [](float x) { return x == kFill; });
  }
  bool operator==(const Guarded& other) const {
    return n_ == other.n_ && std::memcmp(memory_.data(), other.memory_.data(), memory_.size() * sizeof(float)) == 0;
  }

 private:
  size_t n_;
  std::vector<float> memory_;
};

struct Rows {
  Guarded mean, quat, scale, opacity, color;
  explicit Rows(int64_t n, int64_t color_columns)
      : mean(3 * n), quat(4 * n), scale(3 * n), opacity(n), color(color_columns * n) {}
  ts::GaussianRows rows() { return {mean.data(), quat.data(), scale.data(), opacity.data(), color.data()}; }
  bool all(bool (Guarded::*what)() const) const {
    return (mean.*what)() && (quat.*what)() && (scale.*what)() && (opacity.*what)() && (color.*what)();
  }
  bool operator==(const Rows& o) const {
    return mean == o.mean && quat == o.quat && scale == o.scale && opacity == o.opacity && color == o.color;
  }
};

// A sample as the engine holds it: the file's bytes, and the rows that pose would have made.
struct Program {
  std::vector<uint8_t> bytes;
  ts::AvatarFile file;
  std::vector<float> control;

  explicit Program(const SampleDeform& sample) : bytes(sample.file()) {
    const ts::Status status = ts::parse_avatar_file(bytes.data(), bytes.size(), file);
    CHECK_MESSAGE(status.ok(), status.message());
    for (const ts::AvatarInput& input : file.inputs)
      control.insert(control.end(), input.default_value.begin(), input.default_value.end());
    for (size_t i = 0; i < control.size(); ++i) control[i] += 0.1f * static_cast<float>(i % 7);
  }
  ts::DeformArgs args(Rows& rows, const float* eye_w = nullptr) const {
    ts::DeformArgs args;
    args.program = &file.program;
    args.control = control.data();
    args.in = file.gaussians;
    args.rows = rows.rows();
    args.eye_w = eye_w;
    return args;
  }
};

struct Runner {
  ts::ThreadPool pool;
  std::vector<ts::Buffer<float>> scratch;
  explicit Runner(int threads) : pool(threads) {}
  ts::Status run(const ts::CpuDeform& deform, const ts::DeformArgs& args, ts::GaussianView& out) {
    // What a thread's scratch held before must not matter.
    scratch.resize(static_cast<size_t>(pool.threads()));
    for (ts::Buffer<float>& words : scratch) {
      words.reserve(static_cast<size_t>(deform.scratch_words()));
      std::fill_n(words.data(), words.capacity(), std::numeric_limits<float>::quiet_NaN());
    }
    return ts::DeformFrame(deform).run(args, deform, pool, scratch, out);
  }
};

template <class Body>
void on_every_isa(const Body& body) {
  for (int i = 0; i < ts::isa_count(); ++i) {
    const ts::KernelTable* kernels = nullptr;
    CHECK(ts::find_kernels(ts::isa_name(i), &kernels).ok());
    for (const auto precision : {ts::DeformPrecision::kFp32, ts::DeformPrecision::kBf16}) body(*kernels, precision);
  }
}

void writes_its_own_rows() {
  const float eye_w[3] = {0.5f, -1, -4};
  Runner runner(1);
  for (int n = 0; n <= 100; ++n) {
    for (const bool sh : {false, true}) {
      SampleDeform sample(n - n / 3, n / 3);
      if (sh) sample.add_to_sh();
      const Program program(sample);
      on_every_isa([&](const ts::KernelTable& kernels, ts::DeformPrecision precision) {
        const ts::CpuDeform deform(program.file.program, program.file.gaussians, kernels, precision);
        for (const float* eye : {static_cast<const float*>(nullptr), eye_w}) {
          Rows rows(n, !sh || eye ? 3 : 12);
          ts::GaussianView out;
          const ts::Status status = runner.run(deform, program.args(rows, eye), out);
          const std::string what = std::string(kernels.isa) + ", n = " + std::to_string(n) + (sh ? ", sh" : "");
          CHECK_MESSAGE(status.ok(), what + ": " + status.message());
          CHECK_MESSAGE(rows.all(&Guarded::intact) && rows.all(&Guarded::written), what);
          CHECK(out.n == n && out.sh_degree == (sh && !eye ? 1 : -1));
          CHECK(std::all_of(rows.mean.data(), rows.mean.data() + 3 * n, [](float x) { return std::abs(x) < 10; }));
        }
      });
    }
  }
}

void threads_change_no_bit() {
  SampleDeform sample(1500, 777);
  sample.add_to_sh();
  const Program program(sample);
  const float eye_w[3] = {0, 0, -4};
  Runner one(1), eight(8);
  on_every_isa([&](const ts::KernelTable& kernels, ts::DeformPrecision precision) {
    const ts::CpuDeform deform(program.file.program, program.file.gaussians, kernels, precision);
    Rows by_one(2277, 3), by_eight(2277, 3);
    ts::GaussianView out;
    CHECK(one.run(deform, program.args(by_one, eye_w), out).ok());
    CHECK(eight.run(deform, program.args(by_eight, eye_w), out).ok());
    CHECK_MESSAGE(by_one == by_eight, kernels.isa);
  });
}

// A block may be read whole, but never past the last Gaussian: arrays of the exact size, for AddressSanitizer.
void reads_no_further() {
  Runner runner(2);
  for (const int n : {1, 47, 48, 49}) {
    const Program program(SampleDeform(n, 1));
    const ts::GaussianView& g = program.file.gaussians;
    const std::vector<float> mean(g.mean, g.mean + 3 * g.n), quat(g.quat, g.quat + 4 * g.n),
        scale(g.scale, g.scale + 3 * g.n), opacity(g.opacity, g.opacity + g.n), color(g.color, g.color + 3 * g.n);
    on_every_isa([&](const ts::KernelTable& kernels, ts::DeformPrecision precision) {
      const ts::CpuDeform deform(program.file.program, g, kernels, precision);
      Rows rows(g.n, 3);
      ts::DeformArgs args = program.args(rows);
      args.in = {g.n, mean.data(), quat.data(), scale.data(), opacity.data(), color.data(), -1, 0};
      ts::GaussianView out;
      CHECK(runner.run(deform, args, out).ok());
      // The mouth adds nothing to these: they are the same after as before.
      CHECK(rows.quat.data()[4 * n] == quat[static_cast<size_t>(4 * n)] &&
            rows.opacity.data()[n] == opacity[static_cast<size_t>(n)] &&
            rows.color.data()[3 * n] == color[static_cast<size_t>(3 * n)]);
    });
  }
}

// Numbers that overflow on their way: what comes out may be no number, but nothing breaks.
void survives_overflow() {
  Runner runner(1);
  Program program(SampleDeform(70, 30));
  on_every_isa([&](const ts::KernelTable& kernels, ts::DeformPrecision precision) {
    const ts::CpuDeform deform(program.file.program, program.file.gaussians, kernels, precision);
    for (const float huge : {3e38f, -3e38f, 1e20f, 1e-42f}) {
      std::fill(program.control.begin(), program.control.end(), huge);
      Rows rows(100, 3);
      ts::GaussianView out;
      CHECK(runner.run(deform, program.args(rows), out).ok());
      CHECK(rows.all(&Guarded::intact));
      const auto in_range = [](const float* x, int64_t n, float low, float high) {
        return std::all_of(x, x + n, [&](float v) { return v >= low && v <= high; });
      };
      CHECK_MESSAGE(in_range(rows.opacity.data(), 100, 0, 1), kernels.isa);
      CHECK_MESSAGE(in_range(rows.quat.data(), 400, -1.0001f, 1.0001f), kernels.isa);
    }
  });
}

void checks_its_arguments() {
  const Program program(SampleDeform(5, 4));
  const ts::KernelTable* kernels = nullptr;
  CHECK(ts::find_kernels(nullptr, &kernels).ok());
  const ts::CpuDeform deform(program.file.program, program.file.gaussians, *kernels, ts::DeformPrecision::kFp32);
  Runner runner(1);
  Rows rows(9, 3);
  ts::GaussianView out;
  const auto run = [&](const ts::DeformArgs& args) { return runner.run(deform, args, out); };
  ts::DeformArgs args = program.args(rows);
  args.in.n = -1;
  expect(run(args), "n must be >= 0; got -1");
  args.in.n = 8;
  expect(run(args), "branches must have n=8 Gaussians in all; they have 9");
  args = program.args(rows);
  args.program = nullptr;
  expect(run(args), "program must not be NULL");
  args = program.args(rows);
  args.control = nullptr;
  expect(run(args), "control must not be NULL: the program has inputs");
  args = program.args(rows);
  args.in.mean = nullptr;
  expect(run(args), "in.mean and rows.mean must not be NULL");
  args = program.args(rows);
  args.rows.color = nullptr;
  expect(run(args), "in.color and rows.color must not be NULL");
  args = program.args(rows);
  args.rows.opacity = const_cast<float*>(args.in.opacity) + 8;
  expect(run(args), "rows.opacity must not overlap in.opacity");
  args = program.args(rows);
  args.rows.color = const_cast<float*>(args.in.color) - 26;
  expect(run(args), "rows.color must not overlap in.color");
}

void no_branches_are_the_identity() {
  const ts::KernelTable* kernels = nullptr;
  CHECK(ts::find_kernels(nullptr, &kernels).ok());
  std::vector<float> mean(6), quat(8), scale(6), opacity(2), color(6);
  const ts::DeformProgram program;
  const ts::GaussianView in{2, mean.data(), quat.data(), scale.data(), opacity.data(), color.data(), -1, 0};
  const ts::CpuDeform deform(program, in, *kernels, ts::DeformPrecision::kFp32);
  Runner runner(1);
  ts::DeformArgs args;
  args.program = &program;
  args.in = in;
  ts::GaussianView out;
  CHECK(runner.run(deform, args, out).ok());
  CHECK(out.n == 2 && out.mean == mean.data() && out.quat == quat.data() && out.scale == scale.data());
  CHECK(out.opacity == opacity.data() && out.color == color.data() && deform.bytes() == 0);
}

}  // namespace

int main() {
  writes_its_own_rows();
  threads_change_no_bit();
  reads_no_further();
  survives_overflow();
  checks_its_arguments();
  no_branches_are_the_identity();
  return ts_test::report("test_deform");
}
