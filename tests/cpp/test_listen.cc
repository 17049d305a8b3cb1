// SPDX-License-Identifier: Apache-2.0
// listen, by what a resampler must do: sines keep their phase to the sample, what would fold is gone, impulses stay
// where they were, and however the audio is cut the same bits come out.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "ops/listen.h"

using ts::Listen;

namespace {

constexpr double kPi = 3.14159265358979323846;

std::vector<float> hear(Listen& listen, const std::vector<float>& samples, int64_t chunk = INT64_MAX) {
  std::vector<float> out;
  const auto keep = [&] { out.insert(out.end(), listen.heard().sample, listen.heard().sample + listen.heard().n); };
  for (int64_t at = 0, n = static_cast<int64_t>(samples.size()); at < n;) {
    at += listen.push(ts::SampleFormat::kF32, samples.data() + at, std::min(chunk, n - at));
    keep();
  }
  listen.finish();
  keep();
  return out;
}

std::vector<float> hear(const std::vector<float>& samples, int rate_hz, int64_t chunk = INT64_MAX) {
  Listen listen(rate_hz, 1);
  return hear(listen, samples, chunk);
}

std::vector<float> sine(double hz, int rate_hz, int n) {
  std::vector<float> x(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i)
    x[static_cast<size_t>(i)] = static_cast<float>(std::sin(2 * kPi * std::fmod(hz * i / rate_hz, 1.0) + 0.3));
  return x;
}

// Largest difference from the same sine at 16 kHz, away from the ends.
double off_from_sine(const std::vector<float>& heard, double hz) {
  double worst = 0;
  for (size_t i = 100; i + 100 < heard.size(); ++i) {
    const double want = std::sin(2 * kPi * std::fmod(hz * static_cast<double>(i) / 16000, 1.0) + 0.3);
    worst = std::fmax(worst, std::fabs(static_cast<double>(heard[i]) - want));
  }
  return worst;
}

double loudest(const std::vector<float>& heard) {
  double worst = 0;
  for (size_t i = 100; i + 100 < heard.size(); ++i) worst = std::fmax(worst, std::fabs(heard[i]));
  return worst;
}

const int kRates[] = {8000, 8001, 11025, 15999, 16000, 16001, 22050, 32000, 44100, 44101, 48000, 96000, 191999, 192000};

void sines() {
  for (const int rate : kRates) {
    const std::string name = std::to_string(rate) + " Hz";
    const double nyquist = std::min(rate, 16000) / 2.0;
    for (const double share : {0.0, 0.01, 0.3, 0.6, 0.75}) {
      const double off = off_from_sine(hear(sine(share * nyquist, rate, rate / 4), rate), share * nyquist);
      CHECK_MESSAGE(off < 3e-4, name + ": a sine at " + std::to_string(share) + " is off by " + std::to_string(off));
    }
    if (rate <= 16000) continue;
    for (const double share : {1.12, 1.3, 1.9}) {
      if (share * nyquist > 0.49 * rate) continue;
      const double left = loudest(hear(sine(share * nyquist, rate, rate / 4), rate));
      CHECK_MESSAGE(left < 1.5e-4, name + ": what would fold is left with " + std::to_string(left));
    }
  }
}

void same_bits_for_any_chunks() {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (const int rate : kRates) {
    std::vector<float> x(4000);
    for (float& v : x) v = uniform(random);
    const std::vector<float> whole = hear(x, rate);
    CHECK(whole.size() == (x.size() * 16000 + static_cast<size_t>(rate) - 1) / static_cast<size_t>(rate));
    for (const int64_t chunk : {1, 2, 7, 383, 1023, 1024, 1025}) CHECK(hear(x, rate, chunk) == whole);
    Listen again(rate, 1);
    CHECK(hear(again, x, 100) == whole);
    again.reset();
    CHECK(hear(again, x, 999) == whole);
    if (rate == 16000) CHECK(whole == x);
  }
}

void lengths() {
  for (const int rate : kRates) {
    for (const int n : {0, 1, 2, 3, 11, 12, 13, 5000}) {
      const auto want = (static_cast<size_t>(n) * 16000 + static_cast<size_t>(rate) - 1) / static_cast<size_t>(rate);
      CHECK(hear(std::vector<float>(static_cast<size_t>(n), 0.5f), rate).size() == want);
    }
  }
}

// At rates where a sample of each lies at the same time, an impulse there comes out even about it.
void impulses_stay_where_they_are() {
  for (const int rate : {8000, 32000, 48000, 96000, 192000}) {
    const int at_s = 1000;  // 1/16 s
    std::vector<float> x(static_cast<size_t>(rate) / 8);
    x[static_cast<size_t>(rate) / 16] = 1;
    const std::vector<float> y = hear(x, rate);
    CHECK(std::max_element(y.begin(), y.end()) - y.begin() == at_s);
    for (int i = 1; i < 40; ++i) CHECK(y[static_cast<size_t>(at_s - i)] == y[static_cast<size_t>(at_s + i)]);
    CHECK(y[at_s - 33] == 0 && y[at_s + 33] == 0);  // 1 ms to each side, 2 ms at 8 kHz
  }
}

void a_minute_does_not_drift() {
  constexpr int kRate = 44101;
  Listen listen(kRate, 1);
  const std::vector<float> second = sine(1000, kRate, kRate);
  std::vector<float> heard;
  int64_t n = 0;
  for (int s = 0; s < 60; ++s) {  // a whole number of periods a second
    for (int64_t at = 0; at < kRate;) {
      at += listen.push(ts::SampleFormat::kF32, second.data() + at, kRate - at);
      n += listen.heard().n;
      if (s == 59) heard.insert(heard.end(), listen.heard().sample, listen.heard().sample + listen.heard().n);
    }
  }
  const int64_t first = n - static_cast<int64_t>(heard.size());
  double worst = 0;
  for (size_t i = 0; i < heard.size(); ++i) {
    const int64_t sample = (first + static_cast<int64_t>(i)) % 16;  // 1 kHz has 16 samples a period
    worst = std::fmax(worst, std::fabs(static_cast<double>(heard[i]) - std::sin(2 * kPi * sample / 16.0 + 0.3)));
  }
  CHECK_MESSAGE(worst < 3e-4, "after a minute off by " + std::to_string(worst));
}

void mixes_down() {
  Listen stereo(16000, 2), pcm(16000, 2);
  const std::vector<float> x = {0.5f, -0.25f, 1, 1, -0.5f, 0};
  const int16_t s16[] = {16384, -8192, 32767, 32767, -32768, 0};
  CHECK(stereo.push(ts::SampleFormat::kF32, x.data(), 3) == 3 && stereo.heard().n == 3);
  CHECK(stereo.heard().sample[0] == 0.125f && stereo.heard().sample[1] == 1 && stereo.heard().sample[2] == -0.25f);
  CHECK(pcm.push(ts::SampleFormat::kS16, s16, 3) == 3);
  CHECK(pcm.heard().sample[0] == 0.125f && pcm.heard().sample[1] == 32767.0f / 32768);
  CHECK(pcm.heard().sample[2] == -0.5f);
}

}  // namespace

int main() {
  sines();
  same_bits_for_any_chunks();
  lengths();
  impulses_stay_where_they_are();
  a_minute_does_not_drift();
  mixes_down();
  return ts_test::report("test_listen");
}
