// SPDX-License-Identifier: Apache-2.0
// SessionClock — when the frames of a session are due: frame k a whole number of frames after its start, so that
// nothing adds up. Nanoseconds of whoever's time it is: now_ns(), or the caller's.
#pragma once
#include <cmath>
#include <cstdint>

namespace ts {

int64_t now_ns();  // steady: it neither jumps nor runs back

class SessionClock {
 public:
  explicit SessionClock(double fps) : fps_(fps), period_ns_(std::llround(1e9 / fps)) {}

  double fps() const { return fps_; }
  int64_t period_ns() const { return period_ns_; }
  bool started() const { return started_; }
  void start(int64_t first_deadline_ns) { started_ = true, start_ns_ = first_deadline_ns; }
  int64_t start_ns() const { return start_ns_; }
  int64_t deadline_ns(int64_t frame) const { return start_ns_ + at_ns(frame); }
  // The last frame whose deadline is not after that time; negative before the first.
  int64_t last_due(int64_t time_ns) const {
    auto frame = static_cast<int64_t>(std::floor(static_cast<double>(time_ns - start_ns_) * fps_ / 1e9));
    while (deadline_ns(frame + 1) <= time_ns) ++frame;
    while (deadline_ns(frame) > time_ns) --frame;
    return frame;
  }
  // It stood still for so long.
  void shift(int64_t ns) { start_ns_ += ns; }

 private:
  int64_t at_ns(int64_t frame) const { return std::llround(static_cast<double>(frame) * 1e9 / fps_); }

  double fps_;
  int64_t period_ns_;
  bool started_ = false;
  int64_t start_ns_ = 0;
};

}  // namespace ts
