// SPDX-License-Identifier: Apache-2.0
// The bound on the scratch memory of a frame's (Gaussian, tile) pairs: what needs more is refused, with a way out, by
// any number of threads, and the rasterizer draws on.
#include <string>
#include <vector>

#include "check.h"
#include "cpu/kernel_table.h"
#include "cpu/rasterize.h"

using ts_test::contains;

namespace {

constexpr int kCount = 50, kSide = 256;
constexpr uint64_t kTiles = kSide / ts::kTile * uint64_t{kSide / ts::kTile};
// Every Gaussian fills the picture: a span has four tiles.
constexpr uint64_t kSpanBytes = kCount * (kTiles / ts::kSpanTiles) * sizeof(ts::Span);
constexpr uint64_t kInstanceBytes = kCount * kTiles * sizeof(ts::Instance);

struct Wide {
  std::vector<float> mean, quat, scale, opacity, color;
  Wide() {
    for (int i = 0; i < kCount; ++i) {
      mean.insert(mean.end(), {0, 0, 5 + 0.01f * static_cast<float>(i)});
      quat.insert(quat.end(), {1, 0, 0, 0});
      scale.insert(scale.end(), {1000, 1000, 0.001f});
      opacity.push_back(0.02f);
      color.insert(color.end(), {0.5f, 0.5f, 0.5f});
    }
  }
  ts::GaussianView first(int n) const {
    return {n, mean.data(), quat.data(), scale.data(), opacity.data(), color.data(), -1, 0};
  }
};

ts::Status draw(ts::Rasterizer& rasterizer, const ts::GaussianView& gaussians, uint64_t* n_instances) {
  static std::vector<uint8_t> pixels(3 * kSide * kSide);
  ts::RasterizeArgs args;
  args.gaussians = gaussians;
  args.camera = {{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, kSide, kSide, kSide / 2, kSide / 2, 0.2f};
  args.image = {kSide, kSide, ts::Format::kRgb8, 3 * kSide, pixels.data(), nullptr, nullptr};
  ts::Receipt receipt;
  ts::Status status = rasterizer.draw(args, receipt);
  *n_instances = receipt.n_instances;
  return status;
}

void refuses(int threads, uint64_t limit, bool fits) {
  const ts::KernelTable* kernels = nullptr;
  CHECK(ts::find_kernels(nullptr, &kernels).ok());
  ts::ThreadPool pool(threads);
  ts::Rasterizer rasterizer(*kernels, pool, limit);
  const Wide wide;
  uint64_t n_instances = 0;
  const ts::Status status = draw(rasterizer, wide.first(kCount), &n_instances);
  CHECK_MESSAGE(status.ok() == fits, std::to_string(limit) + ": " + status.message());
  if (fits) {
    CHECK(n_instances == kCount * kTiles);
  } else {
    CHECK(status.code() == ts::StatusCode::kOutOfMemory);
    CHECK(contains(status.message(), "so much of the 256x256 picture"));
    CHECK(contains(status.message(), "Render a smaller image"));
  }
  CHECK(draw(rasterizer, wide.first(5), &n_instances).ok());
  CHECK(n_instances == 5 * kTiles);
}

}  // namespace

int main() {
  for (int threads : {1, 3}) {
    refuses(threads, kSpanBytes - 1, false);                   // in the first phase
    refuses(threads, kSpanBytes + kInstanceBytes - 1, false);  // in the second
    refuses(threads, 2 * (kSpanBytes + kInstanceBytes), true);
    refuses(threads, ts::kMaxPairBytes, true);
  }
  return ts_test::report("test_scratch_limit");
}
