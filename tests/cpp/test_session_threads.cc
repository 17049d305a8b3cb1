// SPDX-License-Identifier: Apache-2.0
// Many threads on sessions of the real clock at once: everything that may be called from any thread is. What it finds,
// ThreadSanitizer says (make test-tsan). Its arguments are an avatar that speaks and a voice.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "check.h"
#include "talksplat.h"

namespace {

constexpr int kRate = 16000;
constexpr int64_t kMs = 1'000'000;
constexpr auto kFor = std::chrono::milliseconds(2000);

struct Stage {
  ts_engine* engine = nullptr;
  ts_avatar* avatar = nullptr;
  ts_voice* voice = nullptr;
  uint32_t n_control = 0;
};

// With a latency that this machine keeps, whatever else it does and however slow a sanitizer makes it; nullptr where it
// has no time for one session more.
ts_session* make_session(const Stage& on, ts_clock clock = TS_CLOCK_REAL) {
  ts_session_params params = ts_session_params_default();
  params.fps = 25;
  params.width = params.height = 32;
  params.queue_ms = 2000;
  params.clock = clock;
  params.on_late = TS_LATE_SKIP;
  ts_session* session = nullptr;
  ts_status status = TS_LATENCY_REFUSED;
  for (double smallest_ms = 100; status == TS_LATENCY_REFUSED && smallest_ms < 10000;) {
    params.latency_ms = 2 * smallest_ms;
    status = ts_session_create(on.avatar, on.voice, &params, &session, &smallest_ms);
    if (smallest_ms < params.latency_ms) break;
  }
  return session;
}

// The threads of one test: they go on until it is time, then all have ended.
class Crowd {
 public:
  template <class Work>
  void add(const Work& work) {
    threads_.emplace_back([this, work] {
      for (int i = 0; !over_; ++i) work(i);
    });
  }
  void end() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  void run() {
    std::this_thread::sleep_for(kFor);
    end();
  }

 private:
  std::atomic<bool> over_{false};
  std::vector<std::thread> threads_;
};

bool one_of(ts_status status, std::initializer_list<ts_status> expected) {
  return std::find(expected.begin(), expected.end(), status) != expected.end();
}

std::atomic<int> wrong{0};
void expect(bool holds) { wrong += !holds; }  // CHECK is for one thread

void pause_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

void add_speakers(Crowd& crowd, ts_session* session, const std::vector<float>& sound) {
  for (int speaker = 0; speaker < 2; ++speaker) {
    crowd.add([=, &sound](int i) {
      const int rate = i % 50 < 25 ? kRate : 24000;
      const ts_status status =
          ts_session_push_audio(session, TS_SAMPLE_F32, static_cast<uint32_t>(rate), 1, sound.data(), 1 + i % 400);
      expect(one_of(status, {TS_OK, TS_QUEUE_FULL, TS_INVALID_ARGUMENT}));  // the other's utterance has another rate
      if (i % 25 == 24) expect(ts_session_flush(session) == TS_OK);
      pause_ms(3);
    });
  }
}

void add_takers(Crowd& crowd, ts_session* session, std::atomic<int>& taken) {
  for (int taker = 0; taker < 2; ++taker) {
    crowd.add([=, &taken](int) {
      ts_live_frame frame{};
      frame.struct_size = sizeof frame;
      const ts_status status = ts_session_acquire(session, 20 * kMs, &frame);
      expect(one_of(status, {TS_OK, TS_TIMEOUT}));
      if (status != TS_OK) return;
      unsigned sum = 0;  // the picture and the samples are read, as whoever shows them does
      for (int64_t p = 0; p < 32 * frame.stride_bytes; p += 61) sum += static_cast<const uint8_t*>(frame.data)[p];
      for (int64_t s = 0; s < frame.n_samples; ++s) expect(std::isfinite(frame.samples[s]));
      expect(sum > 0);
      expect(ts_session_release(session, &frame) == TS_OK);
      ++taken;
    });
  }
}

void add_meddlers(Crowd& crowd, ts_session* session) {
  crowd.add([=](int i) {
    ts_presence presence = ts_presence_default();
    presence.look = 1, presence.gaze[0] = static_cast<float>(i % 3 - 1);
    presence.listening = static_cast<float>(i % 2);
    presence.emotion[i % TS_N_EMOTIONS] = 0.5f;
    expect(ts_session_set(session, &presence) == TS_OK);
    pause_ms(5);
  });
  crowd.add([=](int) {
    int64_t position = 0;
    pause_ms(70);
    expect(ts_session_interrupt(session, 40, &position) == TS_OK && position >= -1);
  });
  crowd.add([=](int) {
    ts_session_stats stats{};
    stats.struct_size = sizeof stats;
    expect(ts_session_get_stats(session, &stats) == TS_OK && stats.sessions > 0);
    pause_ms(2);
  });
}

// Two sessions at once, and others that come and go.
void test_all_at_once(const Stage& on, const std::vector<float>& sound) {
  Crowd crowd;
  std::atomic<int> taken{0}, others{0};
  ts_session* sessions[2] = {make_session(on), make_session(on)};
  for (ts_session* session : sessions) {
    if (!CHECK(session)) return;
    add_speakers(crowd, session, sound);
    add_takers(crowd, session, taken);
    add_meddlers(crowd, session);
  }
  crowd.add([&](int i) {
    ts_session* const session = make_session(on);
    if (!session) return;
    const std::vector<float> row(on.n_control);
    expect(ts_session_push_controls(session, row.data(), 1) == TS_OK);
    ts_live_frame frame{};
    frame.struct_size = sizeof frame;
    ts_session_acquire(session, i % 3 * 30 * kMs, &frame);  // destroyed with the frame, or before there is one
    ts_session_destroy(session);
    ++others;
  });
  crowd.run();
  CHECK(taken > 20 && others > 0);
  for (ts_session* session : sessions) ts_session_destroy(session);
}

// Who waits for a frame is woken by the end, whichever it is.
void test_ends(const Stage& on, const std::vector<float>& sound) {
  for (const bool aborted : {false, true}) {
    ts_session* const session = make_session(on);
    if (!CHECK(session)) return;
    std::atomic<int> closed{0};
    std::vector<std::thread> waiting;
    for (int i = 0; i < 3; ++i)
      waiting.emplace_back([&] {
        for (;;) {
          ts_live_frame frame{};
          frame.struct_size = sizeof frame;
          const ts_status status = ts_session_acquire(session, -1, &frame);
          if (status == TS_CLOSED) break;
          expect(status == TS_OK && ts_session_release(session, &frame) == TS_OK);
        }
        ++closed;
      });
    std::thread pushing([&] {
      while (ts_session_push_audio(session, TS_SAMPLE_F32, kRate, 1, sound.data(), 160) != TS_CLOSED) pause_ms(1);
    });
    pause_ms(100);
    if (!aborted) CHECK(ts_session_interrupt(session, 0, nullptr) == TS_OK);
    CHECK((aborted ? ts_session_abort(session) : ts_session_close(session)) == TS_OK);
    pushing.join();
    if (!aborted) CHECK(ts_session_interrupt(session, 0, nullptr) == TS_OK);  // what came in between
    for (std::thread& thread : waiting) thread.join();
    CHECK(closed == 3);
    ts_session_destroy(session);
  }
}

std::atomic<int> heard{0};
int hear(void* user, const ts_live_frame* frame) {
  expect(user == &heard && frame->n_samples >= 0);
  ++heard;
  return 1;
}

// Callbacks that come and go, beside sessions on the caller's clock that two threads step.
void test_callbacks(const Stage& on, const std::vector<float>& sound) {
  Crowd crowd;
  std::atomic<int64_t> now{0};
  ts_session *const live = make_session(on), *const stepped = make_session(on, TS_CLOCK_CALLER);
  if (!CHECK(live && stepped)) return;
  CHECK(ts_session_set_callback(stepped, hear, &heard) == TS_OK);
  crowd.add([=](int i) {
    expect(ts_session_set_callback(live, i % 2 ? nullptr : hear, &heard) == TS_OK);
    pause_ms(i % 2 ? 2 : 40);
  });
  for (int stepper = 0; stepper < 2; ++stepper)
    crowd.add([&](int) {
      const ts_status status = ts_engine_step(on.engine, now += 10 * kMs, nullptr);
      expect(one_of(status, {TS_OK, TS_INVALID_ARGUMENT}));  // the other was there first
      pause_ms(4);
    });
  add_speakers(crowd, live, sound);
  add_speakers(crowd, stepped, sound);
  add_meddlers(crowd, stepped);
  crowd.run();
  CHECK(heard > 20);
  ts_session_destroy(live);
  ts_session_destroy(stepped);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  Stage on;
  ts_engine_params params = ts_engine_params_default();
  params.threads = 2;
  CHECK(ts_engine_create(&params, &on.engine) == TS_OK);
  CHECK(ts_avatar_load(on.engine, argv[1], &on.avatar) == TS_OK && ts_voice_load(argv[2], &on.voice) == TS_OK);
  if (!on.avatar || !on.voice) return ts_test::report("test_session_threads");
  ts_avatar_info info{};
  info.struct_size = sizeof info;
  CHECK(ts_avatar_get_info(on.avatar, &info) == TS_OK);
  on.n_control = info.n_control;
  std::vector<float> sound(400);
  for (size_t i = 0; i < sound.size(); ++i) sound[i] = 0.3f * std::sin(0.05f * static_cast<float>(i));
  test_all_at_once(on, sound);
  test_ends(on, sound);
  test_callbacks(on, sound);
  CHECK(wrong == 0);
  ts_voice_destroy(on.voice);
  ts_avatar_destroy(on.avatar);
  ts_engine_destroy(on.engine);
  return ts_test::report("test_session_threads");
}
