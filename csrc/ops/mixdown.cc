// SPDX-License-Identifier: Apache-2.0
#include "ops/mixdown.h"

#include <cstddef>

namespace ts {
namespace {

constexpr double kMemory = 0.6;      // of a slice
constexpr double kCancel = 0.05;     // n^2 mean / sum(channels) below which channels cancel
constexpr double kSound = 0.2;       // and from which on they do not
constexpr double kMuchLouder = 4.0;  // power that takes over from the channel that is heard

}  // namespace

template <class T>
void Mixdown::mix(const T* samples, int64_t n, float scale, float* out) {
  if (channels_ == 1) {
    for (int64_t i = 0; i < n; ++i) out[i] = scale * static_cast<float>(samples[i]);
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const T* sample = samples + i * channels_;
    float sum = 0;
    for (int c = 0; c < channels_; ++c) {
      const float value = scale * static_cast<float>(sample[c]);
      sum += value;
      power_[static_cast<std::size_t>(c)] += static_cast<double>(value) * static_cast<double>(value);
    }
    const float mean = sum / static_cast<float>(channels_);
    mean_ += static_cast<double>(mean) * static_cast<double>(mean);
    const float heard = chosen_ == kMean ? mean : scale * static_cast<float>(sample[chosen_]);
    if (chosen_ == before_) {
      out[i] = heard;
    } else {
      const float left = before_ == kMean ? mean : scale * static_cast<float>(sample[before_]);
      const float t = static_cast<float>(at_ + 1) / static_cast<float>(slice_);
      out[i] = (1 - t) * left + t * heard;
    }
    if (++at_ == slice_) choose();
  }
}

void Mixdown::choose() {
  at_ = 0;
  before_ = chosen_;
  mean_sum_ = kMemory * mean_sum_ + mean_;
  mean_ = 0;
  double all = 0;
  int loudest = 0;
  for (int c = 0; c < channels_; ++c) {
    const auto i = static_cast<std::size_t>(c);
    power_sum_[i] = kMemory * power_sum_[i] + power_[i];
    power_[i] = 0;
    all += power_sum_[i];
    if (power_sum_[i] > power_sum_[static_cast<std::size_t>(loudest)]) loudest = c;
  }
  const double heard = mean_sum_ * channels_ * channels_;
  if (heard < (chosen_ == kMean ? kCancel : kSound) * all) {
    const bool takes_over = chosen_ == kMean || power_sum_[static_cast<std::size_t>(loudest)] >
                                                    kMuchLouder * power_sum_[static_cast<std::size_t>(chosen_)];
    if (takes_over) chosen_ = loudest;
  } else if (all > 0) {  // silence has nothing to say
    chosen_ = kMean;
  }
}

template void Mixdown::mix(const int16_t*, int64_t, float, float*);
template void Mixdown::mix(const float*, int64_t, float, float*);

}  // namespace ts
