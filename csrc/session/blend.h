// SPDX-License-Identifier: Apache-2.0
// Blend — from what was shown last to what comes next, without a jump: numbers that are held fade out over a time.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "ops/face.h"

namespace ts {

class Blend {
 public:
  explicit Blend(size_t n) : shown_(n, 0.0f), held_(n, 0.0f) {}

  // From the last frame on, which was at shown_s, what it showed fades out.
  void begin(double shown_s, double duration_s) {
    held_ = shown_;  // of one size: this allocates nothing
    from_s_ = shown_s, duration_s_ = duration_s;
  }
  bool fades(double time_s) const { return time_s < from_s_ + duration_s_; }
  // Values of the frame at time_s: once nothing is held any more, exactly as they come.
  void apply(double time_s, float* value) {
    if (fades(time_s)) {
      const double share = ease(std::clamp((time_s - from_s_) / duration_s_, 0.0, 1.0));
      for (size_t i = 0; i < shown_.size(); ++i)
        value[i] = static_cast<float>(lerp(static_cast<double>(held_[i]), static_cast<double>(value[i]), share));
    }
    std::copy_n(value, shown_.size(), shown_.begin());
  }
  bool at_rest() const {
    return std::all_of(shown_.begin(), shown_.end(), [](float x) { return x == 0; });
  }
  uint64_t bytes() const { return (shown_.capacity() + held_.capacity()) * sizeof(float); }

 private:
  std::vector<float> shown_, held_;
  double from_s_ = 0, duration_s_ = 0;
};

}  // namespace ts
