// SPDX-License-Identifier: Apache-2.0
#include "engine/control.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "math/affine.h"

namespace ts {

Control::Control(const AvatarFile& file, const ControlLayout& layout) : layout_(layout), s_(file.s), j_(file.j) {
  weight_.reserve(static_cast<size_t>(s_));
  joint_quat_.reserve(static_cast<size_t>(4 * j_));
  joint_translation_.reserve(static_cast<size_t>(3 * j_));
}

Status Control::set(const float* vector, FrameControl& control) {
  if (vector) TS_RETURN_IF_ERROR(layout_.check(vector));
  control.vector = vector ? vector : layout_.neutral();
  control.pose.weight = weight_.data();
  control.pose.joint_quat = joint_quat_.data();
  control.pose.joint_translation = joint_translation_.data();
  return add_up(control);
}

Status Control::add_up(FrameControl& control) {
  std::fill(weight_.data(), weight_.data() + s_, 0.0f);
  std::fill(joint_translation_.data(), joint_translation_.data() + 3 * j_, 0.0);
  for (int64_t joint = 0; joint < j_; ++joint) {
    double* q = joint_quat_.data() + 4 * joint;
    q[0] = 1, q[1] = q[2] = q[3] = 0;
  }
  double translation[3] = {0, 0, 0};
  for (size_t i = 0; i < layout_.inputs().size(); ++i) {
    const AvatarInput& input = layout_.inputs()[i];
    const float* value = control.vector + layout_.offset(i);
    const size_t n = input.index.size();
    switch (input.target) {
      case InputTarget::kBlendshape:
        for (size_t e = 0; e < n; ++e) {
          if (input.index[e] < 0) continue;  // this rig lacks the shape
          float& weight = weight_[static_cast<size_t>(input.index[e])];
          weight += value[e];
          if (!std::isfinite(weight)) {
            return error(StatusCode::kInvalidArgument,
                         "control: the weights of shape %d must have a finite sum; %s makes it overflow.",
                         input.index[e], quoted(input.name).c_str());
          }
        }
        break;
      case InputTarget::kJointRotation:
        for (size_t e = 0; e < n; ++e) {
          double turn[4];
          quat_of_axis_angle(value + 3 * e, turn);
          rotate_further(joint_quat_.data() + 4 * input.index[e], turn);
        }
        break;
      case InputTarget::kJointTranslation:
        for (size_t e = 0; e < n; ++e) {
          for (int axis = 0; axis < 3; ++axis)
            joint_translation_[static_cast<size_t>(3 * input.index[e] + axis)] += value[3 * e + axis];
        }
        break;
      case InputTarget::kTranslation:
        for (int axis = 0; axis < 3; ++axis) translation[axis] += value[axis];
        break;
    }
  }
  for (int axis = 0; axis < 3; ++axis) {
    control.pose.translation[axis] = static_cast<float>(translation[axis]);
    if (!std::isfinite(control.pose.translation[axis])) {
      return error(StatusCode::kInvalidArgument, "control: translations must have a finite sum; axis %d is %g.", axis,
                   translation[axis]);
    }
  }
  return {};
}

}  // namespace ts
