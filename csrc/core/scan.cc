// SPDX-License-Identifier: Apache-2.0
#include "core/scan.h"

#include <algorithm>
#include <cstring>

namespace ts {
namespace {

// is_bad(i) returns 0 or 1 and must not branch, so that the inner loop becomes vector code.
template <class IsBad>
int64_t find_first(int64_t n, const IsBad& is_bad) {
  constexpr int64_t kStretch = 4096;
  for (int64_t begin = 0; begin < n; begin += kStretch) {
    const int64_t end = std::min(n, begin + kStretch);
    uint32_t bad = 0;
    for (int64_t i = begin; i < end; ++i) bad |= is_bad(i);
    if (!bad) continue;
    for (int64_t i = begin; i < end; ++i) {
      if (is_bad(i)) return i;
    }
  }
  return -1;
}

template <class T>
int64_t find_not_below_impl(const T* x, int64_t n, int64_t limit) {
  if (limit <= 0) return n > 0 ? 0 : -1;
  const T last = static_cast<T>(std::min<int64_t>(limit - 1, static_cast<T>(-1)));
  return find_first(n, [=](int64_t i) -> uint32_t { return x[i] > last; });
}

}  // namespace

int64_t find_non_finite(const float* x, int64_t n) {
  return find_first(n, [=](int64_t i) -> uint32_t {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    return (bits & 0x7F800000u) == 0x7F800000u;
  });
}

int64_t find_outside(const float* x, int64_t n, float low, float high) {
  return find_first(n, [=](int64_t i) -> uint32_t { return !(x[i] >= low) | !(x[i] <= high); });
}

int64_t find_not_below(const uint32_t* x, int64_t n, int64_t limit) { return find_not_below_impl(x, n, limit); }
int64_t find_not_below(const uint16_t* x, int64_t n, int64_t limit) { return find_not_below_impl(x, n, limit); }

int64_t find_not_increasing(const uint32_t* x, int64_t n) {
  const int64_t i = find_first(n - 1, [=](int64_t k) -> uint32_t { return x[k + 1] <= x[k]; });
  return i < 0 ? -1 : i + 1;
}

}  // namespace ts
