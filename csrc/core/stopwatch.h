// SPDX-License-Identifier: Apache-2.0
// Stopwatch — how long a stage took.
#pragma once
#include <chrono>

namespace ts {

class Stopwatch {
 public:
  // Microseconds since the last lap, or since this was made.
  float lap() {
    const auto now = std::chrono::steady_clock::now();
    const float us = std::chrono::duration<float, std::micro>(now - last_).count();
    last_ = now;
    return us;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace ts
