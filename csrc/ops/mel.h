// SPDX-License-Identifier: Apache-2.0
// mel — 16 kHz sound to levelled log-mel columns, 100 a second: the front of encode.
//
// Maths    column i is of samples 160 i - 240 .. 160 i + 159 under a periodic Hann window, with zeros before sample 0.
//          Power spectrum over the window's energy; triangles of HTK's mel scale, 2595 log10(1 + f / 700), each divided
//          by its sum; decibels above a level that follows speech up in tens of milliseconds and down in seconds
// Order    float64 throughout, so that neither instruction set nor chunking matters
// Oracle   tests/reference/encode.py
#pragma once
#include <cstdint>
#include <vector>

#include "math/fft.h"

namespace ts {

constexpr int kMelHop = 160, kMelWindow = 400;

struct MelParams {
  int n_mels = 40;
  double f_min_hz = 60, f_max_hz = 7600;
  double start_db = 0, floor_db = 0, attack_s = 1, release_db_per_s = 0;  // of the leveller
  double offset_db = 0, scale_db = 1, clip_low = 0, clip_high = 0;        // of a feature
};

// What every stream of a voice shares.
class MelTables {
 public:
  explicit MelTables(const MelParams& params);

  const MelParams params;
  const double attack;   // share of the way up that the level goes in a column
  const double release;  // decibels that it falls in a column

  // window [400] -> band [n_mels], power
  void bands(const float* window, double* band) const;

 private:
  struct Triangle {
    int first;  // bin
    std::vector<double> weight;
  };
  PowerSpectrum512 spectrum_;
  double window_[kMelWindow];  // divided by the root of its energy
  std::vector<Triangle> triangles_;
};

class Mel {
 public:
  explicit Mel(const MelTables& tables);  // which must outlive it

  // Takes samples up to the end of the next column, at most n, and returns how many. When they completed a column,
  // `done` is set and its features are written to feature [n_mels].
  int64_t push(const float* samples, int64_t n, float* feature, bool& done);
  void reset();

 private:
  void finish_column(float* feature);

  const MelTables& tables_;
  float window_[kMelWindow];
  int filled_;  // samples of window_
  double level_db_;
  std::vector<double> band_;
};

}  // namespace ts
