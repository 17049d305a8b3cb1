// SPDX-License-Identifier: Apache-2.0
#include "simt/cuda_test.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cpp/check.h"
#include "cpu/backend.h"
#include "cuda/backend.h"
#include "ops/pose.h"

namespace ts_test {
namespace {

constexpr unsigned char kUntouched = 0x5a;
constexpr int64_t kGap = 12;  // bytes between rows: whole floats, but not whole words of 16 bytes

template <class Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function) return;
  std::fprintf(stderr, "the fake driver has no %s\n", name);
  std::exit(2);
}

}  // namespace

FakeDriver::FakeDriver(const char* path) {
  setenv("TALKSPLAT_LIBCUDA", path, 1);
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(2);
  }
  find(library, "fake_cuda_reset", reset);
  find(library, "fake_cuda_inside", inside);
  find(library, "fake_cuda_calls", calls);
  find(library, "fake_cuda_calls_of", calls_of);
  find(library, "fake_cuda_allocations", allocations);
  find(library, "fake_cuda_left", left);
  find(library, "fake_cuda_call", call);
  find(library, "fake_cuda_ran", ran);
  find(library, "fake_cuda_interpret", interpret);
}

Setting::Setting(const FakeDriver& driver, const char* name, const std::string& value) : driver_(driver), name_(name) {
  setenv(name, value.c_str(), 1);
  driver.reset();
}
Setting::~Setting() {
  unsetenv(name_);
  driver_.reset();
}

std::shared_ptr<ts::Backend> open_cpu_backend() {
  std::unique_ptr<ts::Backend> cpu;
  const ts::Status opened = ts::open_cpu(1, nullptr, cpu);
  CHECK_MESSAGE(opened.ok(), opened.message());
  return cpu;
}

ts::Status open_gpu(std::shared_ptr<ts::Backend>& gpu, uint32_t max_instances, int ordinal) {
  std::unique_ptr<ts::Backend> opened;
  TS_RETURN_IF_ERROR(ts::open_cuda(ordinal, open_cpu_backend(), opened, max_instances));
  gpu = std::move(opened);
  return {};
}

Cloud::Cloud(int64_t n, int sh_degree, uint32_t seed, float spread) : n_(n), sh_degree_(sh_degree), state_(seed) {
  const int colors = sh_degree < 0 ? 3 : 3 * ts::sh_coefficients(sh_degree);
  for (int64_t i = 0; i < n; ++i) {
    mean.insert(mean.end(), {2 * spread * random(), 2 * spread * random(), 4 + random()});
    quat.insert(quat.end(), {random() + 1.5f, random(), random(), random()});
    for (int c = 0; c < 3; ++c) scale.push_back(0.1f * spread * (1.1f + random()));
    opacity.push_back(0.5f + 0.499f * random());
    for (int c = 0; c < colors; ++c) color.push_back(sh_degree < 0 ? 0.5f + 0.5f * random() : 0.3f * random());
  }
  local_.assign(static_cast<size_t>(ts::pose_blocks(n) * ts::kPoseLocal * ts::kPoseBlock), 0.0f);
  for (int64_t i = 0; i < n; ++i) {
    float* local = local_.data() + i / ts::kPoseBlock * ts::kPoseLocal * ts::kPoseBlock + i % ts::kPoseBlock;
    const auto put = [&](const std::vector<float>& rows, int64_t columns) {
      for (int64_t c = 0; c < columns; ++c, local += ts::kPoseBlock)
        *local = rows[static_cast<size_t>(i * columns + c)];
    };
    put(mean, 3), put(quat, 4), put(scale, 3);
  }
}

// [-1, 1), by Numerical Recipes' generator.
float Cloud::random() {
  state_ = state_ * 1664525 + 1013904223;
  return static_cast<float>(state_ >> 8) / (1 << 23) - 1;
}

ts::ModelView Cloud::view() const {
  ts::ModelView view;
  view.binding.n = n_;
  view.binding.local = local_.data();
  view.gaussians = gaussians();
  view.gaussians.mean = view.gaussians.quat = view.gaussians.scale = nullptr;
  view.program = &program_;
  return view;
}

ts::GaussianView Cloud::gaussians() const {
  return {n_,
          mean.data(),
          quat.data(),
          scale.data(),
          opacity.data(),
          color.data(),
          sh_degree_,
          sh_degree_ < 0 ? 0 : ts::sh_coefficients(sh_degree_)};
}

ts::Camera camera_of(int width, int height) {
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  return {{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, 1.5f * h, 1.5f * h, w / 2, h / 2, 0.2f};
}

Pixels::Pixels(const ts::Canvas& of) : canvas(of), stride_bytes(ts::row_bytes(of.format, of.width) + kGap) {
  bytes.assign(static_cast<size_t>(stride_bytes * rows()), kUntouched);
  const size_t pixels = static_cast<size_t>(of.width) * static_cast<size_t>(of.height);
  if (of.alpha) alpha.assign(pixels, -1.0f);
  if (of.depth) depth.assign(pixels, -1.0f);
}

int64_t Pixels::rows() const { return canvas.format == ts::Format::kNv12 ? canvas.height * 3 / 2 : canvas.height; }

ts::Image Pixels::image() {
  return {canvas.width,
          canvas.height,
          canvas.format,
          stride_bytes,
          bytes.data(),
          alpha.empty() ? nullptr : alpha.data(),
          depth.empty() ? nullptr : depth.data()};
}

bool Pixels::gaps_are_untouched() const {
  for (int64_t row = 0; row < rows(); ++row) {
    const auto end = bytes.begin() + (row + 1) * stride_bytes;
    if (!std::all_of(end - kGap, end, [](unsigned char c) { return c == kUntouched; })) return false;
  }
  return true;
}

bool operator==(const Pixels& a, const Pixels& b) {
  const auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0);
  };
  return a.bytes == b.bytes && same(a.alpha, b.alpha) && same(a.depth, b.depth);
}

double difference(const Pixels& a, const Pixels& b) {
  double largest = 0;
  const int64_t row_bytes = ts::row_bytes(a.canvas.format, a.canvas.width);
  for (int64_t row = 0; row < a.rows(); ++row) {
    const unsigned char *x = a.bytes.data() + row * a.stride_bytes, *y = b.bytes.data() + row * b.stride_bytes;
    if (a.canvas.format == ts::Format::kRgbF32) {
      for (int64_t i = 0; i < row_bytes; i += 4) {
        float p, q;
        std::memcpy(&p, x + i, 4), std::memcpy(&q, y + i, 4);
        largest = std::max(largest, 255 * std::abs(double{p} - q));
      }
    } else {
      for (int64_t i = 0; i < row_bytes; ++i) largest = std::max(largest, std::abs(double{1} * x[i] - y[i]));
    }
  }
  return largest;
}

double plane_difference(const Pixels& a, const Pixels& b) {
  double largest = 0;
  for (size_t i = 0; i < a.alpha.size(); ++i) largest = std::max(largest, std::abs(double{a.alpha[i]} - b.alpha[i]));
  for (size_t i = 0; i < a.depth.size(); ++i) largest = std::max(largest, std::abs(double{a.depth[i]} - b.depth[i]));
  return largest;
}

CloudFrame::CloudFrame(ts::Backend& on, const Cloud& cloud, const ts::Canvas& canvas) : backend(on), pixels(canvas) {
  made = on.load(cloud.view(), model);
  if (made.ok()) made = on.make_frame(model, canvas, frame);
}

ts::DrawCall CloudFrame::call() {
  ts::DrawCall call;
  call.frame = frame.get();
  call.camera = camera_of(pixels.canvas.width, pixels.canvas.height);
  call.background = background;
  call.image = pixels.image();
  call.receipt = &receipt;
  return call;
}

ts::Status CloudFrame::draw() {
  if (!made.ok()) return made;
  const ts::DrawCall one = call();
  return backend.draw(&one, 1);
}

}  // namespace ts_test
