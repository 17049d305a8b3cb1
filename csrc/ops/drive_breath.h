// SPDX-License-Identifier: Apache-2.0
// breath — how full the lungs are, as a function of time alone.
#pragma once
#include <cstdint>

namespace ts {

class Breath {
 public:
  explicit Breath(uint64_t seed);
  // 0: breathed out, 1: as deep as it goes.
  double at(double time_s) const;

 private:
  struct Wave {
    double hz, phase;
    double at(double time_s) const;
  };
  Wave breathing_, pace_[2], depth_;
};

}  // namespace ts
