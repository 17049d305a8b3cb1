// Control — one frame's inputs, checked and added up by what they move.
#pragma once
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/status.h"
#include "engine/avatar_file.h"
#include "talksplat.h"

namespace ts {

class Control {
 public:
  explicit Control(const AvatarFile& file);  // the file's inputs must outlive this

  // Inputs that are not given take their defaults. kInvalidArgument for an unknown or repeated name, another size
  // than the input's, a value that is not finite, or values whose sum overflows; messages list what is known.
  Status resolve(const ts_control* controls, uint32_t n_controls);

  // Valid after resolve().
  float* weight() { return weight_.data(); }                                     // [s]
  const double* joint_quat() const { return joint_quat_.data(); }                // [j,4] wxyz, unit
  const double* joint_translation() const { return joint_translation_.data(); }  // [j,3]
  const float* translation() const { return translation_; }                      // [3]
  uint64_t bytes() const { return weight_.bytes() + joint_quat_.bytes() + joint_translation_.bytes(); }

 private:
  Status find(const ts_control& control, size_t& input) const;
  Status add_up();

  const std::vector<AvatarInput>& inputs_;
  int64_t s_, j_;
  std::vector<const float*> value_;  // of each input in this frame
  Buffer<float> weight_;
  Buffer<double> joint_quat_, joint_translation_;
  float translation_[3] = {0, 0, 0};
};

}  // namespace ts
