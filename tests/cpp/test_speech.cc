// SPDX-License-Identifier: Apache-2.0
// A stream that runs out of memory: a push or a finish is taken whole or not at all, and whoever reads along allocates
// nothing. Its argument is a voice file.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include "check.h"
#include "talksplat.h"

namespace {

int n_allocations = 0;
bool exhausted = false;

constexpr int64_t kSamples = 48000, kFrames = 75;

struct Frames {
  std::vector<float> weight = std::vector<float>(kFrames * 52);
  int64_t n = 0;
};

void read_all(ts_speech* speech, Frames& frames) {
  ts_faces faces{};
  faces.struct_size = sizeof faces;
  faces.weight = frames.weight.data() + frames.n * 52;
  int64_t n = 0;
  CHECK(ts_speech_read(speech, &faces, kFrames - frames.n, &n) == TS_OK);
  frames.n += n;
}

std::vector<float> sound() {
  std::vector<float> x(kSamples);
  for (size_t i = 0; i < x.size(); ++i) x[i] = 0.4f * std::sin(0.06f * static_cast<float>(i % 1777));
  return x;
}

void nothing_is_half_taken(ts_speech* speech, const std::vector<float>& x, const Frames& whole) {
  Frames frames;
  const int64_t half = kSamples / 2;
  const auto push = [&](int64_t from, int64_t n) { return ts_speech_push(speech, TS_SAMPLE_F32, x.data() + from, n); };
  CHECK(push(0, half) == TS_OK);
  exhausted = true;
  const ts_status refused = push(half, kSamples - half);
  exhausted = false;
  CHECK(refused == TS_OUT_OF_MEMORY);
  CHECK(push(half, kSamples - half) == TS_OK);
  CHECK(ts_speech_finish(speech) == TS_OK);
  read_all(speech, frames);
  CHECK(frames.n == kFrames && frames.weight == whole.weight);
}

void reading_along_allocates_nothing(ts_speech* speech, const std::vector<float>& x) {
  constexpr int64_t kHop = 160, kWarm = kSamples / 4;
  std::vector<float> weight(2 * 52);
  ts_faces faces{};
  faces.struct_size = sizeof faces;
  faces.weight = weight.data();
  int64_t n = 0, read = 0;
  for (int64_t at = 0; at < kSamples; at += kHop) {
    if (at == kWarm) n_allocations = 0;
    if (ts_speech_push(speech, TS_SAMPLE_F32, x.data() + at, kHop) != TS_OK) break;
    if (ts_speech_read(speech, &faces, 2, &n) != TS_OK) break;
    read += n;
  }
  const int allocated = n_allocations;  // before CHECK, which makes strings
  CHECK(allocated == 0);
  CHECK(read == kFrames - 1);  // the last one looks beyond the end
}

}  // namespace

void* operator new(size_t size) {
  ++n_allocations;
  void* p = exhausted ? nullptr : std::malloc(size);
  if (!p) throw std::bad_alloc();
  return p;
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

int main(int argc, char** argv) {
  ts_engine* engine = nullptr;
  ts_voice* voice = nullptr;
  ts_speech* speech = nullptr;
  CHECK(ts_engine_create(nullptr, &engine) == TS_OK);
  CHECK(argc == 2 && ts_voice_load(argv[1], &voice) == TS_OK);
  if (!voice) return ts_test::report("test_speech");
  CHECK(ts_speech_create(engine, voice, nullptr, &speech) == TS_OK);
  const std::vector<float> x = sound();
  Frames whole;
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, x.data(), kSamples) == TS_OK);
  CHECK(ts_speech_finish(speech) == TS_OK);
  read_all(speech, whole);
  CHECK(whole.n == kFrames);
  // New streams, whose buffers have not grown yet.
  ts_speech_destroy(speech);
  CHECK(ts_speech_create(engine, voice, nullptr, &speech) == TS_OK);
  nothing_is_half_taken(speech, x, whole);
  ts_speech_destroy(speech);
  CHECK(ts_speech_create(engine, voice, nullptr, &speech) == TS_OK);
  reading_along_allocates_nothing(speech, x);
  ts_speech_destroy(speech);
  ts_voice_destroy(voice);
  ts_engine_destroy(engine);
  return ts_test::report("test_speech");
}
