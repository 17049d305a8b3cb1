// SPDX-License-Identifier: Apache-2.0
// A step of many streams of a voice, as sessions' rounds run it: from the host's first word to what the towers say in the
// host's memory. And how far that is from the CPU's, at most.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "core/stopwatch.h"
#include "cpu/backend.h"
#include "cuda/backend.h"
#include "engine/voice_file.h"
#include "gpu_bench.h"

namespace ts_bench {
namespace {

constexpr int kComparedSteps = 8;  // of each stream, before any is timed

// Streams of a voice on a backend, which all hear noise of their own.
class Streams {
 public:
  Streams(ts::Backend& backend, const std::shared_ptr<const ts::EncodeModel>& model, size_t n)
      : backend_(backend), model_(*model), output_(n * size(model->n_outputs)), feature_(n * size(model->n_features)) {
    for (size_t i = 0; i < n; ++i) streams_.push_back(backend.make_encode_stream(model));
    input_.resize(n * size(model->n_inputs()));
  }
  ts::Status step(unsigned turn) {
    std::mt19937 random(turn);
    for (float& x : input_) x = static_cast<float>(random()) / 1e9f - 2.0f;
    calls_.clear();
    for (size_t i = 0; i < streams_.size(); ++i)
      calls_.push_back({streams_[i].get(), 1, &input_[i * size(model_.n_inputs())],
                        &output_[i * size(model_.n_outputs)], &feature_[i * size(model_.n_features)]});
    watch_.lap();
    const ts::Status status = backend_.encode(calls_.data(), calls_.size());
    us_ = watch_.lap();
    return status;
  }
  double us() const { return us_; }  // of the last step
  double apart(const Streams& other) const {
    double most = 0;
    const auto compare = [&](const std::vector<float>& a, const std::vector<float>& b) {
      for (size_t i = 0; i < a.size(); ++i) {
        const double d = std::abs(double{a[i]} - double{b[i]});
        if (!(d <= most)) most = d;  // NaN is the most
      }
    };
    compare(output_, other.output_), compare(feature_, other.feature_);
    return most;
  }

 private:
  static size_t size(int n) { return static_cast<size_t>(n); }

  ts::Backend& backend_;
  const ts::EncodeModel& model_;
  std::vector<std::unique_ptr<ts::EncodeStream>> streams_;
  std::vector<float> input_, output_, feature_;
  std::vector<ts::EncodeCall> calls_;
  ts::Stopwatch watch_;
  double us_ = 0;
};

}  // namespace

ts::Status measure_voice(const Options& options) {
  ts::VoiceFile file;
  TS_RETURN_IF_ERROR(ts::read_voice_file(options.voice.c_str(), file));
  const auto model = std::make_shared<const ts::EncodeModel>(file.mel, file.towers);
  std::unique_ptr<ts::Backend> cpu, of_gpu, gpu;
  TS_RETURN_IF_ERROR(ts::open_cpu(1, nullptr, cpu));
  TS_RETURN_IF_ERROR(ts::open_cpu(1, nullptr, of_gpu));
  TS_RETURN_IF_ERROR(ts::open_cuda(0, std::move(of_gpu), gpu));
  const auto n = static_cast<size_t>(options.batch);
  Streams on_gpu(*gpu, model, n), on_cpu(*cpu, model, n);
  double apart = 0;
  unsigned turn = 0;
  for (; turn < static_cast<unsigned>(kComparedSteps); ++turn) {
    TS_RETURN_IF_ERROR(on_gpu.step(turn));
    TS_RETURN_IF_ERROR(on_cpu.step(turn));
    apart = std::max(apart, on_gpu.apart(on_cpu));
  }
  std::vector<double> us;
  for (int i = 0; i < options.repeats; ++i) {
    TS_RETURN_IF_ERROR(on_gpu.step(turn++));
    us.push_back(on_gpu.us());
  }
  std::printf("{\"streams\": %zu, \"towers\": %zu, \"p50_us\": %.2f, \"p99_us\": %.2f, \"apart\": %.3g}\n", n,
              n * model->towers.size(), percentile(us, 0.5), percentile(us, 0.99), std::isfinite(apart) ? apart : 1e30);
  return {};
}

}  // namespace ts_bench
