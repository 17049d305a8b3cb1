// SPDX-License-Identifier: Apache-2.0
#include "engine/frame.h"

#include <utility>

namespace ts {

Frame::Frame(std::shared_ptr<const Model> model, const Canvas& canvas)
    : model_(std::move(model)),
      canvas_(canvas),
      control_(model_->file(), model_->layout()),
      plate_(model_->file(), canvas.width, canvas.height) {}

Status Frame::make(std::shared_ptr<const Model> model, const Canvas& canvas, std::unique_ptr<Frame>& frame) {
  TS_RETURN_IF_ERROR(check_size(canvas.format, canvas.width, canvas.height));
  std::unique_ptr<Frame> made(new Frame(std::move(model), canvas));
  const Model& of = made->model();
  TS_RETURN_IF_ERROR(of.backend().make_frame(of.backend_model(), canvas, made->backend_frame_));
  frame = std::move(made);
  return {};
}

}  // namespace ts
