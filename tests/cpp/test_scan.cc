// SPDX-License-Identifier: Apache-2.0
// The scans of the core: an offender is found wherever it stands, whatever the length.
#include <limits>
#include <vector>

#include "check.h"
#include "core/scan.h"

namespace {

// Calls scan(values, n) with `bad` at every interesting place of an otherwise good array.
template <class T, class Scan>
void find_each(const std::vector<T>& bads, T good, const Scan& scan) {
  for (const int64_t n : {1, 3, 17, 4095, 4096, 4097, 10000}) {
    std::vector<T> x(static_cast<size_t>(n), good);
    CHECK(scan(x.data(), n) == -1);
    for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
      for (const T bad : bads) {
        x[at] = bad;
        CHECK(scan(x.data(), n) == at);
        CHECK(scan(x.data(), at) == -1);  // one past the end is not looked at
        x[at] = good;
      }
    }
  }
  CHECK(scan(nullptr, 0) == -1);
}

}  // namespace

int main() {
  using ts::find_not_below;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  constexpr float max = std::numeric_limits<float>::max(), tiny = std::numeric_limits<float>::denorm_min();
  for (const float good : {0.0f, max, -max, tiny}) find_each<float>({nan, -nan, inf, -inf}, good, ts::find_non_finite);
  for (const float good : {0.0f, -0.0f, 1.0f, tiny}) {
    find_each<float>({nan, inf, -inf, -tiny, 1.0000001f}, good,
                     [](const float* x, int64_t n) { return ts::find_outside(x, n, 0, 1); });
  }
  find_each<uint32_t>({7, 0x80000000u, ~0u}, 6, [](const uint32_t* x, int64_t n) { return find_not_below(x, n, 7); });
  find_each<uint16_t>({7, 0x8000, 0xFFFF}, 6, [](const uint16_t* x, int64_t n) { return find_not_below(x, n, 7); });

  const uint32_t big[] = {~0u, 0};
  CHECK(find_not_below(big, 2, int64_t{1} << 32) == -1);  // a limit that the type cannot reach
  CHECK(find_not_below(big, 2, 0) == 0 && find_not_below(big, 0, 0) == -1);

  std::vector<uint32_t> rising(9000);
  for (size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<uint32_t>(i * 3);
  CHECK(ts::find_not_increasing(rising.data(), 9000) == -1);
  CHECK(ts::find_not_increasing(rising.data(), 1) == -1 && ts::find_not_increasing(rising.data(), 0) == -1);
  for (const size_t at : {size_t{1}, size_t{4096}, size_t{4097}, size_t{8999}}) {
    const uint32_t kept = rising[at];
    rising[at] = rising[at - 1];
    CHECK(ts::find_not_increasing(rising.data(), 9000) == static_cast<int64_t>(at));
    rising[at] = kept;
  }
  return ts_test::report("test_scan");
}
