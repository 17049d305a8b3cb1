// SPDX-License-Identifier: Apache-2.0
// The one clock: samples and frames, exact in integers. Sample n is at n / rate_hz seconds, frame k at k / fps, and fps
// stands for any number that rounds to it, such as 30000 / 1001.
#pragma once
#include <cstdint>

namespace ts {

constexpr int64_t kMaxCount = int64_t{1} << 40;  // of samples or frames: two months at 192 kHz; products fit 128 bits

// Frames before the end of n samples. A frame on the end, by any of the numbers that fps stands for, does not count.
// n to kMaxCount, rate_hz to 2^18, fps from 1 to 1000.
int64_t frame_count(int64_t n, int rate_hz, double fps);

// The last sample at or before the frame's time: the frame is one of n samples' frames exactly where n is greater.
int64_t first_sample(int64_t frame, int rate_hz, double fps);

}  // namespace ts
