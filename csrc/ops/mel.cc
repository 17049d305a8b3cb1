// SPDX-License-Identifier: Apache-2.0
#include "ops/mel.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ts {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kHopS = 0.010;
constexpr double kBinHz = 16000.0 / PowerSpectrum512::kSize;
constexpr double kLeastPower = 1e-10;  // -100 dB: keeps the logarithm finite, far below any recording

double mel_of(double hz) { return 2595 * std::log10(1 + hz / 700); }
double hz_of(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }
double decibels(double power) { return 10 * std::log10(power + kLeastPower); }

}  // namespace

MelTables::MelTables(const MelParams& p)
    : params(p), attack(1 - std::exp(-kHopS / p.attack_s)), release(p.release_db_per_s * kHopS) {
  double energy = 0;
  for (int i = 0; i < kMelWindow; ++i) {
    window_[i] = 0.5 - 0.5 * std::cos(2 * kPi * i / kMelWindow);
    energy += window_[i] * window_[i];
  }
  for (double& w : window_) w /= std::sqrt(energy);

  const double low = mel_of(p.f_min_hz), high = mel_of(p.f_max_hz);
  const auto corner = [&](int i) { return hz_of(low + (high - low) * i / (p.n_mels + 1)); };
  for (int m = 0; m < p.n_mels; ++m) {
    const double left = corner(m), middle = corner(m + 1), right = corner(m + 2);
    Triangle triangle{0, {}};
    double sum = 0;
    for (int b = 0; b < PowerSpectrum512::kBins; ++b) {
      const double hz = b * kBinHz;
      const double w = std::min((hz - left) / (middle - left), (right - hz) / (right - middle));
      if (!(w > 0)) continue;
      if (triangle.weight.empty()) triangle.first = b;
      triangle.weight.push_back(w);
      sum += w;
    }
    if (triangle.weight.empty()) {  // narrower than the bins are apart
      triangle = {static_cast<int>(std::lround(middle / kBinHz)), {1.0}};
      sum = 1;
    }
    for (double& w : triangle.weight) w /= sum;
    triangles_.push_back(std::move(triangle));
  }
}

void MelTables::bands(const float* window, double* band) const {
  double x[PowerSpectrum512::kSize] = {}, power[PowerSpectrum512::kBins];
  for (int i = 0; i < kMelWindow; ++i) x[i] = window_[i] * static_cast<double>(window[i]);
  spectrum_(x, power);
  for (size_t m = 0; m < triangles_.size(); ++m) {
    const Triangle& triangle = triangles_[m];
    double sum = 0;
    for (size_t i = 0; i < triangle.weight.size(); ++i)
      sum += triangle.weight[i] * power[static_cast<size_t>(triangle.first) + i];
    band[m] = sum;
  }
}

Mel::Mel(const MelTables& tables) : tables_(tables), band_(static_cast<size_t>(tables.params.n_mels)) { reset(); }

void Mel::reset() {
  std::fill(window_, window_ + kMelWindow, 0.0f);
  filled_ = kMelWindow - kMelHop;
  level_db_ = tables_.params.start_db;
}

int64_t Mel::push(const float* samples, int64_t n, float* feature, bool& done) {
  n = std::min<int64_t>(n, kMelWindow - filled_);
  std::copy(samples, samples + n, window_ + filled_);
  filled_ += static_cast<int>(n);
  done = filled_ == kMelWindow;
  if (done) finish_column(feature);
  return n;
}

void Mel::finish_column(float* feature) {
  const MelParams& p = tables_.params;
  tables_.bands(window_, band_.data());
  double mean = 0;
  for (const double power : band_) mean += power;
  const double loudness = decibels(mean / p.n_mels);
  if (loudness > level_db_) {
    level_db_ += (loudness - level_db_) * tables_.attack;
  } else {
    level_db_ = std::max(level_db_ - tables_.release, loudness);
  }
  level_db_ = std::max(level_db_, p.floor_db);
  for (int m = 0; m < p.n_mels; ++m) {
    const double x = (decibels(band_[static_cast<size_t>(m)]) - level_db_ - p.offset_db) / p.scale_db;
    feature[m] = static_cast<float>(std::clamp(x, p.clip_low, p.clip_high));
  }
  filled_ = kMelWindow - kMelHop;
  std::memmove(window_, window_ + kMelHop, static_cast<size_t>(filled_) * sizeof(float));
}

}  // namespace ts
