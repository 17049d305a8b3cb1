// SPDX-License-Identifier: Apache-2.0
#include "cuda/peak.h"

#include <algorithm>

#include "core/stopwatch.h"
#include "cuda/arena.h"
#include "cuda/stream.h"

namespace ts::cuda {
namespace {

constexpr int kBlocksPerMultiprocessor = 8;  // 64 warps: as many as any can hold
constexpr float kRoundUs = 5000;             // beside which the launch is nothing

// The best of three rounds of so many turns that one takes kRoundUs. flops: of a block's turn.
Status rate_of(const Kernel<PeakArgs>& kernel, const Stream& stream, int64_t blocks, PeakArgs args, double flops,
               double& gflops) {
  const auto run = [&](float& us) {
    Stopwatch watch;
    TS_RETURN_IF_ERROR(stream.launch(kernel, blocks, 1, kPeakThreads, args));
    TS_RETURN_IF_ERROR(stream.finish());
    us = watch.lap();
    return Status();
  };
  float us = 0;
  args.turns = 1;  // this once, for the kernel to be loaded
  TS_RETURN_IF_ERROR(run(us));
  for (us = 0; us < kRoundUs; args.turns *= 2) TS_RETURN_IF_ERROR(run(us));
  args.turns /= 2;
  for (int round = 0; round < 3; ++round) {
    TS_RETURN_IF_ERROR(run(us));
    gflops = std::max(gflops, flops * static_cast<double>(blocks) * args.turns / us / 1e3);
  }
  return {};
}

}  // namespace

Status measure_peak(Device& device, Peak& peak) {
  const Current current(device);
  TS_RETURN_IF_ERROR(current.status());
  const int64_t blocks = int64_t{kBlocksPerMultiprocessor} * device.multiprocessors();
  PeakArgs args{};
  Arena arena(device, MemoryKind::kDevice);
  TS_RETURN_IF_ERROR(arena.make(
      "sums", [&](Layout& layout) { args.sum = layout.take<float>(static_cast<uint64_t>(blocks * kPeakThreads)); }));
  Stream stream(device);
  TS_RETURN_IF_ERROR(stream.make());
  const Kernels& kernels = device.kernels();
  constexpr double kFma = 2.0 * kPeakThreads * kPeakChains;
  constexpr double kMma = 2.0 * 16 * 8 * 16 * (kPeakThreads / 32) * kPeakChains;
  TS_RETURN_IF_ERROR(rate_of(kernels.peak_fma_kernel, stream, blocks, args, kFma, peak.fp32));
  return rate_of(kernels.peak_mma_kernel, stream, blocks, args, kMma, peak.bf16);
}

}  // namespace ts::cuda
