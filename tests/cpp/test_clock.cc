// SPDX-License-Identifier: Apache-2.0
// Samples and frames, exactly.
#include <cstdint>

#include "check.h"
#include "core/clock.h"

namespace {

void counts_frames() {
  CHECK(ts::frame_count(0, 16000, 25) == 0 && ts::frame_count(1, 16000, 25) == 1);
  CHECK(ts::frame_count(640, 16000, 25) == 1 && ts::frame_count(641, 16000, 25) == 2);
  CHECK(ts::frame_count(16016, 16000, 30000.0 / 1001) == 30 && ts::frame_count(16017, 16000, 30000.0 / 1001) == 31);
  CHECK(ts::frame_count(48048, 48000, 24000.0 / 1001) == 24 && ts::frame_count(48049, 48000, 24000.0 / 1001) == 25);
  CHECK(ts::frame_count(100, 100000, 29.97) == 1);
  // A long, long time: 2^40 samples are 2^40 / 8000 s.
  CHECK(ts::frame_count(int64_t{1} << 40, 8000, 50) == (int64_t{1} << 40) / 160 + 1);
  for (int k = 1; k < 3000; ++k) {
    CHECK(ts::frame_count(int64_t{1001} * k, 30000, 30000.0 / 1001) == k);
    CHECK(ts::frame_count(int64_t{1001} * k, 60000, 60000.0 / 1001) == k);
    if (!CHECK(ts::frame_count(int64_t{1001} * k + 1, 24000, 24000.0 / 1001) == k + 1)) break;
  }
}

// n samples have frame k exactly when n is beyond first_sample(k).
void first_samples_agree_with_counts() {
  const double rates[] = {20, 23.976, 24000.0 / 1001, 25, 29.97, 30000.0 / 1001, 47.3, 60000.0 / 1001, 60};
  for (const double fps : rates) {
    for (const int rate_hz : {8000, 11025, 16000, 44100, 48000, 192000}) {
      for (const int64_t k : {0, 1, 2, 5, 999, 1001, 30030, 1 << 20}) {
        const int64_t n = ts::first_sample(k, rate_hz, fps);
        if (!CHECK(ts::frame_count(n, rate_hz, fps) <= k && ts::frame_count(n + 1, rate_hz, fps) == k + 1)) return;
      }
    }
  }
  CHECK(ts::first_sample(0, 48000, 25) == 0 && ts::first_sample(3, 48000, 25) == 5760);
  CHECK(ts::first_sample(1, 44100, 30) == 1470 && ts::first_sample(1, 44100, 24) == 1837);
  CHECK(ts::first_sample(5, 48000, 30000.0 / 1001) == 8008);  // whole, and not a sample less by rounding
  for (int64_t k = 0; k < 3000; ++k) {
    if (!CHECK(ts::first_sample(k, 30000, 30000.0 / 1001) == 1001 * k)) return;
  }
}

}  // namespace

int main() {
  counts_frames();
  first_samples_agree_with_counts();
  return ts_test::report("test_clock");
}
