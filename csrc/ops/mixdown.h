// SPDX-License-Identifier: Apache-2.0
// mixdown — several channels to the one that is heard: their mean, or the loudest where they cancel each other.
//
// Maths    the powers of the mean and of every channel, summed over slices of 20 ms with a memory of 0.6 a slice. For
//          channels that have nothing to do with each other, n^2 mean / sum(channels) is 1; for equal ones it is n.
//          Below 0.05 they cancel (stereo with one channel's sign turned: 0), and the loudest channel is heard; from
//          0.2 on the mean is heard again. Another channel must be four times as loud to take over. Choices change at
//          the ends of slices, and fade over the next slice
// Order    every sample is one sum in one order, slices are counted from sample 0: bit-identical for any chunking
// Edges    one channel passes as it is; no sample is delayed, so the first 20 ms are always the mean
// Oracle   tests/reference/listen.py
#pragma once
#include <array>
#include <cstdint>

namespace ts {

constexpr int kMaxSoundChannels = 8;

class Mixdown {
 public:
  Mixdown(int rate_hz, int channels) : channels_(channels), slice_(rate_hz / 50) {}

  // samples [n][channels], times scale, to out [n].
  template <class T>
  void mix(const T* samples, int64_t n, float scale, float* out);
  void reset() { *this = Mixdown(50 * slice_, channels_); }

 private:
  static constexpr int kMean = -1;
  void choose();  // at the end of a slice

  int channels_;
  int slice_;                       // samples
  int at_ = 0;                      // in the slice
  int chosen_ = kMean;              // channel that is heard
  int before_ = kMean;              // in the slice before
  double mean_ = 0, mean_sum_ = 0;  // power of the mean: in this slice, and of the slices until now
  std::array<double, kMaxSoundChannels> power_{}, power_sum_{};
};

}  // namespace ts
