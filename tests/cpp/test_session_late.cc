// SPDX-License-Identifier: Apache-2.0
// Sessions of the real clock that are kept from drawing: what is late is told, shows the picture before it or is left
// out, no sound is lost, and the session is back on time. Its arguments are a voice file and an avatar that speaks.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "core/clock.h"
#include "session/session.h"

namespace {

using namespace ts;

constexpr int kRate = 16000;

struct Told {
  int64_t index, pts, n_samples;
  int rate_hz;
  uint32_t flags;
};

// Keeps the thread that draws for 150 ms once, and for longer than a second once.
struct Reader {
  std::vector<Told> frames;
  std::vector<float> samples;
  int64_t sleeps_at, sleep_ms;
  int64_t push_at;  // that frame pushes, in another rate and number of channels
  Session* session = nullptr;
  size_t slept_at = 0;  // which of the frames
};

int read(void* user, const LiveFrame& frame) {
  auto& reader = *static_cast<Reader*>(user);
  reader.frames.push_back({frame.index, frame.pts_samples, frame.n_samples, frame.rate_hz, frame.flags});
  reader.samples.insert(reader.samples.end(), frame.samples, frame.samples + frame.n_samples * frame.channels);
  if (reader.push_at >= 0 && frame.index >= reader.push_at) {
    reader.push_at = -1;
    const std::vector<float> stereo(8000, 0.25f);
    CHECK(reader.session->push_audio(SampleFormat::kF32, 8000, 8, stereo.data(), 1000).ok());
  }
  if (reader.slept_at == 0 && frame.index >= reader.sleeps_at) {  // that frame itself may be left out
    reader.slept_at = reader.frames.size() - 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(reader.sleep_ms));
  }
  return frame.index < 45;
}

SessionStats run(const std::shared_ptr<const Model>& model, const std::shared_ptr<Voice>& voice, OnLate on_late,
                 Reader& reader, const std::vector<float>& sound) {
  SessionParams params;
  params.fps = 25;
  params.canvas.width = params.canvas.height = 16;
  params.latency_ms = 2000;
  params.on_late = on_late;
  params.rate_hz = kRate;
  std::shared_ptr<Session> session;
  double smallest = 0;
  const Status made = Session::make(model, voice, params, session, smallest);
  CHECK_MESSAGE(made.ok(), made.message());
  reader.session = session.get();
  CHECK(session->set_callback(&read, &reader).ok());
  if (reader.push_at < 0)
    CHECK(session->push_audio(SampleFormat::kF32, kRate, 1, sound.data(), static_cast<int64_t>(sound.size())).ok());
  CHECK(session->flush().ok());
  LiveFrame frame;
  for (int i = 0; i < 1000 && !session->ended(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(session->ended());
  CHECK(session->set_callback(nullptr, nullptr).ok());
  CHECK(session->acquire(0, frame).code() == StatusCode::kClosed);
  return session->stats();
}

void no_sample_is_missing(const Reader& reader) {
  int64_t next = 0;
  for (const Told& frame : reader.frames) {
    CHECK(frame.pts == next);
    next += frame.n_samples;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::shared_ptr<Backend> backend;
  std::shared_ptr<const Model> model;
  const auto voice = std::make_shared<Voice>();
  CHECK(open_backend({}, backend).ok());
  CHECK(Model::load(argv[2], backend, model).ok());
  CHECK(Voice::load(argv[1], *voice).ok());
  if (!model) return 1;
  std::vector<float> sound(kRate / 2);
  for (size_t i = 0; i < sound.size(); ++i) sound[i] = 0.4f * std::sin(0.06f * static_cast<float>(i % 1777));

  Reader hold{{}, {}, 10, 150, -1};
  const SessionStats held = run(model, voice, OnLate::kHold, hold, sound);
  no_sample_is_missing(hold);
  CHECK(held.held >= 2 && held.late >= held.held && held.skipped == 0 && held.stalls == 0);
  for (size_t i = 1; i < hold.frames.size(); ++i) CHECK(hold.frames[i].index == hold.frames[i - 1].index + 1);
  CHECK((hold.frames[11].flags & (kLiveLate | kLiveHeld)) == (kLiveLate | kLiveHeld));

  Reader skip{{}, {}, 10, 150, -1};
  const SessionStats left_out = run(model, voice, OnLate::kSkip, skip, sound);
  no_sample_is_missing(skip);
  CHECK(left_out.held == 0);
  const auto after = skip.frames.begin() + static_cast<std::ptrdiff_t>(skip.slept_at) + 1;
  CHECK(after->index - std::prev(after)->index - 1 >= 2);
  // A busy machine may have left out others.
  CHECK(skip.frames.back().index + 1 ==
        static_cast<int64_t>(skip.frames.size()) + static_cast<int64_t>(left_out.skipped));

  // Silence that was left out before an utterance of another kind of sound is silence of that kind.
  Reader other{{}, {}, 10, 900, 11};
  const SessionStats changed = run(model, voice, OnLate::kSkip, other, sound);
  CHECK(changed.skipped > 10);
  for (const Told& frame : other.frames)
    CHECK(frame.pts == first_sample(frame.index, frame.rate_hz, 25) || frame.n_samples > frame.rate_hz / 20);
  CHECK(std::all_of(other.samples.begin(), other.samples.end(), [](float v) { return std::abs(v) <= 0.4f; }));

  // So late a frame is not slow: the process was suspended, and the clock stood still.
  Reader suspended{{}, {}, 10, 1300, -1};
  const SessionStats stood = run(model, voice, OnLate::kHold, suspended, sound);
  no_sample_is_missing(suspended);
  CHECK(stood.stalls >= 1 && stood.stalled_ms > 1000 && stood.held <= 2);
  return ts_test::report("test_session_late");
}
