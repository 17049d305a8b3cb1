// SPDX-License-Identifier: Apache-2.0
// Fuzzer of the .tsplat reader. Whatever the bytes, parse_avatar_file() must refuse them with kAvatarInvalid and a
// message, or accept them, and then every count and index in the AvatarFile must be safe to use: a frame is drawn too.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "engine/avatar_file.h"
#include "engine/renderer.h"
#include "fuzz.h"

const char* const kFuzzer = "fuzz_avatar_file";

namespace {

volatile double sink;  // keeps the reads below

template <class T>
void read_all(const T* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  sink = sum;
}

// Follows every index as the engine does, reads every element that a count promises.
void use(const ts::AvatarFile& a) {
  const int64_t bases = a.gaussians.sh_degree < 0 ? 1 : (a.gaussians.sh_degree + 1) * (a.gaussians.sh_degree + 1);
  REQUIRE(a.gaussians.sh_degree >= -1 && a.gaussians.sh_degree <= 3 && a.source_count >= a.gaussians.n);
  read_all(a.gaussians.mean, 3 * a.gaussians.n);
  read_all(a.gaussians.quat, 4 * a.gaussians.n);
  read_all(a.gaussians.scale, 3 * a.gaussians.n);
  read_all(a.gaussians.opacity, a.gaussians.n);
  read_all(a.gaussians.color, 3 * bases * a.gaussians.n);
  for (int64_t i = 0; i < a.gaussians.n; ++i) REQUIRE(a.source_index[i] < a.source_count);
  read_all(a.vertex, 3 * a.v);
  for (int64_t i = 0; i < 3 * a.f; ++i) REQUIRE(a.triangle[i] < a.v);
  if (a.binding != ts::BindingKind::kStatic) {
    const int64_t limit = a.binding == ts::BindingKind::kTriangle ? a.f : a.v;
    for (int64_t i = 0; i < a.gaussians.n; ++i) REQUIRE(a.binding_index[i] < limit);
  }
  for (int64_t s = 0; s < a.s; ++s) {
    REQUIRE(a.shape_start[s] <= a.shape_start[s + 1] && a.shape_start[s + 1] <= a.z);
    for (int64_t i = a.shape_start[s]; i < a.shape_start[s + 1]; ++i) REQUIRE(a.shape_vertex[i] < a.v);
  }
  read_all(a.shape_delta, 3 * a.z);
  for (int64_t j = 0; j < a.j; ++j) REQUIRE(a.joint_parent[j] >= -1 && a.joint_parent[j] < j);
  read_all(a.joint_rest_local, 12 * a.j);
  read_all(a.joint_inverse_bind, 12 * a.j);
  if (a.joint_shape_delta) read_all(a.joint_shape_delta, 3 * a.s * a.j);
  if (a.j > 0) {
    REQUIRE(a.k >= 1 && a.k <= 8);
    for (int64_t i = 0; i < a.v * a.k; ++i) REQUIRE(a.skin_joint[i] < a.j);
    read_all(a.skin_weight, a.v * a.k);
  }
  REQUIRE(a.width >= 1 && a.height >= 1);
  if (a.plate) read_all(a.plate, int64_t{3} * a.width * a.height);
  if (a.pose_shape_first >= 0) {
    REQUIRE(a.pose_shape_first + 9 * static_cast<int64_t>(a.pose_shape_joints.size()) <= a.s);
    for (const int joint : a.pose_shape_joints) REQUIRE(joint >= 0 && joint < a.j);
  }
  for (const ts::AvatarInput& input : a.inputs) {
    const bool shapes = input.target == ts::InputTarget::kBlendshape;
    REQUIRE(static_cast<int64_t>(input.default_value.size()) == input.size);
    for (const int id : input.index) REQUIRE(id >= (shapes ? -1 : 0) && id < (shapes ? a.s : a.j));
  }
  for (const ts::ConditionStage& stage : a.program.condition.stages) {
    for (const int value : stage.in) REQUIRE(value < stage.out);
  }
  for (const ts::SafetensorsTensor& tensor : a.tensors) {
    auto bytes = static_cast<int64_t>(ts::dtype_bytes(tensor.dtype));
    for (int i = 0; i < tensor.ndim; ++i) bytes *= tensor.shape[i];
    read_all(tensor.data, bytes);
    REQUIRE(!tensor.name.empty());
  }
  REQUIRE(std::strlen(a.manifest.c_str()) == a.manifest.size());
}

// One for each instruction set, with two threads.
const std::vector<std::shared_ptr<ts::Backend>>& engines() {
  static const auto all = [] {
    std::vector<std::shared_ptr<ts::Backend>> made(static_cast<size_t>(ts::isa_count()));
    for (int i = 0; i < ts::isa_count(); ++i)
      REQUIRE(ts::open_backend({"cpu", 2, ts::isa_name(i)}, made[static_cast<size_t>(i)]).ok());
    return made;
  }();
  return all;
}

// From a file, as there is no other way to load one.
std::shared_ptr<const ts::Model> load(const uint8_t* data, size_t size, std::shared_ptr<ts::Backend> engine) {
  std::string path = (std::filesystem::temp_directory_path() / "talksplat_fuzz_XXXXXX").string();
  const int file = mkstemp(path.data());
  REQUIRE(file >= 0 && write(file, data, size) == static_cast<ssize_t>(size));
  std::shared_ptr<const ts::Model> model;
  const ts::Status status = ts::Model::load(path.c_str(), std::move(engine), model);
  close(file);
  std::remove(path.c_str());
  REQUIRE(status.ok());
  return model;
}

// Neutral, then by numbers whose sums and products overflow, then neutral again: the same picture.
void draw(const uint8_t* data, size_t size) {
  constexpr int kWidth = 16, kHeight = 12;
  const size_t pick = size / 8;
  const auto model = load(data, size, engines()[pick % engines().size()]);
  std::unique_ptr<ts::Frame> frame;
  const ts::Precision precision = pick / engines().size() % 2 ? ts::Precision::kFast : ts::Precision::kDefault;
  REQUIRE(ts::Frame::make(model, {kWidth, kHeight, ts::Format::kRgba8, precision, false, false}, frame).ok());
  std::vector<float> huge(static_cast<size_t>(model->layout().size()));
  for (size_t i = 0; i < huge.size(); ++i) huge[i] = i % 3 ? 3e38f : -1e30f;
  uint8_t pixels[3][4 * kWidth * kHeight];
  for (int i = 0; i < 3; ++i) {
    ts::Receipt receipt;
    ts::RenderJob job;
    job.frame = frame.get();
    job.control = i == 1 ? huge.data() : nullptr;
    job.image = {kWidth, kHeight, ts::Format::kRgba8, 4 * kWidth, pixels[i], nullptr, nullptr};
    job.receipt = &receipt;
    const ts::Status status = ts::render(&job, 1);
    REQUIRE(status.ok() || (i == 1 && status.code() == ts::StatusCode::kInvalidArgument));
  }
  REQUIRE(std::equal(pixels[0], pixels[1], pixels[2]));
  const int64_t rows = model->file().source_count;
  if (rows > 1000) return;  // a file of a few rows may say that its source had millions
  std::vector<float> mean(static_cast<size_t>(3 * rows)), color(static_cast<size_t>(48 * rows));
  ts::GaussianRows out;
  out.mean = mean.data(), out.color = color.data();
  REQUIRE(ts::read_gaussians(*frame, nullptr, out).ok());
}

}  // namespace

bool check_one(const uint8_t* data, size_t size) {
  ts::AvatarFile avatar;
  const ts::Status status = ts::parse_avatar_file(data, size, avatar);
  if (status.ok()) {
    use(avatar);
    draw(data, size);
  } else {
    REQUIRE(status.code() == ts::StatusCode::kAvatarInvalid && !status.message().empty());
    REQUIRE(status.message().size() < 1000);  // names from the file are shortened
  }
  return status.ok();
}
