// SPDX-License-Identifier: Apache-2.0
// Sessions on a GPU, over the fake driver: what is due together is heard in one go and drawn in one, each session shows
// what it shows alone, and one that ends takes no other with it. Arguments: the fake driver; a voice file; two avatars
// that speak.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cpp/check.h"
#include "cpp/session_test.h"
#include "cuda/backend.h"
#include "fallback_backend.h"
#include "simt/cuda_test.h"

using namespace ts_test;
using ts::Format;
using ts::Session;
using ts::StatusCode;
using Frames = std::vector<std::vector<Shown>>;
using Sessions = std::vector<std::shared_ptr<Session>>;

namespace {

constexpr int kCast = 4;
constexpr int64_t kSamples = 2600;  // five frames, of which the last is not whole

struct Stage {
  Stage(const FakeDriver& with, char** paths, std::shared_ptr<ts::Backend> on) : driver(with) {
    first.backend = std::move(on);
    CHECK(ts::Voice::load(paths[0], *first.voice).ok());
    CHECK(ts::Model::load(paths[1], first.backend, first.model).ok());
    second = first;
    CHECK(ts::Model::load(paths[2], first.backend, second.model).ok());
  }
  ts::Scheduler& scheduler() const { return *ts::Scheduler::of(first.backend); }
  const FakeDriver& driver;
  Fixture first, second;  // avatars
};

// Of sizes, formats, precisions and avatars that differ.
std::shared_ptr<Session> open_one(const Stage& stage, int i, bool one_precision = false) {
  ts::SessionParams params = params_of();
  params.canvas.width = 16 + 6 * i, params.canvas.height = 16;
  params.canvas.format = i == 1 ? Format::kNv12 : i == 2 ? Format::kRgba8 : Format::kRgb8;
  params.canvas.precision = i == 3 && !one_precision ? ts::Precision::kReference : ts::Precision::kFast;
  params.latency_ms = 140;
  params.drive.seed = static_cast<uint64_t>(i);
  const Setting unseen(stage.driver, "FAKE_CUDA_KERNELS", 0);  // what a session draws and hears before it begins
  const auto session = open(i % 2 ? stage.second : stage.first, params);
  const std::vector<float> x = sound(kSamples, kRate - 900 * i);
  if (session) CHECK(push(*session, x.data(), kSamples).ok());
  return session;
}

Sessions open_cast(const Stage& stage, bool one_precision = false) {
  Sessions sessions;
  for (int i = 0; i < kCast; ++i) sessions.push_back(open_one(stage, i, one_precision));
  return sessions;
}

int64_t step(const Stage& stage) {
  int64_t n = 0;
  CHECK(stage.scheduler().step(stage.scheduler().caller_ns() + 40 * kMs, n).ok());
  return n;
}

void rounds_show_what_each_shows_alone(const FakeDriver& driver, const Stage& stage, const Frames& want) {
  const Sessions sessions = open_cast(stage);
  Frames frames(kCast);
  for (const auto& session : sessions) CHECK(session->close().ok());
  std::vector<int> launches;
  for (bool goes_on = true; goes_on;) {
    driver.reset();
    const int64_t n = step(stage);
    if (n == kCast) {
      // One graph for each precision. The voice has a launch for a step of all; what ends does so by itself.
      CHECK(driver.calls_of("cuGraphLaunch") == 2);
      launches.push_back(driver.calls_of("cuLaunchKernel"));
    }
    goes_on = false;
    for (size_t s = 0; s < kCast; ++s) goes_on = take(*sessions[s], frames[s]) == StatusCode::kTimeout || goes_on;
  }
  for (size_t s = 0; s < kCast; ++s) CHECK_MESSAGE(frames[s] == want[s], "session " + std::to_string(s));
  // Two steps of 20 ms for a frame of 40, whatever the number of sessions.
  CHECK(std::count(launches.begin(), launches.end(), 2) >= 2);
}

// Where a call of the driver fails for once, as many go on as can. What kernels compute is not looked at.
void a_call_fails(const FakeDriver& driver, const Stage& stage) {
  const Setting unseen(driver, "FAKE_CUDA_KERNELS", 0);
  int calls = 0, ended = 0, unharmed = 0;
  for (int at = 0; at <= calls; at += 3) {
    const Sessions sessions = open_cast(stage);
    Frames frames(kCast);
    while (step(stage) < kCast) {
    }
    for (size_t s = 0; s < kCast; ++s) take(*sessions[s], frames[s]);
    {
      const Setting error(driver, "FAKE_CUDA_ERROR", 1), setting(driver, "FAKE_CUDA_FAIL_AT", at);
      step(stage);
      if (at == 0) calls = driver.calls();  // when none fails
    }
    step(stage);
    bool all = true;
    for (size_t s = 0; s < kCast; ++s) {
      const StatusCode code = take(*sessions[s], frames[s]);
      CHECK(code == StatusCode::kTimeout || code == StatusCode::kDeviceError);
      all = all && code == StatusCode::kTimeout;
      if (code == StatusCode::kTimeout) CHECK(frames[s].size() == 3);
    }
    ++(all ? unharmed : ended);
  }
  CHECK_MESSAGE(calls > 20 && ended > 1 && unharmed > 5,
                std::to_string(calls) + " calls: " + std::to_string(ended) + ", " + std::to_string(unharmed));
}

struct Called {
  int frames = 0;
  std::shared_ptr<Session>* destroys = nullptr;
};
int call(void* user, const ts::LiveFrame&) {
  auto& called = *static_cast<Called*>(user);
  if (++called.frames == 2 && called.destroys) called.destroys->reset();
  return 1;
}

void one_is_destroyed_and_one_interrupted(const Stage& stage, const Frames& want) {
  Sessions sessions = open_cast(stage);
  Called called{0, &sessions[1]};
  CHECK(sessions[0]->set_callback(&call, &called).ok());
  while (called.frames < 2) step(stage);
  CHECK(!sessions[1]);
  int64_t position = -1;
  CHECK(sessions[2]->interrupt(40, position).ok() && position == 0);
  CHECK(sessions[2]->stats().dropped == 2);
  CHECK(sessions[0]->set_callback(nullptr, nullptr).ok());
  sessions.erase(sessions.begin() + 1);
  const Frames frames = run_out(stage.first, sessions);
  CHECK(frames[0].size() + 2 == want[0].size() && std::equal(frames[0].rbegin(), frames[0].rend(), want[0].rbegin()));
  CHECK(frames.back() == want[3]);
}

// "auto": the frame at which the GPU is lost is drawn by the CPU, and the voice goes on.
void lost_on_the_way(const FakeDriver& driver, char** paths) {
  const Stage cpu(driver, paths, open_cpu_backend());
  const Frames want = run_out(cpu.first, open_cast(cpu, true));
  std::unique_ptr<ts::Backend> gpu;
  CHECK(ts::open_cuda(0, open_cpu_backend(), gpu).ok());
  if (!gpu) return;
  const Stage both(driver, paths, ts::with_fallback(std::move(gpu), open_cpu_backend()));
  CHECK(both.first.backend->batch() > 1);
  const Sessions sessions = open_cast(both, true);
  while (step(both) < kCast) {
  }
  CHECK(step(both) == kCast);
  Frames frames(kCast);
  {
    const Setting lost(driver, "FAKE_CUDA_LOST_AT", 1);
    CHECK(step(both) == kCast);
    for (size_t s = 0; s < kCast; ++s) CHECK(take(*sessions[s], frames[s]) == StatusCode::kTimeout);
  }
  CHECK(both.first.backend->batch() == 1 && std::string(both.first.backend->info().device) == "cpu");
  const Frames rest = run_out(both.first, sessions);
  for (size_t s = 0; s < kCast; ++s) {
    frames[s].insert(frames[s].end(), rest[s].begin(), rest[s].end());
    if (!CHECK(frames[s].size() == want[s].size())) continue;
    for (size_t k = 0; k < want[s].size(); ++k) {
      const auto &a = frames[s][k].picture, &b = want[s][k].picture;
      int most = a.size() == b.size() ? 0 : 255;
      for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) most = std::max(most, std::abs(a[i] - b[i]));
      CHECK_MESSAGE(most <= 3, std::to_string(most) + "/255 at frame " + std::to_string(k));
      CHECK(frames[s][k].samples == want[s][k].samples && frames[s][k].flags == want[s][k].flags);
    }
  }
}

// Asked for by name, the GPU is not replaced: all are told.
void lost_by_name(const FakeDriver& driver, char** paths) {
  std::shared_ptr<ts::Backend> gpu;
  CHECK(open_gpu(gpu).ok());
  if (!gpu) return;
  const Stage stage(driver, paths, gpu);
  const Sessions sessions = open_cast(stage);
  while (step(stage) < kCast) {
  }
  const Setting lost(driver, "FAKE_CUDA_LOST_AT", 1);
  step(stage);
  for (const auto& session : sessions) {
    std::vector<Shown> frames;
    CHECK(take(*session, frames) == StatusCode::kDeviceError && frames.size() == 1 && session->ended());
  }
  CHECK(step(stage) == 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s FAKE_DRIVER VOICE AVATAR AVATAR\n", argv[0]);
    return 2;
  }
  const FakeDriver driver(argv[1]);
  {
    std::shared_ptr<ts::Backend> gpu;
    CHECK(open_gpu(gpu).ok());
    if (!gpu) return 1;
    const Stage stage(driver, argv + 2, gpu);
    if (!stage.first.model || !stage.second.model) return 1;
    Frames want;
    for (int i = 0; i < kCast; ++i) want.push_back(run_out(stage.first, *open_one(stage, i)));
    rounds_show_what_each_shows_alone(driver, stage, want);
    a_call_fails(driver, stage);
    one_is_destroyed_and_one_interrupted(stage, want);
  }
  CHECK(driver.left() == 0);
  lost_on_the_way(driver, argv + 2);
  lost_by_name(driver, argv + 2);
  return report("test_cuda_sessions");
}
