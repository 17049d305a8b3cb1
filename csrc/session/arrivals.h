// SPDX-License-Identifier: Apache-2.0
// Arrivals — when what waits in a queue came, by position. In fixed memory: pushes within a millisecond of each other
// share a mark, and so do the newest where there are too many; a mark has the time of its last push.
#pragma once
#include <cstdint>
#include <memory>

namespace ts {

class Arrivals {
 public:
  void add(int64_t end, int64_t ns) {
    const bool join = n_ > 0 && (n_ == kMarks || ns - last().begun_ns < kTogetherNs);
    if (!join) mark_[(first_ + n_++) % kMarks].begun_ns = ns;
    last().end = end, last().ns = ns;
  }
  // When everything below `end` was there; positions never go back from call to call. 0: not marked any more.
  int64_t when(int64_t end) {
    while (n_ > 1 && mark_[first_].end < end) first_ = (first_ + 1) % kMarks, --n_;
    return n_ > 0 ? mark_[first_].ns : 0;
  }

 private:
  static constexpr int kMarks = 4096;
  static constexpr int64_t kTogetherNs = 1'000'000;
  struct Mark {
    int64_t end = 0, ns = 0, begun_ns = 0;  // positions below end were there at ns
  };
  Mark& last() { return mark_[(first_ + n_ - 1) % kMarks]; }

  std::unique_ptr<Mark[]> mark_{new Mark[kMarks]};
  int first_ = 0, n_ = 0;
};

}  // namespace ts
