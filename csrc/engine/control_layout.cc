// SPDX-License-Identifier: Apache-2.0
#include "engine/control_layout.h"

#include <algorithm>

#include "core/scan.h"
#include "core/text.h"

namespace ts {

ControlLayout::ControlLayout(const std::vector<AvatarInput>& inputs) : inputs_(inputs) {
  for (const AvatarInput& input : inputs) {
    offset_.push_back(size());
    neutral_.insert(neutral_.end(), input.default_value.begin(), input.default_value.end());
  }
}

size_t ControlLayout::input_at(int64_t at) const {
  return static_cast<size_t>(std::upper_bound(offset_.begin(), offset_.end(), at) - offset_.begin()) - 1;
}

Status ControlLayout::find(const char* name, size_t& input) const {
  for (input = 0; input < inputs_.size(); ++input) {
    if (inputs_[input].name == name) return {};
  }
  std::string known;
  for (const AvatarInput& i : inputs_)
    known += (known.empty() ? "" : ", ") + printable(i.name) + " [" + std::to_string(i.size) + "]";
  return error(StatusCode::kInvalidArgument, "%s is not an input of this avatar; it has %s.", quoted(name).c_str(),
               known.empty() ? "none: it does not move" : known.c_str());
}

Status ControlLayout::check(const float* control) const {
  const int64_t at = find_non_finite(control, size());
  if (at < 0) return {};
  const size_t input = input_at(at);
  return error(StatusCode::kInvalidArgument, "control: %s must be finite; number %lld is %g.",
               quoted(inputs_[input].name).c_str(), static_cast<long long>(at - offset_[input]),
               static_cast<double>(control[at]));
}

}  // namespace ts
