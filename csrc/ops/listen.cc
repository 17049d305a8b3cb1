// SPDX-License-Identifier: Apache-2.0
#include "ops/listen.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "core/clock.h"
#include "core/scan.h"

namespace ts {
namespace {

constexpr int kPush = 1024;  // samples of a channel that one push takes
constexpr int kSums = 8;     // partial sums of a product: the compiler makes vectors of them
constexpr int kHalf = 16;    // of the filter, in samples of the lower rate
constexpr double kPi = 3.14159265358979323846;
constexpr double kCut = 0.94;
constexpr double kBeta = 7.857;  // 0.1102 (80 dB - 8.7), Kaiser's formula
constexpr int64_t kMaxTable = int64_t{1} << 16;
constexpr int kPhases = 1024;  // to a sample of the lower rate, where rows are interpolated

// The modified Bessel function of order 0, by its series.
double bessel_i0(double x) {
  double sum = 1, term = 1;
  for (int k = 1; term > 1e-18 * sum; ++k) {
    term *= (x / (2 * k)) * (x / (2 * k));
    sum += term;
  }
  return sum;
}

// The filter at a distance of t samples of the lower rate.
double filter(double t) {
  if (std::abs(t) >= kHalf) return 0;
  const double x = kPi * kCut * t, u = t / kHalf;
  const double sinc = x == 0 ? 1 : std::sin(x) / x;
  return sinc * bessel_i0(kBeta * std::sqrt(1 - u * u)) / bessel_i0(kBeta);
}

float dot(const float* a, const float* b, int n) {
  float sum[kSums] = {};
  for (int i = 0; i < n; i += kSums) {
    for (int k = 0; k < kSums; ++k) sum[k] += a[i + k] * b[i + k];
  }
  for (int half = kSums / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) sum[k] += sum[k + half];
  }
  return sum[0];
}

}  // namespace

Listen::Listen(int rate_hz, int channels) : rate_hz_(rate_hz), channels_(channels), mixdown_(rate_hz, channels) {
  const int64_t divisor = std::gcd(kListenHz, rate_hz);
  up_ = kListenHz / divisor, down_ = rate_hz / divisor;
  const double lower = std::min(1.0, static_cast<double>(kListenHz) / rate_hz);  // samples of the lower rate per sample
  half_ = rate_hz == kListenHz ? 0 : static_cast<int>(std::ceil(kHalf / lower));
  taps_ = (2 * half_ + kSums - 1) / kSums * kSums;
  phases_ = static_cast<int>(up_);
  if (up_ * taps_ > kMaxTable) {
    interpolate_ = true;
    phases_ = static_cast<int>(std::ceil(kPhases * lower));
  }
  if (half_ > 0) make_rows();
  // A row of taps is read behind the last sample that counts, where coefficients are 0.
  recent_.reserve(static_cast<size_t>(2 * taps_ + kPush));
  heard_.reserve(static_cast<size_t>((kPush + half_) * up_ / down_ + 2));
  reset();
}

// Row p has the coefficients of samples at_ - half_ + 1, ... for an output at at_ + p / phases_.
void Listen::make_rows() {
  const int rows = phases_ + interpolate_;
  const double lower = std::min(1.0, static_cast<double>(kListenHz) / rate_hz_);
  float* row = row_.reserve(static_cast<size_t>(rows) * static_cast<size_t>(taps_));
  std::vector<double> exact(static_cast<size_t>(taps_));
  for (int p = 0; p < rows; ++p, row += taps_) {
    double sum = 0;
    for (int i = 0; i < taps_; ++i) {
      const double t = i - half_ + 1 - static_cast<double>(p) / phases_;
      exact[static_cast<size_t>(i)] = i < 2 * half_ ? filter(lower * t) : 0;
      sum += exact[static_cast<size_t>(i)];
    }
    for (int i = 0; i < taps_; ++i) row[i] = static_cast<float>(exact[static_cast<size_t>(i)] / sum);
  }
}

void Listen::reset() {
  // half_ - 1 zeros stand before sample 0.
  first_ = half_ > 0 ? 1 - half_ : 0;
  n_recent_ = -first_;
  std::fill(recent_.data(), recent_.data() + 2 * taps_ + kPush, 0.0f);
  mixdown_.reset();
  n_samples_ = n_out_ = at_ = phase_ = n_heard_ = 0;
}

Status Listen::check(SampleFormat format, const void* samples, int64_t n) const {
  return check_sound(format, samples, n, channels_, n_samples_);
}

Status Listen::check_sound(SampleFormat format, const void* samples, int64_t n, int channels, int64_t n_before) {
  if (n > kMaxCount - n_before) {
    return error(StatusCode::kAudioInvalid, "a stream may have at most 2^40 samples; reset it, or make another.");
  }
  if (format == SampleFormat::kS16) return {};
  const auto* x = static_cast<const float*>(samples);
  const int64_t at = find_outside(x, n * channels, -kLoudest, kLoudest);
  if (at < 0) return {};
  const float value = x[at];
  const int64_t sample = n_before + at / channels;
  return error(StatusCode::kAudioInvalid,
               "samples must be finite and within +-%g (full scale is 1); sample %lld of channel %lld is %g.%s",
               static_cast<double>(kLoudest), static_cast<long long>(sample), static_cast<long long>(at % channels),
               static_cast<double>(value),
               std::isfinite(value) ? " int16 values in a float array? Divide them by 32768." : "");
}

int64_t Listen::samples_for(int64_t n) const {
  if (half_ == 0 || n == 0) return n;
  return (n - 1) * down_ / up_ + half_ + 1;
}

int64_t Listen::push(SampleFormat format, const void* samples, int64_t n) {
  n = std::min<int64_t>(n, kPush);
  float* out = half_ > 0 ? recent_.data() + n_recent_ : heard_.data();
  if (format == SampleFormat::kS16) {
    mixdown_.mix(static_cast<const int16_t*>(samples), n, 1.0f / 32768, out);
  } else {
    mixdown_.mix(static_cast<const float*>(samples), n, 1.0f, out);
  }
  n_samples_ += n;
  n_heard_ = 0;
  if (half_ > 0) {
    n_recent_ += n;
    resample(INT64_MAX);
  } else {
    n_heard_ = n;
  }
  return n;
}

void Listen::finish() {
  n_heard_ = 0;
  if (half_ == 0) return;
  std::fill(recent_.data() + n_recent_, recent_.data() + n_recent_ + half_, 0.0f);
  n_recent_ += half_;
  resample((n_samples_ * up_ + down_ - 1) / down_);
}

void Listen::resample(int64_t last) {
  float* heard = heard_.data();
  for (; n_out_ < last && at_ + half_ < first_ + n_recent_; ++n_out_) {
    const float* x = recent_.data() + (at_ - half_ + 1 - first_);
    if (interpolate_) {
      const double position = static_cast<double>(phase_) / static_cast<double>(up_) * phases_;
      const int p = static_cast<int>(position);
      const float share = static_cast<float>(position - p);
      const float *low = row_.data() + static_cast<int64_t>(p) * taps_, *high = low + taps_;
      heard[n_heard_++] = (1 - share) * dot(low, x, taps_) + share * dot(high, x, taps_);
    } else {
      heard[n_heard_++] = dot(row_.data() + phase_ * taps_, x, taps_);
    }
    phase_ += down_;
    at_ += phase_ / up_;
    phase_ %= up_;
  }
  // What no output needs any more makes room.
  const int64_t done = std::min(at_ - half_ + 1 - first_, n_recent_);
  std::memmove(recent_.data(), recent_.data() + done, static_cast<size_t>(n_recent_ - done) * sizeof(float));
  first_ += done, n_recent_ -= done;
}

}  // namespace ts
