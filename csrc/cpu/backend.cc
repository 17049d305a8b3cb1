// SPDX-License-Identifier: Apache-2.0
// The CPU behind the seam: a model is used where it lies, a frame owns what it poses, and all frames take turns on one
// thread pool and the raster's scratch memory.
#include "cpu/backend.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "core/buffer.h"
#include "core/stopwatch.h"
#include "core/thread_pool.h"
#include "cpu/deform.h"
#include "cpu/encode.h"
#include "cpu/kernel_table.h"
#include "cpu/overlay.h"
#include "cpu/pose.h"
#include "cpu/rasterize.h"

namespace ts {
namespace {

template <class T>
T* zeros(Buffer<T>& buffer, int64_t n) {
  T* data = buffer.reserve(static_cast<size_t>(n));
  std::fill(data, data + n, T{});
  return data;
}

class CpuModel final : public BackendModel {
 public:
  CpuModel(const ModelView& model, const KernelTable& kernels) : view(model), kernels_(kernels) {}
  uint64_t bytes() const override {
    const std::lock_guard<std::mutex> lock(packing_);
    uint64_t bytes = 0;
    for (const auto& deform : deform_) bytes += deform ? deform->bytes() : 0;
    return bytes;
  }

  // Packed when the first frame of that precision is made.
  const CpuDeform& deform(DeformPrecision precision) const {
    const std::lock_guard<std::mutex> lock(packing_);
    std::unique_ptr<CpuDeform>& deform = deform_[static_cast<int>(precision)];
    if (!deform) deform = std::make_unique<CpuDeform>(*view.program, view.gaussians, kernels_, precision);
    return *deform;
  }

  const ModelView view;

 private:
  const KernelTable& kernels_;
  mutable std::mutex packing_;
  mutable std::unique_ptr<CpuDeform> deform_[2];  // by DeformPrecision
};

DeformPrecision deform_precision(Precision precision, const DeformProgram& program) {
  if (precision == Precision::kDefault) return program.precision;
  return precision == Precision::kFast ? DeformPrecision::kBf16 : DeformPrecision::kFp32;
}

class CpuFrame final : public BackendFrame {
 public:
  CpuFrame(std::shared_ptr<const CpuModel> model, Precision precision);

  Status pose(const FrameControl& control, const KernelTable& kernels, ThreadPool& pool) {
    pose_.control = control.pose;
    return pose_cpu(pose_, kernels, pool);
  }
  // eye_w: [3] where SH is seen from; nullptr: the view has coefficients.
  Status deform(const FrameControl& control, const float* eye_w, ThreadPool& pool, std::vector<Buffer<float>>& scratch,
                GaussianView& view);
  const float* position_w() const { return pose_.position_w; }
  const DeformProgram& program() const { return *model_->view.program; }
  const Precision precision;

  uint64_t bytes() const override {
    return joint_delta_.bytes() + world_from_joint_.bytes() + world_from_mesh_.bytes() + position_w_.bytes() +
           axes_.bytes() + axes_quat_.bytes() + axes_size_.bytes() + mean_.bytes() + quat_.bytes() + scale_.bytes() +
           deformed_mean_.bytes() + deformed_quat_.bytes() + deformed_scale_.bytes() + opacity_.bytes() +
           color_.bytes() + deform_frame_.bytes();
  }

 private:
  const std::shared_ptr<const CpuModel> model_;
  Buffer<double> joint_delta_, world_from_joint_;
  Buffer<float> world_from_mesh_, position_w_, axes_, axes_quat_, axes_size_;
  Buffer<float> mean_, quat_, scale_;
  PoseArgs pose_;

  const CpuDeform& deform_;
  DeformFrame deform_frame_;
  Buffer<float> deformed_mean_, deformed_quat_, deformed_scale_, opacity_, color_;
  GaussianRows rows_;  // of those; nullptr where the program adds nothing
  // What the rows were made from, once they were.
  bool deformed_ = false;
  std::vector<float> last_control_;
  float last_eye_w_[3] = {};
  bool last_has_eye_ = false;
  GaussianView last_;
};

CpuFrame::CpuFrame(std::shared_ptr<const CpuModel> model, Precision of_pictures)
    : precision(of_pictures),
      model_(std::move(model)),
      deform_(model_->deform(deform_precision(of_pictures, *model_->view.program))),
      deform_frame_(deform_) {
  const ModelView& view = model_->view;
  const PoseBinding& binding = view.binding;
  const bool triangles = binding.follow == PoseFollow::kTriangle;
  const int64_t j = view.skeleton.j, n_axes = kPoseBlock * pose_blocks(axes_of(binding, view.mesh));
  const int64_t padded = kPoseBlock * pose_blocks(binding.n);
  pose_.mesh = view.mesh;
  pose_.skeleton = view.skeleton;
  pose_.binding = binding;
  if (view.skeleton.shape_delta) pose_.joint_delta = zeros(joint_delta_, 3 * j);
  pose_.world_from_joint = zeros(world_from_joint_, 12 * j);
  pose_.world_from_mesh = zeros(world_from_mesh_, 12 * j);
  pose_.position_w = zeros(position_w_, 4 * kPoseBlock * pose_blocks(view.mesh.v));
  pose_.axes = zeros(axes_, 3 * 4 * n_axes);
  pose_.axes_quat = zeros(axes_quat_, 4 * n_axes);
  pose_.axes_size = zeros(axes_size_, triangles ? n_axes : 0);
  pose_.rows.mean = zeros(mean_, 3 * padded);
  pose_.rows.quat = zeros(quat_, 4 * padded);
  pose_.rows.scale = zeros(scale_, 3 * padded);
  // What the binding does not move is constant: pose never writes it.
  for (int64_t i = 0; i < binding.n; ++i) {
    const float* local = binding.local + i / kPoseBlock * kPoseLocal * kPoseBlock + i % kPoseBlock;
    for (int c = 0; c < 4; ++c) pose_.rows.quat[4 * i + c] = local[(3 + c) * kPoseBlock];
    for (int c = 0; c < 3; ++c) pose_.rows.scale[3 * i + c] = local[(7 + c) * kPoseBlock];
  }
  last_control_.reserve(static_cast<size_t>(view.n_control));
  const DeformProgram& adds = program();
  const auto rows = [&](bool added, Buffer<float>& buffer, int64_t columns) {
    return added ? zeros(buffer, binding.n * columns) : nullptr;
  };
  rows_.mean = rows(adds.adds_to(DeformTarget::kMean), deformed_mean_, 3);
  rows_.quat = rows(adds.adds_to(DeformTarget::kRotation), deformed_quat_, 4);
  rows_.scale = rows(adds.adds_to_scale(), deformed_scale_, 3);
  rows_.opacity = rows(adds.adds_to(DeformTarget::kLogit), opacity_, 1);
  rows_.color =
      rows(adds.adds_to(DeformTarget::kColor) || adds.adds_to(DeformTarget::kSh), color_, color_stride(view.gaussians));
}

Status CpuFrame::deform(const FrameControl& control, const float* eye_w, ThreadPool& pool,
                        std::vector<Buffer<float>>& scratch, GaussianView& view) {
  // A pause, or a paused picture: nothing that it depends on has changed.
  const bool same_eye = eye_w ? last_has_eye_ && std::equal(eye_w, eye_w + 3, last_eye_w_) : !last_has_eye_;
  if (deformed_ && same_eye && std::equal(last_control_.begin(), last_control_.end(), control.vector)) {
    view = last_;
    return {};
  }
  DeformArgs args;
  args.program = model_->view.program;
  args.control = control.vector;
  args.in = model_->view.gaussians;
  args.in.mean = pose_.rows.mean, args.in.quat = pose_.rows.quat, args.in.scale = pose_.rows.scale;
  args.rows = rows_;
  args.eye_w = eye_w;
  TS_RETURN_IF_ERROR(deform_frame_.run(args, deform_, pool, scratch, view));
  if (args.program->branches.empty()) return {};
  deformed_ = true;
  last_control_.assign(control.vector, control.vector + control.n);
  last_has_eye_ = eye_w != nullptr;
  if (eye_w) std::copy_n(eye_w, 3, last_eye_w_);
  last_ = view;
  return {};
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const KernelTable& kernels, int threads)
      : kernels_(kernels), pool_(threads), rasterizer_(kernels, pool_), scratch_bytes_(rasterizer_.scratch_bytes()) {}

  BackendInfo info() const override { return {"cpu", kernels_.isa, pool_.threads(), scratch_bytes_}; }

  Status load(const ModelView& view, std::shared_ptr<const BackendModel>& model) override {
    model = std::make_shared<CpuModel>(view, kernels_);
    return {};
  }

  Status make_frame(std::shared_ptr<const BackendModel> model, const Canvas& canvas,
                    std::unique_ptr<BackendFrame>& frame) override {
    frame = std::make_unique<CpuFrame>(std::static_pointer_cast<const CpuModel>(std::move(model)), canvas.precision);
    return {};
  }

  Status draw(const DrawCall* calls, size_t n) override {
    for (size_t i = 0; i < n; ++i) {
      const std::lock_guard<std::mutex> turn(busy_);
      TS_RETURN_IF_ERROR(draw_one(calls[i]));
    }
    return {};
  }

  Status gaussians(BackendFrame& frame, const FrameControl& control, GaussianView& view) override {
    auto& posed = static_cast<CpuFrame&>(frame);
    const std::lock_guard<std::mutex> turn(busy_);
    TS_RETURN_IF_ERROR(posed.pose(control, kernels_, pool_));
    return posed.deform(control, nullptr, pool_, deform_scratch_, view);
  }

  Status vertices(BackendFrame& frame, const FrameControl& control, const float*& position) override {
    auto& posed = static_cast<CpuFrame&>(frame);
    const std::lock_guard<std::mutex> turn(busy_);
    position = posed.position_w();
    return posed.pose(control, kernels_, pool_);
  }

  Peak measure_peak() override {
    const std::lock_guard<std::mutex> turn(busy_);
    const DeformKernels& kernels = kernels_.deform;
    return {peak_of(kernels.fp32_peak), allow_bf16(kernels) ? peak_of(kernels.bf16_peak) : 0};
  }

  Status rasterize(const RasterizeArgs& args, Receipt& receipt) override {
    const std::lock_guard<std::mutex> turn(busy_);
    Stopwatch watch;
    TS_RETURN_IF_ERROR(raster(args, receipt));
    receipt.total_us += watch.lap();
    return {};
  }

  void condition(const ConditionProgram& program, const float* control, float* value) const override {
    kernels_.condition(program, control, value);
  }

  std::unique_ptr<EncodeStream> make_encode_stream(std::shared_ptr<const EncodeModel> model) override {
    return std::make_unique<CpuEncodeStream>(std::move(model), kernels_);
  }

  Status encode(const EncodeCall* calls, size_t n) override {
    for (size_t i = 0; i < n; ++i) {
      const EncodeCall& call = calls[i];
      auto& stream = static_cast<CpuEncodeStream&>(*call.stream);
      const EncodeModel& model = stream.model();
      for (int64_t step = 0; step < call.n; ++step)
        stream.step(call.input + step * model.n_inputs(), call.output + step * model.n_outputs,
                    call.feature + step * model.n_features);
    }
    return {};
  }

 private:
  // The best of ten rounds of all threads: the others shared the CPU with somebody.
  double peak_of(int64_t (*products)(int64_t)) {
    constexpr int64_t kTurns = 100000;
    double best = 0;
    for (int round = 0; round < 10; ++round) {
      std::atomic<int64_t> flops{0};
      Stopwatch watch;
      pool_.run(pool_.threads(), [&](int64_t, int) { flops += products(kTurns); });
      best = std::max(best, static_cast<double>(flops.load()) / watch.lap() / 1e3);
    }
    return best;
  }

  Status draw_one(const DrawCall& call) {
    if (call.on_device) return no_device_memory("pictures");
    auto& frame = static_cast<CpuFrame&>(*call.frame);
    Receipt& receipt = *call.receipt;
    Stopwatch whole, stage;
    TS_RETURN_IF_ERROR(frame.pose(call.control, kernels_, pool_));
    receipt.pose_us += stage.lap();
    RasterizeArgs args;
    float eye_w[3];
    camera_position(call.camera, eye_w);
    const bool seen = frame.program().adds_to(DeformTarget::kSh);
    TS_RETURN_IF_ERROR(frame.deform(call.control, seen ? eye_w : nullptr, pool_, deform_scratch_, args.gaussians));
    receipt.deform_us += stage.lap();
    args.camera = call.camera;
    args.background = call.background;
    args.dilation = call.dilation;
    args.precision = frame.precision;
    args.image = call.image;
    TS_RETURN_IF_ERROR(overlay_.draw(args, frame.program(), rasterizer_, pool_, receipt));
    measure_scratch();
    receipt.total_us += whole.lap();
    return {};
  }

  Status raster(const RasterizeArgs& args, Receipt& receipt) {
    const Status drawn = rasterizer_.draw(args, receipt);
    measure_scratch();
    return drawn;
  }

  void measure_scratch() {
    uint64_t bytes = rasterizer_.scratch_bytes() + overlay_.scratch_bytes();
    for (const Buffer<float>& buffer : deform_scratch_) bytes += buffer.bytes();
    scratch_bytes_ = bytes;
  }

  const KernelTable& kernels_;
  std::mutex busy_;  // held while a frame uses the threads or the scratch memory
  ThreadPool pool_;
  Rasterizer rasterizer_;
  Overlay overlay_;
  std::vector<Buffer<float>> deform_scratch_;  // of each thread
  std::atomic<uint64_t> scratch_bytes_;        // the rasterizer's after its last frame
};

}  // namespace

Status open_cpu(int threads, const char* isa, std::unique_ptr<Backend>& backend) {
  const KernelTable* kernels = nullptr;
  TS_RETURN_IF_ERROR(find_kernels(isa, &kernels));
  backend = std::make_unique<CpuBackend>(*kernels, threads);
  return {};
}

}  // namespace ts
