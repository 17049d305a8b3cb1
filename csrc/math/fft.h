// SPDX-License-Identifier: Apache-2.0
// PowerSpectrum512 — |X|^2 of 512 real numbers: a radix-2 transform of 256 complex ones in float64, then the step that
// parts even from odd samples. Float64 because the spectrum's logarithm is taken, and a loud band must leave a quiet
// one intact; 512 numbers take a few microseconds in either precision.
#pragma once
#include <cmath>
#include <cstdint>

namespace ts {

class PowerSpectrum512 {
 public:
  static constexpr int kSize = 512, kBins = kSize / 2 + 1;

  PowerSpectrum512() {
    constexpr double kPi = 3.14159265358979323846;
    for (int k = 0; k < kHalf; ++k) {
      cos_[k] = std::cos(2 * kPi * k / kSize);
      sin_[k] = -std::sin(2 * kPi * k / kSize);
      int reversed = 0;
      for (int bit = 0; bit < 8; ++bit) reversed |= (k >> bit & 1) << (7 - bit);
      reversed_[k] = static_cast<uint8_t>(reversed);
    }
  }

  // x [512] -> power [257]
  void operator()(const double* x, double* power) const {
    double re[kHalf], im[kHalf];  // even and odd samples as one complex signal
    for (int i = 0; i < kHalf; ++i) re[reversed_[i]] = x[2 * i], im[reversed_[i]] = x[2 * i + 1];
    for (int size = 2; size <= kHalf; size *= 2) {
      const int half = size / 2, stride = kSize / size;
      for (int start = 0; start < kHalf; start += size) {
        for (int k = 0; k < half; ++k) {
          const int i = start + k, j = i + half;
          const double c = cos_[k * stride], s = sin_[k * stride];
          const double tr = re[j] * c - im[j] * s, ti = re[j] * s + im[j] * c;
          re[j] = re[i] - tr, im[j] = im[i] - ti;
          re[i] += tr, im[i] += ti;
        }
      }
    }
    power[0] = (re[0] + im[0]) * (re[0] + im[0]);
    power[kHalf] = (re[0] - im[0]) * (re[0] - im[0]);
    for (int k = 1; k < kHalf; ++k) {
      const double er = re[k] + re[kHalf - k], ei = im[k] - im[kHalf - k];  // twice the even samples' spectrum
      const double odd_r = im[k] + im[kHalf - k], odd_i = re[kHalf - k] - re[k];
      const double xr = er + odd_r * cos_[k] - odd_i * sin_[k], xi = ei + odd_r * sin_[k] + odd_i * cos_[k];
      power[k] = 0.25 * (xr * xr + xi * xi);
    }
  }

 private:
  static constexpr int kHalf = kSize / 2;
  double cos_[kHalf], sin_[kHalf];  // of exp(-2 pi i k / 512)
  uint8_t reversed_[kHalf];
};

}  // namespace ts
