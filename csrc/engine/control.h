// SPDX-License-Identifier: Apache-2.0
// Control — one frame's control vector, checked, completed and added up by what it moves in the rig.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "core/status.h"
#include "engine/avatar_file.h"
#include "engine/control_layout.h"
#include "ops/backend.h"

namespace ts {

class Control {
 public:
  Control(const AvatarFile& file, const ControlLayout& layout);  // which must outlive this

  // vector [layout.size()]; Nullable: every input has its default. camera: moved by inputs that turn the view; then inputs
  // that follow it and are zero get it. control: valid until the next set(). kInvalidArgument for numbers that are not
  // finite, and those whose sum overflows.
  Status set(const float* vector, Camera& camera, FrameControl& control);

  uint64_t bytes() const {
    return vector_.bytes() + weight_.bytes() + joint_quat_.bytes() + joint_translation_.bytes();
  }

 private:
  Status add_up(FrameControl& control);

  const AvatarFile& file_;
  const ControlLayout& layout_;
  const int64_t s_, j_;
  Buffer<float> vector_, weight_;
  Buffer<double> joint_quat_, joint_translation_;
};

}  // namespace ts
