// SPDX-License-Identifier: Apache-2.0
// ControlLayout — how an avatar's control vector is made up: all its inputs' floats, one input after the other in the order
// of the manifest.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "engine/avatar_file.h"

namespace ts {

class ControlLayout {
 public:
  explicit ControlLayout(const std::vector<AvatarInput>& inputs);  // which must outlive this

  int64_t size() const { return static_cast<int64_t>(neutral_.size()); }  // floats
  int64_t offset(size_t input) const { return offset_[input]; }           // of the input's first float
  size_t input_at(int64_t at) const;                                      // the input whose float that is
  const float* neutral() const { return neutral_.data(); }                // [size()] every input's default
  const std::vector<AvatarInput>& inputs() const { return inputs_; }

  // The input of that name. kInvalidArgument lists those that there are.
  Status find(const char* name, size_t& input) const;
  // Finite numbers; the error names the input and the number.
  Status check(const float* control) const;

 private:
  const std::vector<AvatarInput>& inputs_;
  std::vector<int64_t> offset_;
  std::vector<float> neutral_;
};

}  // namespace ts
