// SPDX-License-Identifier: Apache-2.0
// Frame — what drawing one picture of a model changes: a control, a posed mesh and Gaussians, the plate at its size. It
// belongs to one caller; many frames share a model, and no lock stands between them but the one for the threads that
// they share. Its memory is claimed when it is made, but for the plate, which the first draw over the avatar's own
// background resamples: after it drawing allocates nothing, unless it fails or the scratch that all frames share grows.
#pragma once
#include <cstdint>
#include <memory>

#include "core/status.h"
#include "engine/control.h"
#include "engine/model.h"
#include "engine/plate.h"
#include "ops/backend.h"

namespace ts {

class Frame {
 public:
  // kInvalidArgument for a canvas that no image can have. Throws std::bad_alloc.
  static Status make(std::shared_ptr<const Model> model, const Canvas& canvas, std::unique_ptr<Frame>& frame);

  const Model& model() const { return *model_; }
  const Canvas& canvas() const { return canvas_; }
  Plate& plate() { return plate_; }
  Control& control() { return control_; }
  BackendFrame& backend_frame() { return *backend_frame_; }

  uint64_t bytes() const { return control_.bytes() + plate_.bytes() + backend_frame_->bytes(); }

 private:
  Frame(std::shared_ptr<const Model> model, const Canvas& canvas);

  const std::shared_ptr<const Model> model_;
  const Canvas canvas_;
  Control control_;
  Plate plate_;
  std::unique_ptr<BackendFrame> backend_frame_;
};

}  // namespace ts
