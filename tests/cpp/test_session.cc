// SPDX-License-Identifier: Apache-2.0
// Sessions with the caller's clock: the frames of a stream are those of the whole sound, whatever the pushes. Its
// arguments are a voice file and an avatar that speaks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/clock.h"
#include "engine/renderer.h"
#include "session/session.h"

namespace {

using namespace ts;

constexpr int kRate = 16000;
constexpr int64_t kMs = 1'000'000;

struct Fixture {
  std::shared_ptr<Backend> backend;
  std::shared_ptr<const Model> model;
  std::shared_ptr<Voice> voice = std::make_shared<Voice>();
};

struct Shown {
  int64_t index = 0, pts = 0, segment = -1, segment_sample = -1;
  uint32_t flags = 0;
  std::vector<uint8_t> picture;
  std::vector<float> samples;

  bool operator==(const Shown& o) const {
    return index == o.index && pts == o.pts && segment == o.segment && segment_sample == o.segment_sample &&
           flags == o.flags && picture == o.picture && samples == o.samples;
  }
};

SessionParams params_of(double fps = 25) {
  SessionParams params;
  params.fps = fps;
  params.canvas.width = params.canvas.height = 32;
  params.canvas.format = Format::kRgb8;
  params.clock = ClockKind::kCaller;
  params.rate_hz = kRate;
  return params;
}

std::shared_ptr<Session> open(const Fixture& f, const SessionParams& params) {
  std::shared_ptr<Session> session;
  double smallest = 0;
  const Status status = Session::make(f.model, f.voice, params, session, smallest);
  CHECK_MESSAGE(status.ok(), status.message());
  return session;
}

std::vector<float> sound(int64_t n, int rate = kRate) {
  std::vector<float> x(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const double t = static_cast<double>(i) / rate;
    x[static_cast<size_t>(i)] = static_cast<float>(0.4 * std::sin(880 * t) * (0.5 + 0.5 * std::sin(19 * t)));
  }
  return x;
}

// Everything that is there now.
void take(Session& session, std::vector<Shown>& frames) {
  LiveFrame frame;
  while (session.acquire(0, frame).ok()) {
    Shown shown;
    shown.index = frame.index, shown.pts = frame.pts_samples, shown.flags = frame.flags;
    shown.segment = frame.segment, shown.segment_sample = frame.segment_sample;
    const auto* pixels = static_cast<const uint8_t*>(frame.image.data);
    shown.picture.assign(pixels, pixels + frame.image.stride_bytes * frame.image.height);
    shown.samples.assign(frame.samples, frame.samples + frame.n_samples * frame.channels);
    CHECK(session.release(frame.slot, frame.index).ok());
    frames.push_back(std::move(shown));
  }
}

void run_until(const Fixture& f, Session& session, int64_t ns, std::vector<Shown>& frames) {
  const auto scheduler = Scheduler::of(f.backend);
  for (int64_t t = scheduler->caller_ns(); t < ns;) {
    t = std::min(t + 40 * kMs, ns);
    int64_t n = 0;
    CHECK(scheduler->step(t, n).ok());
    take(session, frames);
  }
}

// To the end of what was pushed.
std::vector<Shown> run_out(const Fixture& f, Session& session, std::vector<Shown> frames = {}) {
  CHECK(session.close().ok());
  const auto scheduler = Scheduler::of(f.backend);
  LiveFrame frame;
  for (int i = 0; i < 100000 && session.acquire(0, frame).code() != StatusCode::kClosed; ++i) {
    int64_t n = 0;
    CHECK(scheduler->step(scheduler->caller_ns() + 40 * kMs, n).ok());
    take(session, frames);
  }
  return frames;
}

Status push(Session& session, const float* x, int64_t n, int rate = kRate) {
  return session.push_audio(SampleFormat::kF32, rate, 1, x, n);
}

std::vector<Shown> whole(const Fixture& f, const std::vector<float>& x, double fps = 25, int rate = kRate) {
  const auto session = open(f, params_of(fps));
  CHECK(push(*session, x.data(), static_cast<int64_t>(x.size()), rate).ok());
  return run_out(f, *session);
}

// Frame by frame what ts_speech and ts_frame_render make of the sound, blinks, gaze and head included.
void lips_and_life_are_those_of_the_whole_sound(const Fixture& f) {
  for (const double fps : {25.0, 30.0, 60.0}) {
    for (const int rate : {16000, 44100}) {
      const std::vector<float> x = sound(3 * rate + 77, rate);
      const std::vector<Shown> frames = whole(f, x, fps, rate);
      SpeechParams params;
      params.rate_hz = rate;
      params.drive.fps = fps;
      Speech speech(f.voice, params, f.backend);
      CHECK(speech.push_sound(SampleFormat::kF32, x.data(), static_cast<int64_t>(x.size())).ok());
      CHECK(speech.finish().ok());
      const auto n = static_cast<int64_t>(frames.size());
      CHECK(n == frame_count(static_cast<int64_t>(x.size()), rate, fps));
      std::vector<float> control(static_cast<size_t>(n * f.model->layout().size()));
      int64_t n_read = 0;
      CHECK(speech.read_control(*f.model, control.data(), n, n_read).ok());
      CHECK(n_read == n);
      std::unique_ptr<Frame> frame;
      Canvas canvas = params_of().canvas;
      CHECK(Frame::make(f.model, canvas, frame).ok());
      std::vector<uint8_t> picture(32 * 32 * 3);
      std::vector<float> samples;
      for (int64_t k = 0; k < n; ++k) {
        Receipt receipt;
        RenderJob job;
        job.frame = frame.get();
        job.control = control.data() + k * f.model->layout().size();
        job.image.width = job.image.height = 32, job.image.format = Format::kRgb8, job.image.stride_bytes = 96;
        job.image.data = picture.data();
        job.receipt = &receipt;
        CHECK(render(&job, 1).ok());
        const Shown& shown = frames[static_cast<size_t>(k)];
        CHECK_MESSAGE(shown.picture == picture, "frame " + std::to_string(k) + " at " + std::to_string(fps));
        CHECK(shown.index == k && shown.pts == first_sample(k, rate, fps) && shown.segment == 0);
        CHECK(shown.flags == (kLiveSpeech | (k == n - 1 ? kLiveSegmentEnd : 0u)));
        samples.insert(samples.end(), shown.samples.begin(), shown.samples.end());
      }
      CHECK(samples.size() >= x.size() && std::equal(x.begin(), x.end(), samples.begin()));
      CHECK(
          std::all_of(samples.begin() + static_cast<int64_t>(x.size()), samples.end(), [](float s) { return s == 0; }));
    }
  }
}

// In real time, as a microphone would: every chunk when its last sample has been spoken.
void any_chunks_give_the_frames_of_one_push(const Fixture& f) {
  const std::vector<float> x = sound(2 * kRate + 5);
  const std::vector<Shown> want = whole(f, x);
  std::mt19937 random(7);
  for (const int64_t most : {1, 7, 160, 320}) {
    const auto session = open(f, params_of());
    const auto scheduler = Scheduler::of(f.backend);
    std::vector<Shown> frames;
    const int64_t start = scheduler->caller_ns();
    for (int64_t at = 0; at < static_cast<int64_t>(x.size());) {
      const int64_t n = std::min<int64_t>(std::uniform_int_distribution<int64_t>(1, most)(random),
                                          static_cast<int64_t>(x.size()) - at);
      CHECK(push(*session, x.data() + at, n).ok());
      at += n;
      run_until(f, *session, start + at * 1'000'000'000 / kRate, frames);
    }
    frames = run_out(f, *session, std::move(frames));
    CHECK_MESSAGE(frames == want, "chunks of at most " + std::to_string(most));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  Fixture f;
  CHECK(open_backend({}, f.backend).ok());
  CHECK(Model::load(argv[2], f.backend, f.model).ok());
  CHECK(Voice::load(argv[1], *f.voice).ok());
  if (!f.model) return 1;
  lips_and_life_are_those_of_the_whole_sound(f);
  any_chunks_give_the_frames_of_one_push(f);
  return ts_test::report("test_session");
}
