// SPDX-License-Identifier: Apache-2.0
// A GPU behind the seam: a model is uploaded once, a frame is a graph that was recorded when it was made, and several
// frames in one call are one graph too, each kernel's grid as high as there are frames.
#include "cuda/backend.h"

#include <algorithm>
#include <utility>

#include "core/stopwatch.h"
#include "cuda/batch_cache.h"
#include "cuda/device.h"
#include "cuda/encode.h"
#include "cuda/frame.h"
#include "cuda/memory.h"
#include "cuda/model.h"
#include "cuda/peak.h"
#include "cuda/rasterize.h"

namespace ts {
namespace cuda {
namespace {

constexpr size_t kMaxBatch = 64;  // frames of a graph: by far enough to keep any GPU busy

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::unique_ptr<Device> device, std::shared_ptr<Backend> cpu, uint32_t max_instances)
      : max_instances_(max_instances),
        cpu_(std::move(cpu)),
        device_(std::move(device)),
        batches_(*device_),
        rasterizer_(*device_, max_instances),
        encoder_(*device_) {}

  BackendInfo info() const override {
    return {device_->id(), device_->isa(), cpu_->info().threads,
            batches_.bytes() + rasterizer_.bytes() + encoder_.bytes(), device_->name()};
  }

  Status load(const ModelView& view, std::shared_ptr<const BackendModel>& model) override {
    std::shared_ptr<const CudaModel> made;
    TS_RETURN_IF_ERROR(CudaModel::make(*device_, view, made));
    model = std::move(made);
    return {};
  }

  Status make_frame(std::shared_ptr<const BackendModel> model, const Canvas& canvas,
                    std::unique_ptr<BackendFrame>& frame) override {
    std::unique_ptr<CudaFrame> made;
    TS_RETURN_IF_ERROR(CudaFrame::make(*device_, *cpu_, std::static_pointer_cast<const CudaModel>(std::move(model)),
                                       canvas, max_instances_, made));
    frame = std::move(made);
    return {};
  }

  size_t batch() const override { return kMaxBatch; }

  // By precision, which has kernels of its own; order changes nothing in a picture.
  Status draw(const DrawCall* calls, size_t n) override {
    for (const bool fast : {true, false}) {
      const DrawCall* group[kMaxBatch];
      size_t grouped = 0;
      for (size_t i = 0; i < n; ++i) {
        if (extents_of(calls[i]).fast == fast) group[grouped++] = &calls[i];
        if (grouped == kMaxBatch) TS_RETURN_IF_ERROR(draw_group(group, std::exchange(grouped, 0)));
      }
      TS_RETURN_IF_ERROR(draw_group(group, grouped));
    }
    return {};
  }

  Status gaussians(BackendFrame& frame, const FrameControl& control, GaussianView& view) override {
    return static_cast<CudaFrame&>(frame).gaussians(control, view);
  }

  Status deliver_gaussians(BackendFrame& frame, const FrameControl& control, const GaussianDelivery& to) override {
    return static_cast<CudaFrame&>(frame).deliver_gaussians(control, to);
  }

  Status make_memory(uint64_t bytes, std::unique_ptr<DeviceMemory>& memory) override {
    return CudaMemory::make(*device_, bytes, memory);
  }

  Status vertices(BackendFrame& frame, const FrameControl& control, const float*& position) override {
    return static_cast<CudaFrame&>(frame).vertices(control, position);
  }

  Peak measure_peak() override {
    Peak peak;
    return cuda::measure_peak(*device_, peak).ok() ? peak : Peak();
  }

  Status rasterize(const RasterizeArgs& args, Receipt& receipt) override {
    Stopwatch watch;
    TS_RETURN_IF_ERROR(rasterizer_.draw(args, receipt));
    receipt.total_us += watch.lap();
    return {};
  }

  void condition(const ConditionProgram& program, const float* control, float* value) const override {
    cpu_->condition(program, control, value);
  }

  std::unique_ptr<EncodeStream> make_encode_stream(std::shared_ptr<const EncodeModel> model) override {
    return std::make_unique<CudaEncodeStream>(*device_, std::move(model));
  }

  Status encode(const EncodeCall* calls, size_t n) override { return encoder_.run(calls, n); }

 private:
  static const Extents& extents_of(const DrawCall& call) { return static_cast<CudaFrame*>(call.frame)->extents(); }

  Status draw_group(const DrawCall* const* calls, size_t n) {
    if (n == 0) return {};
    Stopwatch watch;
    const Current current(*device_);
    TS_RETURN_IF_ERROR(current.status());
    if (n == 1) {
      TS_RETURN_IF_ERROR(static_cast<CudaFrame*>(calls[0]->frame)->own_batch().draw(calls, 1));
    } else {
      Extents extents;
      extents.fast = extents_of(*calls[0]).fast;
      for (size_t i = 0; i < n; ++i) extents.add(extents_of(*calls[i]));
      std::unique_ptr<Batch> batch;
      TS_RETURN_IF_ERROR(batches_.take(extents, batch));
      const Status drawn = batch->draw(calls, n);
      batches_.put_back(std::move(batch));
      TS_RETURN_IF_ERROR(drawn);
    }
    const float us = watch.lap();
    for (size_t i = 0; i < n; ++i) calls[i]->receipt->total_us += us;
    return {};
  }

  const uint32_t max_instances_;
  const std::shared_ptr<Backend> cpu_;
  const std::unique_ptr<Device> device_;
  BatchCache batches_;
  CudaRasterizer rasterizer_;
  CudaEncoder encoder_;
};

}  // namespace
}  // namespace cuda

Status open_cuda(int ordinal, std::shared_ptr<Backend> cpu, std::unique_ptr<Backend>& backend, uint32_t max_instances) {
  std::unique_ptr<cuda::Device> device;
  TS_RETURN_IF_ERROR(cuda::Device::open(ordinal, device));
  backend = std::make_unique<cuda::CudaBackend>(std::move(device), std::move(cpu), max_instances);
  return {};
}

}  // namespace ts
