// SPDX-License-Identifier: Apache-2.0
// Sessions whose frames are made together, in rounds: each shows what it shows alone, whatever becomes of the others. A
// backend that draws on the CPU asks for rounds. Arguments: a voice file, and two avatars that speak.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "batch_backend.h"
#include "check.h"
#include "session_test.h"

static std::atomic<int> n_allocations{0};

__attribute__((noinline)) void* operator new(size_t size) {
  ++n_allocations;
  void* p = std::malloc(size);
  if (!p) throw std::bad_alloc();
  return p;
}
__attribute__((noinline)) void operator delete(void* p) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace {

using namespace ts;
using namespace ts_test;
using Frames = std::vector<std::vector<Shown>>;

struct Stage : Fixture {
  explicit Stage(const char* const* paths) {
    CHECK(open_backend({}, backend).ok());
    together = std::make_shared<BatchBackend>(backend);
    backend = together;
    CHECK(Voice::load(paths[0], *voice).ok());
    CHECK(Model::load(paths[1], backend, model).ok());
    other = {backend, nullptr, voice};
    CHECK(Model::load(paths[2], backend, other.model).ok());
  }
  std::shared_ptr<BatchBackend> together;
  Fixture other;  // avatar
};

// Of sizes, formats and avatars that differ; the i-th has the width 24 + 8 i.
constexpr int kCast = 5;
int width_of(int i) { return 24 + 8 * i; }
std::shared_ptr<Session> open_one(const Stage& stage, int i, double fps = 25) {
  SessionParams params = params_of(fps);
  params.canvas.width = width_of(i), params.canvas.height = 32;
  params.canvas.format = i == 1 ? Format::kNv12 : i == 2 ? Format::kRgba8 : Format::kRgb8;
  params.drive.seed = static_cast<uint64_t>(i);
  return open(i == 3 ? stage.other : stage, params);
}

// Half a second and more, other sound for each.
std::vector<float> sound_of(int i) { return sound(kRate / 2 + 1000 * i, kRate - 900 * i); }

std::vector<std::shared_ptr<Session>> open_cast(const Stage& stage) {
  std::vector<std::shared_ptr<Session>> sessions;
  for (int i = 0; i < kCast; ++i) sessions.push_back(open_one(stage, i));
  for (int i = 0; i < kCast; ++i) {
    const std::vector<float> x = sound_of(i);
    CHECK(push(*sessions[static_cast<size_t>(i)], x.data(), static_cast<int64_t>(x.size())).ok());
  }
  return sessions;
}

Frames each_alone(const Stage& stage) {
  Frames frames;
  for (int i = 0; i < kCast; ++i) {
    const auto session = open_one(stage, i);
    const std::vector<float> x = sound_of(i);
    CHECK(push(*session, x.data(), static_cast<int64_t>(x.size())).ok());
    frames.push_back(run_out(stage, *session));
    CHECK(frames.back().size() > 12);
  }
  return frames;
}

void frames_are_those_of_each_alone(const Stage& stage, const Frames& want) {
  stage.together->largest = stage.together->most_streams = 0;
  const auto sessions = open_cast(stage);
  stage.together->draws = stage.together->frames = 0;
  const Frames frames = run_out(stage, sessions);
  size_t n_frames = 0, most = 0;
  for (size_t i = 0; i < kCast; ++i) {
    CHECK_MESSAGE(frames[i] == want[i], "session " + std::to_string(i));
    n_frames += want[i].size(), most = std::max(most, want[i].size());
  }
  // One draw for each time at which frames are due, and one call for all that is heard.
  CHECK(stage.together->frames == n_frames && stage.together->draws == most);
  CHECK(stage.together->largest == kCast && stage.together->most_streams == kCast);
}

// More than the backend takes at once, and with other times.
void more_than_a_batch(const char* const* paths) {
  Stage stage(paths);
  stage.together = std::make_shared<BatchBackend>(stage.backend, 2);
  stage.backend = stage.together;
  CHECK(Model::load(paths[1], stage.backend, stage.model).ok());
  std::vector<std::shared_ptr<Session>> sessions;
  Frames want;
  const std::vector<float> x = sound(kRate / 2);
  for (const bool alone : {true, false}) {
    sessions.clear();
    for (const double fps : {25.0, 25.0, 25.0, 30.0, 60.0}) {
      sessions.push_back(open(stage, params_of(fps)));
      CHECK(push(*sessions.back(), x.data(), kRate / 2).ok());
      if (!alone) continue;
      want.push_back(run_out(stage, *sessions.back()));
      sessions.clear();
    }
  }
  const Frames frames = run_out(stage, sessions);
  CHECK(frames == want && stage.together->largest == 2);
}

void an_error_is_that_of_one(const Stage& stage, const Frames& want) {
  auto sessions = open_cast(stage);
  const auto scheduler = Scheduler::of(stage.backend);
  Frames frames(kCast);
  const auto step = [&] {
    int64_t n = 0;
    CHECK(scheduler->step(scheduler->caller_ns() + 40 * kMs, n).ok());
    return n;
  };
  for (int i = 0; i < 12; ++i) {
    step();
    for (size_t s = 0; s < kCast; ++s) take(*sessions[s], frames[s]);
  }
  stage.together->fails_at_width = width_of(2);
  CHECK(step() == kCast);
  stage.together->fails_at_width = -1;
  for (size_t s = 0; s < kCast; ++s) {
    LiveFrame frame;
    const Status taken = sessions[s]->acquire(0, frame);
    CHECK(taken.code() == (s == 2 ? StatusCode::kDeviceError : StatusCode::kOk));
    // Of a draw in vain nothing is left in the receipt.
    if (taken.ok()) CHECK(frame.receipt.blend_us >= 1e6f && frame.receipt.blend_us < 2e6f);
    if (taken.ok()) CHECK(sessions[s]->release(frame.slot, frame.index).ok());
  }
  CHECK(step() == kCast - 1 && sessions[2]->ended());
  sessions[2] = open_one(stage, 2);  // it ends now, and the others go on
  const Frames rest = run_out(stage, sessions);
  for (size_t s = 0; s < kCast; ++s) {
    if (s == 2) continue;
    const size_t taken = frames[s].size() + 1;
    CHECK(std::equal(frames[s].begin(), frames[s].end(), want[s].begin()));
    CHECK(want[s].size() > taken &&
          std::equal(rest[s].begin(), rest[s].end(), want[s].begin() + static_cast<int>(taken), want[s].end()));
  }
}

// Where the steps of several cannot be run together they are run one by one.
void streams_that_cannot_be_run_together(const Stage& stage, const Frames& want) {
  stage.together->fails_together = true;
  CHECK(run_out(stage, open_cast(stage)) == want);
  stage.together->fails_together = false;
}

// While its sound is heard, or its frame is drawn: what waits of it is dropped, nobody else notices, and what it says next
// is what it says alone.
void one_is_interrupted(const Stage& stage, const Frames& want) {
  SessionParams params = params_of();
  params.drive.head = params.drive.blink = 0;  // what is left is the mouth
  const std::vector<float> x = sound(kRate / 2), y = sound(kRate / 2, 12000);
  const auto alone = open(stage, params);
  CHECK(push(*alone, x.data(), kRate / 2).ok());
  const std::vector<Shown> said = run_out(stage, *alone);
  for (const bool while_drawn : {false, true}) {
    auto sessions = open_cast(stage);
    const auto one = open(stage, params);
    CHECK(push(*one, y.data(), kRate / 2).ok());
    const auto scheduler = Scheduler::of(stage.backend);
    Frames frames(kCast);
    int64_t n = 0, position = -1;
    for (int i = 0; i < 10; ++i) {
      CHECK(scheduler->step(scheduler->caller_ns() + 40 * kMs, n).ok());
      for (size_t s = 0; s < kCast; ++s) take(*sessions[s], frames[s]);
      if (i == 9) break;  // the last frame stays where it is
      std::vector<Shown> dropped;
      take(*one, dropped);
    }
    const auto interrupt = [&](size_t of) {
      if (of < 2 || position >= 0) return;
      CHECK(one->interrupt(40, position).ok() && position >= 0);
    };
    if (while_drawn)
      stage.together->before_draw = [&](const DrawCall*, size_t of) { interrupt(of); };
    else
      stage.together->before_encode = [&](const EncodeCall*, size_t of) { interrupt(of); };
    CHECK(scheduler->step(scheduler->caller_ns() + 40 * kMs, n).ok());
    stage.together->before_draw = nullptr, stage.together->before_encode = nullptr;
    CHECK(position > 0 && one->stats().dropped == (while_drawn ? 2 : 1));
    CHECK(push(*one, x.data(), kRate / 2).ok());
    sessions.push_back(one);
    const Frames rest = run_out(stage, sessions);
    for (size_t s = 0; s < kCast; ++s)
      CHECK(rest[s].size() + frames[s].size() == want[s].size() &&
            std::equal(rest[s].rbegin(), rest[s].rend(), want[s].rbegin()));
    std::vector<Shown> again;
    for (const Shown& frame : rest.back())
      if (frame.segment == 1) again.push_back(frame);
    // It begins while the mouth still closes, which a few frames later is over.
    CHECK(again.size() == said.size());
    for (size_t k = 6; k < std::min(again.size(), said.size()); ++k) CHECK(again[k].picture == said[k].picture);
  }
}

// ---- callbacks ----

struct Called {
  int frames = 0;
  std::vector<std::shared_ptr<Session>>* sessions = nullptr;
  size_t destroys = 0;  // that session, at its third frame; 0: none
};
int call(void* user, const LiveFrame&) {
  auto& called = *static_cast<Called*>(user);
  if (++called.frames == 3 && called.destroys) (*called.sessions)[called.destroys].reset();
  return 1;
}

// A callback may destroy another session of its round: its frame was made, and goes to nobody.
void a_callback_destroys_another(const Stage& stage) {
  std::vector<std::shared_ptr<Session>> sessions = open_cast(stage);
  std::vector<Called> called(kCast);
  called[1].destroys = 3;
  for (size_t i = 0; i < kCast; ++i) {
    called[i].sessions = &sessions;
    CHECK(sessions[i]->set_callback(&call, &called[i]).ok());
  }
  const auto scheduler = Scheduler::of(stage.backend);
  const int64_t start = scheduler->caller_ns();
  int64_t n = 0;
  while (called[0].frames < 6) {
    CHECK(scheduler->step(scheduler->caller_ns() + 40 * kMs, n).ok());
    if (!CHECK(scheduler->caller_ns() - start < 2000 * kMs)) return;
  }
  CHECK(!sessions[3]);
  for (size_t i = 0; i < kCast; ++i) CHECK(called[i].frames == (i == 3 ? 2 : 6));
}

// Whoever destroys a session waits for its frame, and not for what others' callbacks do; the frame goes to nobody.
void one_is_destroyed_while_it_is_drawn(const Stage& stage) {
  std::vector<std::shared_ptr<Session>> sessions = open_cast(stage);
  std::atomic<bool> gone{false};
  std::atomic<int> calls{0};
  std::thread destroys;
  struct First {
    std::atomic<bool>& gone;
    static int call(void* user, const LiveFrame&) {
      auto& gone = static_cast<First*>(user)->gone;
      for (int ms = 0; ms < 5000 && !gone; ++ms) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return 1;
    }
  } first{gone};
  const auto count = [](void* user, const LiveFrame&) {
    ++*static_cast<std::atomic<int>*>(user);
    return 1;
  };
  CHECK(sessions[0]->set_callback(&First::call, &first).ok());
  CHECK(sessions[3]->set_callback(count, &calls).ok());
  stage.together->before_draw = [&](const DrawCall*, size_t) {
    destroys = std::thread([&] {
      sessions[3].reset();
      gone = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // it waits by now
    CHECK(!gone);
  };
  const auto scheduler = Scheduler::of(stage.backend);
  stage.together->largest = 0;
  for (int64_t n = 0; n == 0;) CHECK(scheduler->step(scheduler->caller_ns() + 40 * kMs, n).ok());
  CHECK(stage.together->largest == kCast && gone && calls == 0);
  destroys.join();
  stage.together->before_draw = nullptr;
}

// ---- memory ----

void rounds_allocate_nothing(const Stage& stage) {
  std::vector<std::shared_ptr<Session>> sessions;
  for (int i = 0; i < kCast; ++i) sessions.push_back(open_one(stage, i));
  const std::vector<float> x = sound(640);
  const auto scheduler = Scheduler::of(stage.backend);
  int before = 0;
  LiveFrame frame;
  for (int i = 0; i < 150; ++i) {
    if (i == 75) before = n_allocations;
    int64_t n = 0;
    for (const auto& session : sessions) {
      static_cast<void>(push(*session, x.data(), 640));
      if (i % 25 == 24) static_cast<void>(session->flush());
    }
    static_cast<void>(scheduler->step(scheduler->caller_ns() + 40 * kMs, n));
    for (const auto& session : sessions)
      while (session->acquire(0, frame).ok()) static_cast<void>(session->release(frame.slot, frame.index));
  }
  // A frame that is not there yet is said so in a word that allocates nothing.
  const int allocated = n_allocations - before;
  CHECK_MESSAGE(allocated == 0, std::to_string(allocated) + " allocations in 75 rounds");
}

// ---- the real clock ----

// Sessions that come and go while others speak, are taken from, and are interrupted. What it finds, ThreadSanitizer says.
void live_sessions_at_once(const Stage& stage) {
  stage.together->largest = 0;
  SessionParams params = params_of();
  params.clock = ClockKind::kReal;
  params.latency_ms = 10000;
  params.on_late = OnLate::kSkip;
  std::atomic<bool> over{false};
  std::atomic<int> taken{0}, others{0}, wrong{0};
  std::vector<std::shared_ptr<Session>> sessions;
  const auto pause_ms = [](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
  // A busy machine may have no time for four at once, and may take long to have several due: it gets half a minute.
  const auto within_time = [&](const auto& done) {
    for (int i = 0; i < 300 && !done(); ++i) pause_ms(100);
    return done();
  };
  for (int i = 0; i < 4; ++i) {
    std::shared_ptr<Session> session;
    double smallest = 0;
    const Fixture& of = i == 3 ? stage.other : stage;
    const auto open_one = [&] { return session || Session::make(of.model, of.voice, params, session, smallest).ok(); };
    if (!CHECK(within_time(open_one))) return;
    sessions.push_back(std::move(session));
  }
  // Four frames one by one would take longer than they are apart: who becomes due meanwhile is in the next round.
  stage.together->before_draw = [](const DrawCall*, size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(12));
  };
  const std::vector<float> x = sound(kRate / 4);
  std::vector<std::thread> threads;
  const auto add = [&](auto work) {
    threads.emplace_back([&, work] {
      for (int i = 0; !over; ++i) work(i);
    });
  };
  for (const auto& session : sessions) {
    Session* const one = session.get();
    add([&, one](int) {
      LiveFrame frame;
      const Status status = one->acquire(20 * kMs, frame);
      if (status.code() == StatusCode::kTimeout) return;
      wrong += !status.ok() || !one->release(frame.slot, frame.index).ok();
      ++taken;
    });
    add([&, one](int i) {
      const Status status = push(*one, x.data(), 320);
      wrong += !status.ok() && status.code() != StatusCode::kQueueFull;
      if (i % 20 == 19) wrong += !one->flush().ok();
      pause_ms(10);
    });
  }
  add([&](int i) {
    int64_t position = 0;
    pause_ms(60);
    wrong += !sessions[static_cast<size_t>(i % 4)]->interrupt(40, position).ok();
  });
  add([&](int i) {
    std::shared_ptr<Session> session;
    double smallest = 0;
    const Status made = Session::make(stage.model, stage.voice, params, session, smallest);
    if (!made.ok()) return pause_ms(5);  // this machine has no time for it
    wrong += !push(*session, x.data(), kRate / 4).ok();
    pause_ms(i % 3 * 25);
    ++others;
  });
  pause_ms(1500);
  CHECK(within_time([&] { return taken > 20 && stage.together->largest > 1; }));
  over = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  uint64_t frames = 0;
  for (const auto& session : sessions) frames += session->stats().frames;
  CHECK(frames > 20);
  sessions.clear();
  stage.together->before_draw = nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const Stage stage(argv + 1);
  if (!stage.model || !stage.other.model) return 1;
  const Frames want = each_alone(stage);
  frames_are_those_of_each_alone(stage, want);
  more_than_a_batch(argv + 1);
  an_error_is_that_of_one(stage, want);
  streams_that_cannot_be_run_together(stage, want);
  one_is_interrupted(stage, want);
  a_callback_destroys_another(stage);
  one_is_destroyed_while_it_is_drawn(stage);
  rounds_allocate_nothing(stage);
  live_sessions_at_once(stage);
  return report("test_session_rounds");
}
