// SPDX-License-Identifier: Apache-2.0
// Scans over untrusted arrays. Each returns the index of the first offender, or -1 when there is none, at about the
// speed of memory: stretches are tested without branches, and only one with an offender is searched.
#pragma once
#include <cstdint>

namespace ts {

int64_t find_non_finite(const float* x, int64_t n);
int64_t find_outside(const float* x, int64_t n, float low, float high);  // NaN is outside
int64_t find_not_below(const uint32_t* x, int64_t n, int64_t limit);
int64_t find_not_below(const uint16_t* x, int64_t n, int64_t limit);
int64_t find_not_increasing(const uint32_t* x, int64_t n);  // x[i] <= x[i-1]

}  // namespace ts
