// SPDX-License-Identifier: Apache-2.0
// BatchBackend — draws as another backend does, but asks for several frames at once: sessions on it make rounds where
// there is no GPU. It says what it was given, and fails where a test wants it to.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "ops/backend.h"

namespace ts_test {

class BatchBackend final : public ts::Backend {
 public:
  explicit BatchBackend(std::shared_ptr<ts::Backend> on, size_t batch = 8) : on_(std::move(on)), batch_(batch) {}

  ts::BackendInfo info() const override { return on_->info(); }
  ts::Status load(const ts::ModelView& view, std::shared_ptr<const ts::BackendModel>& model) override {
    return on_->load(view, model);
  }
  ts::Status make_frame(std::shared_ptr<const ts::BackendModel> model, const ts::Canvas& canvas,
                        std::unique_ptr<ts::BackendFrame>& frame) override {
    return on_->make_frame(std::move(model), canvas, frame);
  }
  size_t batch() const override { return batch_; }
  ts::Status draw(const ts::DrawCall* calls, size_t n) override {
    ++draws, frames += n;
    if (n > largest) largest = n;
    if (before_draw) before_draw(calls, n);
    for (size_t i = 0; i < n; ++i) {
      calls[i].receipt->blend_us += 1e6f;  // a batch that fails has begun
      if (calls[i].image.width == fails_at_width) return {ts::StatusCode::kDeviceError, "this size fails"};
    }
    return on_->draw(calls, n);
  }
  ts::Status gaussians(ts::BackendFrame& frame, const ts::FrameControl& control, ts::GaussianView& view) override {
    return on_->gaussians(frame, control, view);
  }
  ts::Status vertices(ts::BackendFrame& frame, const ts::FrameControl& control, const float*& position) override {
    return on_->vertices(frame, control, position);
  }
  ts::Peak measure_peak() override { return on_->measure_peak(); }
  ts::Status rasterize(const ts::RasterizeArgs& args, ts::Receipt& receipt) override {
    return on_->rasterize(args, receipt);
  }
  void condition(const ts::ConditionProgram& program, const float* control, float* value) const override {
    on_->condition(program, control, value);
  }
  std::unique_ptr<ts::EncodeStream> make_encode_stream(std::shared_ptr<const ts::EncodeModel> model) override {
    return on_->make_encode_stream(std::move(model));
  }
  ts::Status encode(const ts::EncodeCall* calls, size_t n) override {
    if (before_encode) before_encode(calls, n);
    if (n > most_streams) most_streams = n;
    if (n > 1 && fails_together) return {ts::StatusCode::kDeviceError, "several streams fail"};
    return on_->encode(calls, n);
  }

  std::atomic<size_t> draws{0}, frames{0}, largest{0}, most_streams{0};
  std::atomic<int> fails_at_width{-1};
  std::atomic<bool> fails_together{false};
  // Set while nothing is drawn.
  std::function<void(const ts::DrawCall*, size_t)> before_draw;
  std::function<void(const ts::EncodeCall*, size_t)> before_encode;

 private:
  const std::shared_ptr<ts::Backend> on_;
  const size_t batch_;
};

}  // namespace ts_test
