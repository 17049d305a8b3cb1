// SPDX-License-Identifier: Apache-2.0
#include "fallback_backend.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ts {
namespace {

class TwoModels final : public BackendModel {
 public:
  TwoModels(const ModelView& view, std::shared_ptr<const BackendModel> gpu) : gpu_(std::move(gpu)), view_(view) {}

  const std::shared_ptr<const BackendModel>& gpu() const { return gpu_; }  // nullptr: made after the failure
  Status cpu(Backend& backend, std::shared_ptr<const BackendModel>& model) const {
    const std::lock_guard<std::mutex> lock(loading_);
    if (!cpu_) TS_RETURN_IF_ERROR(backend.load(view_, cpu_));
    model = cpu_;
    return {};
  }
  uint64_t bytes() const override {
    const std::lock_guard<std::mutex> lock(loading_);
    return (gpu_ ? gpu_->bytes() : 0) + (cpu_ ? cpu_->bytes() : 0);
  }

 private:
  const std::shared_ptr<const BackendModel> gpu_;
  const ModelView view_;
  mutable std::mutex loading_;
  mutable std::shared_ptr<const BackendModel> cpu_;
};

class TwoFrames final : public BackendFrame {
 public:
  TwoFrames(std::shared_ptr<const TwoModels> model, const Canvas& canvas) : model_(std::move(model)), canvas_(canvas) {}

  Status make_gpu(Backend& backend) { return backend.make_frame(model_->gpu(), canvas_, gpu_); }
  BackendFrame* gpu() { return gpu_.get(); }
  // The GPU's memory is given back.
  Status cpu(Backend& backend, BackendFrame*& frame) {
    gpu_.reset();
    if (!cpu_) {
      std::shared_ptr<const BackendModel> model;
      TS_RETURN_IF_ERROR(model_->cpu(backend, model));
      TS_RETURN_IF_ERROR(backend.make_frame(std::move(model), canvas_, cpu_));
    }
    frame = cpu_.get();
    return {};
  }
  uint64_t bytes() const override { return (gpu_ ? gpu_->bytes() : 0) + (cpu_ ? cpu_->bytes() : 0); }

  // Of the draw whose first frame it is; kept, so that drawing allocates nothing.
  std::vector<DrawCall> calls;
  std::vector<Receipt> before;

 private:
  const std::shared_ptr<const TwoModels> model_;
  const Canvas canvas_;
  std::unique_ptr<BackendFrame> gpu_, cpu_;
};

// The GPU's stream, and what one on the CPU has to hear to go on in its place: as many steps back as any step depends on.
class TwoStreams final : public EncodeStream {
 public:
  TwoStreams(std::shared_ptr<const EncodeModel> model, std::unique_ptr<EncodeStream> gpu)
      : model_(std::move(model)), gpu_(std::move(gpu)) {
    if (gpu_) past_.resize(static_cast<size_t>(model_->memory_steps() * model_->n_inputs()));
  }

  void reset() override {
    if (gpu_) gpu_->reset();
    if (cpu_) cpu_->reset();
    n_past_ = 0;
  }
  EncodeStream* gpu() { return gpu_.get(); }  // nullptr: made after the failure
  // The GPU has run these.
  void remember(const EncodeCall& steps) {
    const int64_t width = model_->n_inputs(), room = model_->memory_steps();
    for (int64_t i = std::max<int64_t>(0, steps.n - room); i < steps.n; ++i)
      std::copy_n(steps.input + i * width, width, past_.data() + (n_past_ + i) % room * width);
    n_past_ += steps.n;
  }
  // The GPU's memory is given back.
  Status cpu(Backend& backend, EncodeStream*& stream) {
    gpu_.reset();
    if (!cpu_) {
      std::unique_ptr<EncodeStream> made = backend.make_encode_stream(model_);
      TS_RETURN_IF_ERROR(hear_again(backend, *made));
      cpu_ = std::move(made);
    }
    stream = cpu_.get();
    return {};
  }

  // Of the call whose first stream it is; kept, so that streams that are read along allocate nothing.
  std::vector<EncodeCall> calls;

 private:
  Status hear_again(Backend& backend, EncodeStream& stream) const {
    const int64_t width = model_->n_inputs(), room = model_->memory_steps();
    std::vector<float> output(static_cast<size_t>(model_->n_outputs)), feature(static_cast<size_t>(model_->n_features));
    for (int64_t i = std::max<int64_t>(0, n_past_ - room); i < n_past_; ++i) {
      const EncodeCall step{&stream, 1, past_.data() + i % room * width, output.data(), feature.data()};
      TS_RETURN_IF_ERROR(backend.encode(&step, 1));
    }
    return {};
  }

  const std::shared_ptr<const EncodeModel> model_;
  std::unique_ptr<EncodeStream> gpu_, cpu_;
  std::vector<float> past_;  // [memory_steps,n_inputs], step s at s modulo memory_steps
  int64_t n_past_ = 0;       // steps that the GPU has run
};

TwoFrames& frames_of(BackendFrame& frame) { return static_cast<TwoFrames&>(frame); }
TwoStreams& streams_of(EncodeStream& stream) { return static_cast<TwoStreams&>(stream); }

class FallbackBackend final : public Backend {
 public:
  FallbackBackend(std::unique_ptr<Backend> gpu, std::shared_ptr<Backend> cpu)
      : cpu_(std::move(cpu)), gpu_(std::move(gpu)) {}

  BackendInfo info() const override {
    if (!failed_) return gpu_->info();
    BackendInfo info = cpu_->info();
    info.note = reason_.c_str();
    return info;
  }

  Status load(const ModelView& view, std::shared_ptr<const BackendModel>& model) override {
    std::shared_ptr<const BackendModel> gpu;
    TS_RETURN_IF_ERROR(either([&] { return gpu_->load(view, gpu); },
                              [&] {
                                gpu = nullptr;
                                return Status();
                              }));
    model = std::make_shared<TwoModels>(view, std::move(gpu));
    return {};
  }

  Status make_frame(std::shared_ptr<const BackendModel> model, const Canvas& canvas,
                    std::unique_ptr<BackendFrame>& frame) override {
    auto made = std::make_unique<TwoFrames>(std::static_pointer_cast<const TwoModels>(std::move(model)), canvas);
    BackendFrame* twin = nullptr;
    TS_RETURN_IF_ERROR(either([&] { return made->make_gpu(*gpu_); }, [&] { return made->cpu(*cpu_, twin); }));
    frame = std::move(made);
    return {};
  }

  size_t batch() const override { return failed_ ? cpu_->batch() : gpu_->batch(); }

  Status draw(const DrawCall* calls, size_t n) override {
    if (n == 0) return {};
    TwoFrames& first = frames_of(*calls[0].frame);
    first.calls.assign(calls, calls + n);
    // The GPU's stages do not stay in receipts of pictures that it did not finish.
    first.before.clear();
    for (size_t i = 0; i < n; ++i) first.before.push_back(*calls[i].receipt);
    return either(
        [&] {
          for (size_t i = 0; i < n; ++i) first.calls[i].frame = frames_of(*calls[i].frame).gpu();
          return gpu_->draw(first.calls.data(), n);
        },
        [&]() -> Status {
          for (size_t i = 0; i < n; ++i) {
            if (calls[i].on_device) return no_gpu_any_more();
            *calls[i].receipt = first.before[i];
            TS_RETURN_IF_ERROR(frames_of(*calls[i].frame).cpu(*cpu_, first.calls[i].frame));
          }
          return cpu_->draw(first.calls.data(), n);
        });
  }

  Status gaussians(BackendFrame& frame, const FrameControl& control, GaussianView& view) override {
    return of_frame(frame, [&](Backend& on, BackendFrame& twin) { return on.gaussians(twin, control, view); });
  }

  Status deliver_gaussians(BackendFrame& frame, const FrameControl& control, const GaussianDelivery& to) override {
    return either([&] { return gpu_->deliver_gaussians(*frames_of(frame).gpu(), control, to); },
                  [&] { return no_gpu_any_more(); });
  }

  // Whoever has no room for a picture has not lost the GPU.
  Status make_memory(uint64_t bytes, std::unique_ptr<DeviceMemory>& memory) override {
    return failed_ ? no_gpu_any_more() : gpu_->make_memory(bytes, memory);
  }

  Status vertices(BackendFrame& frame, const FrameControl& control, const float*& position) override {
    return of_frame(frame, [&](Backend& on, BackendFrame& twin) { return on.vertices(twin, control, position); });
  }

  Peak measure_peak() override { return failed_ ? cpu_->measure_peak() : gpu_->measure_peak(); }

  Status rasterize(const RasterizeArgs& args, Receipt& receipt) override {
    const Receipt before = receipt;
    return either([&] { return gpu_->rasterize(args, receipt); },
                  [&] {
                    receipt = before;
                    return cpu_->rasterize(args, receipt);
                  });
  }

  void condition(const ConditionProgram& program, const float* control, float* value) const override {
    cpu_->condition(program, control, value);
  }

  std::unique_ptr<EncodeStream> make_encode_stream(std::shared_ptr<const EncodeModel> model) override {
    std::unique_ptr<EncodeStream> gpu;
    if (!failed_) gpu = gpu_->make_encode_stream(model);
    return std::make_unique<TwoStreams>(std::move(model), std::move(gpu));
  }

  Status encode(const EncodeCall* calls, size_t n) override {
    if (n == 0) return {};
    std::vector<EncodeCall>& of_one = streams_of(*calls[0].stream).calls;
    of_one.assign(calls, calls + n);
    return either(
        [&]() -> Status {
          for (size_t i = 0; i < n; ++i) of_one[i].stream = streams_of(*calls[i].stream).gpu();
          TS_RETURN_IF_ERROR(gpu_->encode(of_one.data(), n));
          for (size_t i = 0; i < n; ++i) streams_of(*calls[i].stream).remember(calls[i]);
          return {};
        },
        [&]() -> Status {
          for (size_t i = 0; i < n; ++i) TS_RETURN_IF_ERROR(streams_of(*calls[i].stream).cpu(*cpu_, of_one[i].stream));
          return cpu_->encode(of_one.data(), n);
        });
  }

 private:
  template <class OnGpu, class OnCpu>
  Status either(const OnGpu& on_gpu, const OnCpu& on_cpu) {
    if (!failed_) {
      const Status done = on_gpu();
      if (done.code() != StatusCode::kDeviceError) return done;
      fail(done.message());
    }
    return on_cpu();
  }

  template <class Call>
  Status of_frame(BackendFrame& frame, const Call& call) {
    TwoFrames& frames = frames_of(frame);
    return either([&] { return call(*gpu_, *frames.gpu()); },
                  [&]() -> Status {
                    BackendFrame* twin = nullptr;
                    TS_RETURN_IF_ERROR(frames.cpu(*cpu_, twin));
                    return call(*cpu_, *twin);
                  });
  }

  Status no_gpu_any_more() const {
    return error(
        StatusCode::kDeviceError,
        "on_device: the CPU draws here since the GPU failed, and nothing can stay on that. Leave it out, or make "
        "a new engine. It failed by: %s",
        reason_.c_str());
  }

  // The first reason stays: it is shown from now on, by info() of any thread.
  void fail(const std::string& why) {
    const std::lock_guard<std::mutex> lock(failing_);
    if (failed_) return;
    reason_ = why;
    failed_ = true;
  }

  const std::shared_ptr<Backend> cpu_;
  const std::unique_ptr<Backend> gpu_;
  std::mutex failing_;
  std::atomic<bool> failed_{false};
  std::string reason_;  // constant once failed_ is set
};

}  // namespace

std::unique_ptr<Backend> with_fallback(std::unique_ptr<Backend> gpu, std::shared_ptr<Backend> cpu) {
  return std::make_unique<FallbackBackend>(std::move(gpu), std::move(cpu));
}

}  // namespace ts
