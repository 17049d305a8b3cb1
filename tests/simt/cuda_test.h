// SPDX-License-Identifier: Apache-2.0
// What tests of csrc/cuda share: the fake driver and its faults, clouds of Gaussians that are models of their own, and
// pictures to compare.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "ops/backend.h"
#include "simt/fake_cuda.h"

namespace ts_test {

// The functions of simt/fake_cuda.h, in the library at `path`, which csrc/cuda loads from now on.
struct FakeDriver {
  explicit FakeDriver(const char* path);
  void (*reset)() = nullptr;
  int (*inside)() = nullptr;
  int (*calls)() = nullptr;
  int (*calls_of)(const char*) = nullptr;
  int (*allocations)() = nullptr;
  int (*left)() = nullptr;
  const char* (*call)(int) = nullptr;
  int (*ran)() = nullptr;
  void (*interpret)(FakeInterpreter) = nullptr;
};

// A setting of the fake driver while this lives; both ends reset it.
class Setting {
 public:
  Setting(const FakeDriver& driver, const char* name, const std::string& value);
  Setting(const FakeDriver& driver, const char* name, int value) : Setting(driver, name, std::to_string(value)) {}
  ~Setting();
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const FakeDriver& driver_;
  const char* const name_;
};

std::shared_ptr<ts::Backend> open_cpu_backend();
// max_instances: as in open_cuda().
ts::Status open_gpu(std::shared_ptr<ts::Backend>& gpu, uint32_t max_instances = UINT32_MAX, int ordinal = 0);

// n Gaussians before a camera at the origin that looks along z, at rest: a model without a rig.
class Cloud {
 public:
  // sh_degree: -1 for RGB. spread: standard deviations of their places and of their sizes are about this.
  Cloud(int64_t n, int sh_degree, uint32_t seed, float spread = 0.5f);
  Cloud(const Cloud&) = delete;
  Cloud& operator=(const Cloud&) = delete;
  ts::ModelView view() const;
  ts::GaussianView gaussians() const;  // with their own means, quaternions and scales

  std::vector<float> mean, quat, scale, opacity, color;

 private:
  float random();
  const int64_t n_;
  const int sh_degree_;
  uint32_t state_;
  std::vector<float> local_;
  ts::DeformProgram program_;
};

ts::Camera camera_of(int width, int height);

// The caller's memory for a picture: rows further apart than they are long, and filled with a pattern.
struct Pixels {
  explicit Pixels(const ts::Canvas& canvas);
  ts::Image image();
  bool gaps_are_untouched() const;
  int64_t rows() const;

  ts::Canvas canvas;
  int64_t stride_bytes;
  std::vector<unsigned char> bytes;
  std::vector<float> alpha, depth;  // where the canvas has them
};
bool operator==(const Pixels& a, const Pixels& b);

// The largest difference between the pixels of two pictures of one canvas, in 1/255, and of their planes.
double difference(const Pixels& a, const Pixels& b);
double plane_difference(const Pixels& a, const Pixels& b);

// A frame of a cloud, and how it is drawn.
struct CloudFrame {
  CloudFrame(ts::Backend& on, const Cloud& cloud, const ts::Canvas& canvas);
  ts::DrawCall call();
  ts::Status draw();  // it alone

  ts::Backend& backend;
  ts::Status made;
  std::shared_ptr<const ts::BackendModel> model;
  std::unique_ptr<ts::BackendFrame> frame;
  Pixels pixels;
  ts::Receipt receipt;
  ts::Background background;
};

}  // namespace ts_test
