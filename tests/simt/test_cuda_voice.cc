// SPDX-License-Identifier: Apache-2.0
// A voice through csrc/cuda over the fake driver: beside the CPU's, in calls of many streams, and after the GPU was lost.
// Arguments: the fake driver; a voice file.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cpp/check.h"
#include "cuda/backend.h"
#include "cuda/triton.h"
#include "engine/speech.h"
#include "fallback_backend.h"
#include "kernels/cuda/encode.h"
#include "simt/cuda_test.h"

using namespace ts_test;
using ts::Backend;
using ts::EncodeCall;
using ts::EncodeModel;
using ts::EncodeStream;

namespace {

constexpr double kFromCpu = 1e-5;  // of numbers of size about 1, as tests/simt/test_encode.cc has it

void expect_ok(const ts::Status& status) { CHECK_MESSAGE(status.ok(), status.message()); }

struct Said {
  std::vector<float> channel, feature;
  bool operator==(const Said& o) const { return channel == o.channel && feature == o.feature; }
};

double difference(const Said& a, const Said& b) {
  if (a.channel.size() != b.channel.size() || a.feature.size() != b.feature.size()) return INFINITY;
  double most = 0;
  for (size_t i = 0; i < a.channel.size(); ++i) most = std::max(most, std::abs(double{a.channel[i]} - b.channel[i]));
  for (size_t i = 0; i < a.feature.size(); ++i) most = std::max(most, std::abs(double{a.feature[i]} - b.feature[i]));
  return most;
}

// A stream, and mel columns for it that depend on a number alone.
struct Speaking {
  Speaking(Backend& backend, std::shared_ptr<const EncodeModel> of, unsigned seed, int64_t steps)
      : model(std::move(of)),
        stream(backend.make_encode_stream(model)),
        input(static_cast<size_t>(steps * model->n_inputs())) {
    std::mt19937 random(seed);
    std::normal_distribution<float> number;
    for (float& x : input) x = number(random);
  }
  // The next n steps, whose results are kept.
  EncodeCall call(int64_t n) {
    const int64_t from = done;
    done += n;
    said.channel.resize(static_cast<size_t>(done * model->n_channels));
    said.feature.resize(static_cast<size_t>(done * model->n_features));
    return {stream.get(), n, input.data() + from * model->n_inputs(), said.channel.data() + from * model->n_channels,
            said.feature.data() + from * model->n_features};
  }

  std::shared_ptr<const EncodeModel> model;
  std::unique_ptr<EncodeStream> stream;
  std::vector<float> input;
  int64_t done = 0;
  Said said;
};

Said alone(Backend& backend, const std::shared_ptr<const EncodeModel>& model, unsigned seed, int64_t steps) {
  Speaking one(backend, model, seed, steps);
  for (int64_t i = 0; i < steps; ++i) {
    const EncodeCall call = one.call(1);
    expect_ok(backend.encode(&call, 1));
  }
  return one.said;
}

// other: the same towers the other way round, so that every size is another.
void many_streams_say_what_each_says_alone(const FakeDriver& driver, Backend& cpu, Backend& gpu,
                                           const std::shared_ptr<const EncodeModel>& voice,
                                           const std::shared_ptr<const EncodeModel>& other) {
  constexpr int64_t kSteps = 12;  // more than twice a window
  std::vector<Said> want;
  for (unsigned i = 0; i < 5; ++i) {
    const auto& model = i == 2 ? other : voice;
    want.push_back(alone(gpu, model, i, kSteps));
    const double apart = difference(want.back(), alone(cpu, model, i, kSteps));
    CHECK_MESSAGE(apart <= kFromCpu, std::to_string(apart) + " from the CPU's");
  }
  std::vector<std::unique_ptr<Speaking>> streams;
  for (unsigned i = 0; i < 5; ++i)
    streams.push_back(std::make_unique<Speaking>(gpu, i == 2 ? other : voice, i, kSteps));
  // Of some streams more steps than of others, none of one, and then the rest of all.
  const int64_t some[5] = {3, 1, 2, 7, 0};
  for (const bool rest : {false, true}) {
    std::vector<EncodeCall> calls;
    int64_t most = 0;
    for (size_t i = 0; i < 5; ++i) {
      const int64_t n = rest ? kSteps - some[i] : some[i];
      most = std::max(most, n);
      if (n > 0) calls.push_back(streams[i]->call(n));
    }
    driver.reset();
    expect_ok(gpu.encode(calls.data(), calls.size()));
    CHECK(driver.calls_of("cuLaunchKernel") == most && driver.calls_of("cuEventSynchronize") == 1);
    CHECK(driver.calls_of("cuMemcpyDtoHAsync_v2") == 1);
  }
  for (size_t i = 0; i < 5; ++i) CHECK_MESSAGE(streams[i]->said == want[i], "stream " + std::to_string(i));
  // A stream that is reset begins anew.
  Speaking& first = *streams[0];
  first.stream->reset();
  first.done = 0;
  const EncodeCall again = first.call(kSteps);
  expect_ok(gpu.encode(&again, 1));
  CHECK(first.said == want[0]);
  expect_ok(gpu.encode(nullptr, 0));
}

// What Triton's kernel was launched with.
struct Rows {
  int launches = 0, jobs = 0, blocks = 0;
  bool of_one_tower = true;  // each block
  bool own_scratch = true;   // each job, its own
};
Rows rows;

void look_at_rows(const char* kernel, const void* jobs, unsigned grid_x, unsigned grid_y) {
  ++rows.launches;
  rows.blocks += static_cast<int>(grid_y);
  CHECK(std::string(kernel) == "encode_rows_kernel" && grid_x == 1);
  const auto* job = static_cast<const ts::cuda::EncodeJob*>(jobs);
  float* scratch = nullptr;
  for (unsigned i = 0; i < grid_y * ts::cuda::kTritonRows; ++i, ++job) {
    const ts::cuda::EncodeJob& first = *(job - i % ts::cuda::kTritonRows);
    if (!job->tower) continue;
    ++rows.jobs;
    rows.of_one_tower = rows.of_one_tower && job->tower == first.tower;
    rows.own_scratch =
        rows.own_scratch && job->scratch > scratch && reinterpret_cast<uintptr_t>(job->scratch) % 16 == 0;
    scratch = job->scratch;
  }
}

// Where Triton's kernel computes, streams of a tower are side by side, in whole blocks; what stands in for it makes the
// same bits. sm_90 leaves launches of six towers and more to it (simt/fake_triton.cc).
void streams_by_rows(const FakeDriver& driver, const std::shared_ptr<const EncodeModel>& voice,
                     const std::shared_ptr<const EncodeModel>& other) {
  const int towers = static_cast<int>(voice->towers.size());
  CHECK(towers == 2);
  constexpr unsigned kStreams = 19;  // of which two are the other voice's
  const auto say = [&](int capability, const char* pinned, FakeInterpreter interpreter) {
    const Setting setting(driver, "FAKE_CUDA_CAPABILITY", capability);
    if (pinned) setenv("TALKSPLAT_ENCODE", pinned, 1);
    std::shared_ptr<Backend> gpu;
    expect_ok(open_gpu(gpu));
    unsetenv("TALKSPLAT_ENCODE");
    std::vector<Said> said;
    if (!gpu) return said;
    driver.interpret(interpreter);
    rows = {};
    std::vector<std::unique_ptr<Speaking>> streams;
    for (unsigned i = 0; i < kStreams; ++i)
      streams.push_back(std::make_unique<Speaking>(*gpu, i == 3 || i == 11 ? other : voice, i, 3));
    // One has three steps, all have one, and two have the second.
    std::vector<EncodeCall> calls;
    for (unsigned i = 0; i < kStreams; ++i) calls.push_back(streams[i]->call(i == 5 ? 3 : i == 6 ? 2 : 1));
    expect_ok(gpu->encode(calls.data(), calls.size()));
    driver.interpret(nullptr);
    for (const auto& stream : streams) said.push_back(stream->said);
    return said;
  };
  const std::vector<Said> by_step = say(80, "cuda", nullptr);
  CHECK(by_step == say(80, "triton", nullptr) && by_step == say(90, nullptr, nullptr));
  say(80, "triton", look_at_rows);
  // Of the first step 17 streams are two blocks for either tower, and two are one.
  CHECK(rows.launches == 3 && rows.jobs == towers * (19 + 2 + 1) && rows.blocks == towers * (2 + 1 + 1 + 1));
  CHECK(rows.of_one_tower && rows.own_scratch);
  say(90, nullptr, look_at_rows);
  CHECK(rows.launches == 1 && rows.jobs == towers * 19);
  say(86, nullptr, look_at_rows);
  CHECK(rows.launches == 0);
}

// A call that fails on its way is that of all its streams: until they are reset they say so.
void a_call_fails(const FakeDriver& driver, const std::shared_ptr<const EncodeModel>& voice) {
  std::shared_ptr<Backend> gpu;
  expect_ok(open_gpu(gpu));
  if (!gpu) return;
  const Said want = alone(*gpu, voice, 1, 4);
  int noticed = 0, broken = 0;
  for (int at = 1; at < 12; ++at) {
    Speaking one(*gpu, voice, 1, 4), other(*gpu, voice, 2, 2);
    EncodeCall call = one.call(2);
    expect_ok(gpu->encode(&call, 1));
    call = one.call(2);
    const EncodeCall calls[2] = {call, other.call(2)};
    ts::Status failed;
    {
      const Setting error(driver, "FAKE_CUDA_ERROR", 1), setting(driver, "FAKE_CUDA_FAIL_AT", at);
      failed = gpu->encode(calls, 2);
    }
    if (failed.ok()) {
      CHECK(one.said == want);
      continue;
    }
    ++noticed;
    CHECK_MESSAGE(failed.code() == ts::StatusCode::kDeviceError, failed.message());
    const ts::Status again = gpu->encode(&call, 1);
    if (!again.ok()) {
      ++broken;
      CHECK_MESSAGE(contains(again.message(), "whose stream cannot go on. Reset it"), again.message());
      one.stream->reset();
      one.done = 0;
      call = one.call(4);
      expect_ok(gpu->encode(&call, 1));
    }
    CHECK_MESSAGE(one.said == want, "after call " + std::to_string(at));
  }
  CHECK(noticed > 5 && broken > 3);
}

// From the step on at which the GPU is lost, the CPU goes on with what was said before.
void the_cpu_goes_on(const FakeDriver& driver, Backend& cpu, const std::shared_ptr<const EncodeModel>& voice) {
  const int64_t memory = voice->memory_steps();
  CHECK(memory == 14);  // two layers, each with a window of 5 and 4 taps
  // As many steps as a stream remembers, fewer, and more: then the CPU's rings begin at another step.
  for (const int64_t lost_after : {int64_t{0}, int64_t{5}, memory, memory + 9}) {
    std::unique_ptr<Backend> gpu;
    expect_ok(ts::open_cuda(0, open_cpu_backend(), gpu));
    if (!gpu) return;
    const auto both = ts::with_fallback(std::move(gpu), open_cpu_backend());
    const int64_t steps = lost_after + 9;
    Speaking one(*both, voice, 1, steps), other(*both, voice, 2, steps);
    if (lost_after > 0) {
      const EncodeCall before[2] = {one.call(lost_after), other.call(lost_after)};
      expect_ok(both->encode(before, 2));
    }
    CHECK(std::string(both->info().device) == "cuda:0");
    {
      const Setting lost(driver, "FAKE_CUDA_LOST_AT", 1);
      const EncodeCall after[2] = {one.call(4), other.call(4)};
      expect_ok(both->encode(after, 2));
    }
    CHECK(std::string(both->info().device) == "cpu");
    const EncodeCall rest = one.call(5);
    expect_ok(both->encode(&rest, 1));
    const Said want = alone(cpu, voice, 1, steps);
    CHECK(difference(one.said, want) <= kFromCpu);
    const auto from = static_cast<std::ptrdiff_t>(lost_after * voice->n_channels);
    if (lost_after <= memory)
      CHECK(std::equal(one.said.channel.begin() + from, one.said.channel.end(), want.channel.begin() + from));
    one.stream->reset();
    one.done = 0;
    const EncodeCall again = one.call(steps);
    expect_ok(both->encode(&again, 1));
    CHECK(one.said == want);
    Speaking late(*both, voice, 1, steps);
    const EncodeCall anew = late.call(steps);
    expect_ok(both->encode(&anew, 1));
    CHECK(late.said == want);
  }
}

// A file's lips on the GPU are those on the CPU.
void speech_is_that_of_the_cpu(const std::shared_ptr<Backend>& cpu, const std::shared_ptr<Backend>& gpu,
                               const char* path) {
  const auto voice = std::make_shared<ts::Voice>();
  expect_ok(ts::Voice::load(path, *voice));
  std::vector<float> sound(6000);
  for (size_t i = 0; i < sound.size(); ++i) sound[i] = 0.4f * std::sin(0.06f * static_cast<float>(i % 1777));
  std::vector<float> weights[2];
  for (int on_gpu = 0; on_gpu < 2; ++on_gpu) {
    ts::Speech speech(voice, {}, on_gpu ? gpu : cpu);
    expect_ok(speech.push_sound(ts::SampleFormat::kF32, sound.data(), static_cast<int64_t>(sound.size())));
    expect_ok(speech.finish());
    const int64_t n = speech.ready();
    CHECK(n > 8);
    ts::FaceArrays faces;
    weights[on_gpu].resize(static_cast<size_t>(n * ts::kArkitWeights));
    faces.weight = weights[on_gpu].data();
    CHECK(speech.read_faces(faces, n) == n);
  }
  CHECK(difference({weights[0], {}}, {weights[1], {}}) <= 1e-4);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FAKE_DRIVER VOICE\n", argv[0]);
    return 2;
  }
  const FakeDriver driver(argv[1]);
  ts::VoiceFile file;
  expect_ok(ts::read_voice_file(argv[2], file));
  const auto voice = std::make_shared<EncodeModel>(file.mel, file.towers);
  const auto other =
      std::make_shared<EncodeModel>(file.mel, std::vector<ts::TowerWeights>(file.towers.rbegin(), file.towers.rend()));
  const auto cpu = open_cpu_backend();
  {
    std::shared_ptr<Backend> gpu;
    expect_ok(open_gpu(gpu));
    if (!gpu) return 1;
    many_streams_say_what_each_says_alone(driver, *cpu, *gpu, voice, other);
    speech_is_that_of_the_cpu(cpu, gpu, argv[2]);
  }
  streams_by_rows(driver, voice, other);
  CHECK(driver.left() == 0);
  a_call_fails(driver, voice);
  the_cpu_goes_on(driver, *cpu, voice);
  return report("test_cuda_voice");
}
