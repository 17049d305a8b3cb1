#include "engine/control.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/text.h"
#include "math/affine.h"

namespace ts {

namespace {

Status check_values(const ts_control& control, int size) {
  if (control.size != static_cast<uint32_t>(size)) {
    return error(StatusCode::kInvalidArgument, "control: %s must have %d numbers; got %u.",
                 quoted(control.name).c_str(), size, control.size);
  }
  if (!control.data) {
    return error(StatusCode::kInvalidArgument, "control: %s must point to %d numbers; got NULL.",
                 quoted(control.name).c_str(), size);
  }
  for (uint32_t i = 0; i < control.size; ++i) {
    if (std::isfinite(control.data[i])) continue;
    return error(StatusCode::kInvalidArgument, "control: %s must be finite; number %u is %g.",
                 quoted(control.name).c_str(), i, static_cast<double>(control.data[i]));
  }
  return {};
}

}  // namespace

Control::Control(const AvatarFile& file) : inputs_(file.inputs), s_(file.s), j_(file.j), value_(file.inputs.size()) {
  weight_.reserve(static_cast<size_t>(s_));
  joint_quat_.reserve(static_cast<size_t>(4 * j_));
  joint_translation_.reserve(static_cast<size_t>(3 * j_));
}

Status Control::find(const ts_control& control, size_t& input) const {
  if (!control.name) return error(StatusCode::kInvalidArgument, "control: name must be a text; got NULL.");
  for (input = 0; input < inputs_.size(); ++input) {
    if (inputs_[input].name == control.name) return {};
  }
  std::string known;
  for (const AvatarInput& i : inputs_)
    known += (known.empty() ? "" : ", ") + printable(i.name) + " [" + std::to_string(i.size) + "]";
  return error(StatusCode::kInvalidArgument, "control: %s is not an input of this avatar; it has %s.",
               quoted(control.name).c_str(), known.empty() ? "none: it does not move" : known.c_str());
}

Status Control::resolve(const ts_control* controls, uint32_t n_controls) {
  if (n_controls > 0 && !controls) {
    return error(StatusCode::kInvalidArgument, "controls must point to n_controls=%u entries; got NULL.", n_controls);
  }
  std::fill(value_.begin(), value_.end(), nullptr);
  for (uint32_t c = 0; c < n_controls; ++c) {
    const ts_control& control = controls[c];
    size_t input;
    TS_RETURN_IF_ERROR(find(control, input));
    if (value_[input]) {
      return error(StatusCode::kInvalidArgument, "control: %s must be given once; it is given twice.",
                   quoted(control.name).c_str());
    }
    TS_RETURN_IF_ERROR(check_values(control, inputs_[input].size));
    value_[input] = control.data;
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!value_[i]) value_[i] = inputs_[i].default_value.data();
  }
  return add_up();
}

Status Control::add_up() {
  std::fill(weight_.data(), weight_.data() + s_, 0.0f);
  std::fill(joint_translation_.data(), joint_translation_.data() + 3 * j_, 0.0);
  for (int64_t joint = 0; joint < j_; ++joint) {
    double* q = joint_quat_.data() + 4 * joint;
    q[0] = 1, q[1] = q[2] = q[3] = 0;
  }
  double translation[3] = {0, 0, 0};
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const AvatarInput& input = inputs_[i];
    const float* value = value_[i];
    const size_t n = input.index.size();
    switch (input.target) {
      case InputTarget::kBlendshape:
        for (size_t e = 0; e < n; ++e) {
          if (input.index[e] < 0) continue;  // this rig lacks the shape
          float& weight = weight_[static_cast<size_t>(input.index[e])];
          weight += value[e];
          if (!std::isfinite(weight)) {
            return error(StatusCode::kInvalidArgument,
                         "control: the weights of shape %d must have a finite sum; %s "
                         "makes it overflow.",
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
    translation_[axis] = static_cast<float>(translation[axis]);
    if (!std::isfinite(translation_[axis])) {
      return error(StatusCode::kInvalidArgument, "control: translations must have a finite sum; axis %d is %g.", axis,
                   translation[axis]);
    }
  }
  return {};
}

}  // namespace ts
