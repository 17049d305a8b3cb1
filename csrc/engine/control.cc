// SPDX-License-Identifier: Apache-2.0
#include "engine/control.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "math/affine.h"

namespace ts {
namespace {

// Turns the world by value, axis-angle in ARKit's axes, about the pivot, as the camera sees it: by moving the camera.
void turn_view(const Camera& canvas, const float* pivot_w, const float* value, Camera& camera) {
  if (value[0] == 0 && value[1] == 0 && value[2] == 0) return;  // to the bit
  // ARKit's x is right, y up, z to the viewer; the camera's y is down and z away.
  const float turn[3] = {value[0], -value[1], -value[2]};
  double q[4], turn_c[9], turn_w[9] = {};
  quat_of_axis_angle(turn, q);
  rotation_of(q, turn_c);
  const float* c = canvas.cam_from_world;
  for (int i = 0; i < 9; ++i) {
    for (int j = 0; j < 9; ++j)
      turn_w[i] += double{c[4 * (j / 3) + i / 3]} * turn_c[j] * double{c[4 * (j % 3) + i % 3]};
  }
  Camera moved = camera;
  for (int row = 0; row < 3; ++row) {
    const float* of = camera.cam_from_world + 4 * row;
    double shift = of[3];
    for (int column = 0; column < 3; ++column) {
      double entry = 0;
      for (int k = 0; k < 3; ++k) entry += double{of[k]} * turn_w[3 * k + column];
      moved.cam_from_world[4 * row + column] = static_cast<float>(entry);
      shift += (double{of[column]} - entry) * double{pivot_w[column]};
    }
    moved.cam_from_world[4 * row + 3] = static_cast<float>(shift);
  }
  camera = moved;
}

// value [12]: twelve zeros, which are no camera, become world_from_cam's rotation and cam_from_world's translation.
void follow(const Camera& camera, float* value) {
  if (std::any_of(value, value + 12, [](float x) { return x != 0; })) return;
  const float* m = camera.cam_from_world;
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) value[3 * row + column] = m[4 * column + row];
    value[9 + row] = m[4 * row + 3];
  }
}

}  // namespace

Control::Control(const AvatarFile& file, const ControlLayout& layout)
    : file_(file), layout_(layout), s_(file.s), j_(file.j) {
  vector_.reserve(static_cast<size_t>(layout.size()));
  weight_.reserve(static_cast<size_t>(s_));
  joint_quat_.reserve(static_cast<size_t>(4 * j_));
  joint_translation_.reserve(static_cast<size_t>(3 * j_));
}

Status Control::set(const float* vector, Camera& camera, FrameControl& control) {
  if (vector) TS_RETURN_IF_ERROR(layout_.check(vector));
  std::copy_n(vector ? vector : layout_.neutral(), layout_.size(), vector_.data());
  const std::vector<AvatarInput>& inputs = layout_.inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].target == InputTarget::kView)
      turn_view(file_.camera, inputs[i].pivot_w.data(), vector_.data() + layout_.offset(i), camera);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].follows_camera) follow(camera, vector_.data() + layout_.offset(i));
  }
  control.vector = vector_.data();
  control.n = layout_.size();
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
      case InputTarget::kDeform:
      case InputTarget::kView:
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
