// SPDX-License-Identifier: Apache-2.0
// peak.cu computes what its chains come to: so no product is left out.
#include <string>
#include <vector>

#include "cpp/check.h"
#include "kernels/cuda/peak.cu"
#include "simt/simt.h"

namespace {

using namespace ts::cuda;

constexpr int kBlocks = 2;

std::vector<float> run(void (*kernel)(const PeakArgs), int turns) {
  std::vector<float> sums(kBlocks * kPeakThreads, -1.0f);
  simt::launch("peak", {kBlocks}, {kPeakThreads}, 0, {}, [&] { kernel({turns, sums.data()}); });
  return sums;
}

void chains_go_on(int turns) {
  const std::vector<float> fma = run(peak_fma_kernel, turns), mma = run(peak_mma_kernel, turns);
  for (int i = 0; i < kBlocks * kPeakThreads; ++i) {
    float of_fma = 0, of_mma = 0;
    for (int chain = 0; chain < kPeakChains; ++chain) {
      auto x = static_cast<float>(i % kPeakThreads + chain);
      for (int turn = 0; turn < turns; ++turn) x = 0.5f * x + 1;
      of_fma += x;
      of_mma += 4 * (static_cast<float>(chain) + 0.5f * static_cast<float>(turns));
    }
    const auto at = static_cast<size_t>(i);
    if (!CHECK_MESSAGE(fma[at] == of_fma && mma[at] == of_mma, "thread " + std::to_string(i))) return;
  }
}

}  // namespace

int main() {
  for (const int turns : {0, 1, 5}) chains_go_on(turns);
  return ts_test::report("test_peak");
}
