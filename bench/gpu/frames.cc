// SPDX-License-Identifier: Apache-2.0
// Frames through the seam, as an engine draws them: from the host's first word to the picture in the host's memory. And
// whether a frame's picture is the same alone, again, beside others, and where it stays on the GPU.
#include <cstdio>

#include "core/stopwatch.h"
#include "cpu/backend.h"
#include "cuda/backend.h"
#include "gpu_bench.h"

namespace ts_bench {
namespace {

// What turn 0 gives when it is drawn together, once more, and frame by frame.
ts::Status compare(Scene& scene, bool& repeats, bool& batches) {
  const auto pictures = [&] {
    std::vector<std::vector<uint8_t>> all;
    for (size_t i = 0; i < scene.size(); ++i) all.push_back(scene.picture(i));
    return all;
  };
  TS_RETURN_IF_ERROR(scene.draw(0, scene.size(), 0));
  const auto together = pictures();
  TS_RETURN_IF_ERROR(scene.draw(0, scene.size(), 1));
  TS_RETURN_IF_ERROR(scene.draw(0, scene.size(), 0));
  repeats = pictures() == together;
  for (size_t i = 0; i < scene.size(); ++i) TS_RETURN_IF_ERROR(scene.draw(i, 1, i));
  batches = pictures() == together;
  return {};
}

// Of draws whose pictures stay there, one after the other, while nobody waits but for the last: microseconds of each. And
// whether they are those that come to the host.
ts::Status measure_staying(Scene& scene, int repeats, double& us, bool& alike) {
  std::vector<uint8_t> picture;
  TS_RETURN_IF_ERROR(scene.draw(0, scene.size(), 0));
  TS_RETURN_IF_ERROR(scene.draw_to_stay(0));
  alike = true;
  for (size_t i = 0; i < scene.size(); ++i) {
    TS_RETURN_IF_ERROR(scene.read_stayed(i, picture));
    alike = alike && picture == scene.picture(i);
  }
  ts::Stopwatch watch;
  for (int turn = 0; turn < repeats; ++turn) TS_RETURN_IF_ERROR(scene.draw_to_stay(static_cast<size_t>(turn)));
  TS_RETURN_IF_ERROR(scene.read_stayed(scene.size() - 1, picture));
  us = watch.lap() / repeats;
  return {};
}

}  // namespace

ts::Status measure_frames(const Options& options) {
  std::unique_ptr<ts::Backend> cpu, gpu;
  TS_RETURN_IF_ERROR(ts::open_cpu(1, nullptr, cpu));
  TS_RETURN_IF_ERROR(ts::open_cuda(0, std::move(cpu), gpu));
  Scene scene;
  TS_RETURN_IF_ERROR(scene.make(options, std::move(gpu)));
  bool repeats = false, batches = false;
  TS_RETURN_IF_ERROR(compare(scene, repeats, batches));

  std::vector<double> times_us;
  for (int turn = 0; turn < options.repeats + options.repeats / 5; ++turn) {
    ts::Stopwatch watch;
    TS_RETURN_IF_ERROR(scene.draw(0, scene.size(), static_cast<size_t>(turn)));
    if (turn >= options.repeats / 5) times_us.push_back(watch.lap());
  }
  const ts::Receipt receipt = scene.receipt(0);
  double stays_us = 0;
  bool stays_alike = false;
  TS_RETURN_IF_ERROR(measure_staying(scene, options.repeats, stays_us, stays_alike));
  std::printf(
      "{\"batch\": %zu, \"draws\": %zu, \"p50_us\": %.2f, \"p99_us\": %.2f, \"min_us\": %.2f, \"gaussians\": %u, "
      "\"visible\": %llu, \"instances\": %llu, \"dropped\": %llu, \"repeats_alike\": %s, \"batch_alike\": %s, "
      "\"stays_us\": %.2f, \"stays_alike\": %s, \"scratch_bytes\": %llu}\n",
      scene.size(), times_us.size(), percentile(times_us, 0.5), percentile(times_us, 0.99), percentile(times_us, 0),
      receipt.n_gaussians, static_cast<unsigned long long>(receipt.n_visible),
      static_cast<unsigned long long>(receipt.n_instances), static_cast<unsigned long long>(receipt.n_dropped),
      repeats ? "true" : "false", batches ? "true" : "false", stays_us, stays_alike ? "true" : "false",
      static_cast<unsigned long long>(scene.model().backend().info().scratch_bytes));
  return {};
}

}  // namespace ts_bench
