// SPDX-License-Identifier: Apache-2.0
// A session that is warm allocates nothing, whatever it is asked for: pushes, holes, interrupts, moods, utterances that
// come and go. Its arguments are a voice file and an avatar that speaks.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "check.h"
#include "talksplat.h"

namespace {

std::atomic<int> n_allocations{0};

constexpr int64_t kMs = 1'000'000;

void take(ts_session* session) {
  ts_live_frame frame{};
  frame.struct_size = sizeof frame;
  while (ts_session_acquire(session, 0, &frame) == TS_OK) {
    if (ts_session_release(session, &frame) != TS_OK) std::abort();
  }
}

// Ten seconds of a conversation from `time_ns` on.
void converse(ts_engine* engine, ts_session* session, const std::vector<float>& x, int64_t& time_ns) {
  ts_presence presence = ts_presence_default();
  for (int i = 0; i < 250; ++i, time_ns += 40 * kMs) {
    const bool speaks = i % 100 < 60 && i % 100 != 30 && i % 100 != 31;  // a hole of two frames in each
    if (speaks) ts_session_push_audio(session, TS_SAMPLE_F32, 16000, 1, x.data() + i % 20 * 640, 640);
    if (i % 100 == 60) ts_session_flush(session);
    if (i == 145) ts_session_interrupt(session, 80, nullptr);
    if (i % 50 == 10) {
      presence.emotion[i / 50 % TS_N_EMOTIONS] = 0.5f;
      presence.listening = static_cast<float>(i / 50 % 2);
      ts_session_set(session, &presence);
    }
    int64_t n = 0;
    ts_engine_step(engine, time_ns, &n);
    take(session);
  }
}

}  // namespace

void* operator new(size_t size) {
  ++n_allocations;
  void* p = std::malloc(size);
  if (!p) throw std::bad_alloc();
  return p;
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  ts_engine* engine = nullptr;
  ts_avatar* avatar = nullptr;
  ts_voice* voice = nullptr;
  ts_session* session = nullptr;
  CHECK(ts_engine_create(nullptr, &engine) == TS_OK);
  CHECK(ts_voice_load(argv[1], &voice) == TS_OK);
  CHECK(ts_avatar_load(engine, argv[2], &avatar) == TS_OK);
  ts_session_params params = ts_session_params_default();
  params.clock = TS_CLOCK_CALLER;
  params.width = params.height = 48;
  CHECK(ts_session_create(avatar, voice, &params, &session, nullptr) == TS_OK);
  std::vector<float> x(20 * 640);
  for (size_t i = 0; i < x.size(); ++i) x[i] = 0.4f * std::sin(0.06f * static_cast<float>(i % 1777));

  int64_t time_ns = 0;
  converse(engine, session, x, time_ns);
  ts_session_stats warm{}, after{};
  warm.struct_size = after.struct_size = sizeof warm;
  CHECK(ts_session_get_stats(session, &warm) == TS_OK);
  const int before = n_allocations;
  for (int i = 0; i < 3; ++i) converse(engine, session, x, time_ns);
  const int allocated = n_allocations - before;
  CHECK_MESSAGE(allocated == 0, std::to_string(allocated) + " allocations in 30 s");
  CHECK(ts_session_get_stats(session, &after) == TS_OK);
  CHECK(after.bytes == warm.bytes && after.frames > warm.frames + 700 && after.starved > 0);
  ts_session_destroy(session);
  ts_avatar_destroy(avatar);
  ts_voice_destroy(voice);
  ts_engine_destroy(engine);
  return ts_test::report("test_session_memory");
}
