// SPDX-License-Identifier: Apache-2.0
// Histogram — durations in fixed memory: percentiles of all that were ever added, right within 2.2 percent.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ts {

class Histogram {
 public:
  void add(int64_t ns) {
    ++bucket_[bucket_of(ns)];
    ++n_;
    max_ns_ = std::max(max_ns_, ns);
  }
  uint64_t n() const { return n_; }
  int64_t max_ns() const { return max_ns_; }

  // The value that a share of them do not exceed, nanoseconds; 0 of none.
  double percentile(double share) const {
    const auto rank = static_cast<uint64_t>(std::ceil(share * static_cast<double>(n_)));
    uint64_t seen = 0;
    for (int i = 0; i < kBuckets; ++i) {
      seen += bucket_[i];
      if (seen >= rank && seen > 0)
        return std::min(kLeastNs * std::exp2((i + 0.5) / kPerOctave), static_cast<double>(max_ns_));
    }
    return 0;
  }

 private:
  static constexpr int kPerOctave = 16, kOctaves = 28;  // 1 us to 268 s
  static constexpr int kBuckets = kPerOctave * kOctaves;
  static constexpr double kLeastNs = 1000;

  static int bucket_of(int64_t ns) {
    const double octave = std::log2(static_cast<double>(std::max<int64_t>(ns, 1)) / kLeastNs);
    return std::clamp(static_cast<int>(octave * kPerOctave), 0, kBuckets - 1);
  }

  uint32_t bucket_[kBuckets] = {};
  uint64_t n_ = 0;
  int64_t max_ns_ = 0;
};

}  // namespace ts
