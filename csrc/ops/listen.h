// SPDX-License-Identifier: Apache-2.0
// listen — audio as it comes, at any rate and with up to 8 channels, to 16 kHz mono.
//
// Maths    a sinc cut at 0.94 of the lower Nyquist frequency under a Kaiser window (beta 7.857: 80 dB) that is 16
//          samples of the lower rate long to each side: 1 ms, 2 ms at 8 kHz. Flat within 0.001 dB to 0.78 of the lower
//          Nyquist frequency, 80 dB down from 1.1 of it. Zero phase: output n is the sound at n / 16000 s. Samples
//          before the first and after the last are zeros. At 16 kHz samples pass as they are
//          Channels: ops/mixdown.h
// Layout   one row of coefficients per phase, divided by their sum. Where the ratio of the rates needs more than 64 Ki
//          of them (44101 Hz: 1.4 Mi), rows of fewer phases, 1024 to a sample of the lower rate, are interpolated:
//          off by at most 4e-6 of full scale
// Order    every output is one sum in one order, whatever the pushes: bit-identical for any chunking
// Edges    N samples at rate R give ceil(16000 N / R)
// Oracle   tests/reference/listen.py      Bench  bench/ops/bench_voice.py
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "core/status.h"
#include "ops/mixdown.h"

namespace ts {

constexpr int kListenHz = 16000;
constexpr float kLoudest = 8;  // full scale is 1; louder is another scale

enum class SampleFormat { kF32, kS16 };

struct Sound {
  const float* sample = nullptr;
  int64_t n = 0;
};

class Listen {
 public:
  Listen(int rate_hz, int channels);  // 8000..192000, 1..8

  // kAudioInvalid unless all n samples of every channel can be taken.
  Status check(SampleFormat format, const void* samples, int64_t n) const;
  // The same of samples that are still to be pushed somewhere: n of so many channels, after so many that were.
  static Status check_sound(SampleFormat format, const void* samples, int64_t n, int channels, int64_t n_before);
  // How many samples must have been taken before n of the sound are there.
  int64_t samples_for(int64_t n) const;
  // Takes the first of the n samples, which check() must have seen: at least one of them, at most 1024. Returns how
  // many. heard() is then the sound that they completed, until the next call.
  int64_t push(SampleFormat format, const void* samples, int64_t n);
  // The audio has ended: heard() is the rest of the sound.
  void finish();
  Sound heard() const { return {heard_.data(), n_heard_}; }

  int64_t n_samples() const { return n_samples_; }  // taken so far, of each channel
  void reset();

 private:
  void make_rows();
  void resample(int64_t last);  // outputs whose samples are all there, and below `last`

  int rate_hz_, channels_;
  Mixdown mixdown_;
  int64_t up_, down_;  // 16000 / rate as a fraction in lowest terms
  int half_;           // samples to each side; 0 at 16 kHz
  int taps_;           // of a row, a multiple of 8
  int phases_;         // rows, without the extra one that interpolation reads
  bool interpolate_ = false;
  Buffer<float> row_;  // [phases_ (+1)][taps_]

  Buffer<float> recent_;  // samples from first_ on
  int64_t first_ = 0;
  int64_t n_recent_ = 0;
  int64_t n_samples_ = 0;
  int64_t n_out_ = 0;  // outputs so far: the next one lies at ...
  int64_t at_ = 0;     // ... sample at_ + phase_ / up_
  int64_t phase_ = 0;
  Buffer<float> heard_;
  int64_t n_heard_ = 0;
};

}  // namespace ts
