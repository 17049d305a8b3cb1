// SPDX-License-Identifier: Apache-2.0
// Sessions with the caller's clock: the frames of a stream are those of the whole sound, whatever the pushes. Its
// arguments are a voice file, an avatar that speaks and, if wanted, for how many seconds time is simulated, and "rounds":
// on a backend that asks for several frames at once.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "batch_backend.h"
#include "check.h"
#include "core/clock.h"
#include "engine/renderer.h"
#include "session_test.h"

namespace {

using namespace ts;
using namespace ts_test;

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

// A hole of half a second in the sound: the mouth closes softly, nothing is lost, and what follows is as it was.
void a_starved_utterance_goes_on_where_it_was(const Fixture& f) {
  const std::vector<float> x = sound(2 * kRate);
  SessionParams params = params_of();
  params.drive.head = params.drive.blink = 0;  // what is left is the mouth
  const auto offline = open(f, params);
  CHECK(push(*offline, x.data(), static_cast<int64_t>(x.size())).ok());
  const std::vector<Shown> want = run_out(f, *offline);
  const auto session = open(f, params);
  const auto scheduler = Scheduler::of(f.backend);
  std::vector<Shown> frames;
  const int64_t start = scheduler->caller_ns(), half = kRate;
  CHECK(push(*session, x.data(), half).ok());
  run_until(f, *session, start + 1700 * kMs, frames);
  CHECK(push(*session, x.data() + half, half).ok());
  frames = run_out(f, *session, std::move(frames));
  std::vector<float> samples;
  int64_t starved = 0, spoken = 0, differ = 0;
  for (const Shown& frame : frames) {
    CHECK(frame.flags & kLiveSpeech);
    if (frame.flags & kLiveStarved) {
      ++starved;
      CHECK(std::all_of(frame.samples.begin(), frame.samples.end(), [](float v) { return v == 0; }));
      continue;
    }
    const Shown& same = want[static_cast<size_t>(spoken++)];
    CHECK(frame.samples == same.samples && frame.segment_sample == same.segment_sample);
    samples.insert(samples.end(), frame.samples.begin(), frame.samples.end());
    // 80 ms after the hole, which is about the 24th frame, it is as it would have been without.
    differ += (spoken <= 20 || spoken > 30) && frame.picture != same.picture;
  }
  CHECK(starved >= 12 && starved <= 20);
  CHECK(differ == 0);
  CHECK(spoken == static_cast<int64_t>(want.size()));
  CHECK(std::equal(x.begin(), x.end(), samples.begin()));
  const SessionStats stats = session->stats();
  CHECK(stats.starved == static_cast<uint64_t>(starved) && stats.late == 0);
}

// Who forgets to flush gets the end of what was said all the same, a second later.
void a_starved_utterance_ends_by_itself(const Fixture& f) {
  const std::vector<float> x = sound(kRate + 100);
  const auto session = open(f, params_of());
  const auto scheduler = Scheduler::of(f.backend);
  std::vector<Shown> frames;
  const int64_t start = scheduler->caller_ns();
  CHECK(push(*session, x.data(), static_cast<int64_t>(x.size())).ok());
  run_until(f, *session, start + 4000 * kMs, frames);
  std::vector<float> samples;
  int64_t ends = 0;
  for (const Shown& frame : frames) {
    if (frame.segment == 0 && !(frame.flags & kLiveStarved))
      samples.insert(samples.end(), frame.samples.begin(), frame.samples.end());
    ends += (frame.flags & kLiveSegmentEnd) != 0;
  }
  CHECK(ends == 1 && samples.size() >= x.size() && std::equal(x.begin(), x.end(), samples.begin()));
  CHECK(frames.back().flags == kLiveIdle);
}

void an_interrupt_closes_the_mouth_and_tells_where(const Fixture& f) {
  const std::vector<float> x = sound(4 * kRate);
  const auto session = open(f, params_of());
  const auto scheduler = Scheduler::of(f.backend);
  std::vector<Shown> frames;
  const int64_t start = scheduler->caller_ns();
  CHECK(push(*session, x.data(), static_cast<int64_t>(x.size())).ok());
  run_until(f, *session, start + 1200 * kMs, frames);
  int64_t position = 0, spoken = 0;
  for (const Shown& frame : frames) spoken += static_cast<int64_t>(frame.samples.size());
  CHECK(session->interrupt(80, position).ok());
  CHECK(position == spoken);
  const size_t before = frames.size();
  run_until(f, *session, scheduler->caller_ns() + 400 * kMs, frames);
  float tail = 0;
  for (size_t i = before; i < frames.size(); ++i) {
    const bool fades = i < before + 2;
    CHECK(((frames[i].flags & kLiveFading) != 0) == fades);  // the second is shut, and has the last of the sound
    CHECK(frames[i].flags & kLiveIdle);
    for (const float v : frames[i].samples) {
      if (fades) tail = std::max(tail, std::abs(v));
      CHECK(fades || v == 0);
    }
  }
  CHECK(tail > 0.05f);
  // The next push begins another, and its lips are those of its sound.
  CHECK(push(*session, x.data(), kRate).ok());
  frames = run_out(f, *session, std::move(frames));
  CHECK(frames.back().segment == 1 && frames.back().flags == (kLiveSpeech | kLiveSegmentEnd));
  CHECK(session->interrupt(80, position).ok() && position == -1);
}

// Frames of it that nobody has taken are dropped, and their sound is what fades.
void an_interrupt_takes_back_what_was_not_acquired(const Fixture& f) {
  const std::vector<float> x = sound(4 * kRate);
  const auto session = open(f, params_of());
  const auto scheduler = Scheduler::of(f.backend);
  std::vector<Shown> frames;
  CHECK(push(*session, x.data(), static_cast<int64_t>(x.size())).ok());
  run_until(f, *session, scheduler->caller_ns() + 1000 * kMs, frames);
  int64_t n = 0, position = 0;
  CHECK(scheduler->step(scheduler->caller_ns() + 120 * kMs, n).ok() && n == 3);
  CHECK(session->interrupt(80, position).ok());
  const int64_t heard = frames.back().segment_sample + 640;
  CHECK(position == heard && session->stats().dropped == 3);
  const size_t before = frames.size();
  run_until(f, *session, scheduler->caller_ns() + 200 * kMs, frames);
  CHECK(frames[before].index == frames[before - 1].index + 4);
  for (int64_t i = 0; i < 640; ++i) {
    const float gain = 1 - static_cast<float>(i) / 1280;
    CHECK(frames[before].samples[static_cast<size_t>(i)] == gain * x[static_cast<size_t>(heard + i)]);
  }
}

// Each with the lips of its own sound, whatever was before.
void utterances_begin_anew(const Fixture& f) {
  SessionParams params = params_of();
  params.drive.head = params.drive.blink = 0;  // what is left is the mouth
  const std::vector<float> x = sound(kRate / 2);
  const auto session = open(f, params);
  const auto scheduler = Scheduler::of(f.backend);
  std::vector<Shown> frames;
  for (int i = 0; i < 3; ++i) {
    CHECK(push(*session, x.data(), kRate / 2).ok() && session->flush().ok());
    run_until(f, *session, scheduler->caller_ns() + 1010 * kMs, frames);
  }
  std::vector<std::vector<uint8_t>> spoken[3];
  for (const Shown& frame : frames)
    if (frame.segment >= 0) spoken[frame.segment].push_back(frame.picture);
  CHECK(spoken[0].size() == 13 && spoken[0] == spoken[1] && spoken[0] == spoken[2]);
}

// Controls that are pushed are what is drawn, but for the frames that blend from and to idling.
void controls_are_drawn_as_they_are(const Fixture& f) {
  const auto n = static_cast<size_t>(f.model->layout().size());
  std::vector<float> rows(30 * n);
  for (size_t row = 0; row < 30; ++row) {
    std::copy_n(f.model->layout().neutral(), n, rows.begin() + static_cast<int64_t>(row * n));
    rows[row * n] += 0.02f * static_cast<float>(row);
  }
  const auto session = open(f, params_of());
  CHECK(session->push_controls(rows.data(), 30).ok());
  CHECK(push(*session, sound(kRate).data(), kRate).ok());  // carried along
  const std::vector<Shown> frames = run_out(f, *session);
  CHECK(frames.size() == 30 && frames[0].samples.size() == 640);
  std::unique_ptr<Frame> frame;
  CHECK(Frame::make(f.model, params_of().canvas, frame).ok());
  std::vector<uint8_t> picture(32 * 32 * 3);
  for (size_t k = 0; k < 30; ++k) {
    Receipt receipt;
    RenderJob job;
    job.frame = frame.get();
    job.control = rows.data() + k * n;
    job.image.width = job.image.height = 32, job.image.format = Format::kRgb8, job.image.stride_bytes = 96;
    job.image.data = picture.data();
    job.receipt = &receipt;
    CHECK(render(&job, 1).ok());
    CHECK(frames[k].picture == picture);
  }
}

// Where they begin, are missing and end, the face goes from the one to the other without a jump.
void controls_come_and_go_softly(const Fixture& f) {
  SessionParams params = params_of();
  params.drive.head = params.drive.blink = 0;
  params.flush_after_ms = 0;
  const auto n = static_cast<size_t>(f.model->layout().size());
  std::vector<float> rows(50 * n);
  for (size_t row = 0; row < 50; ++row) {
    std::copy_n(f.model->layout().neutral(), n, rows.begin() + static_cast<int64_t>(row * n));
    rows[row * n] += 1.5f;
  }
  const auto difference = [](const Shown& a, const Shown& b) {
    int64_t sum = 0;
    for (size_t i = 0; i < a.picture.size(); ++i) sum += std::abs(a.picture[i] - b.picture[i]);
    return sum;
  };
  const auto session = open(f, params);
  const auto scheduler = Scheduler::of(f.backend);
  std::vector<Shown> frames;
  run_until(f, *session, scheduler->caller_ns() + 400 * kMs, frames);
  CHECK(session->push_controls(rows.data(), 25).ok());
  run_until(f, *session, scheduler->caller_ns() + 2000 * kMs, frames);  // half of it without any
  CHECK(session->push_controls(rows.data(), 25).ok());
  CHECK(session->flush().ok());
  run_until(f, *session, scheduler->caller_ns() + 2000 * kMs, frames);
  CHECK(session->stats().starved > 10);
  const int64_t apart = difference(frames[0], frames[5 + 20]);
  CHECK(apart > 1000);
  int64_t largest = 0;
  for (size_t i = 1; i < frames.size(); ++i) largest = std::max(largest, difference(frames[i - 1], frames[i]));
  CHECK_MESSAGE(largest < 0.75 * static_cast<double>(apart), std::to_string(largest) + " of " + std::to_string(apart));
}

// Without frames between utterances life's time stands still, and an hour of it costs nothing.
void no_frames_between_utterances(const Fixture& f) {
  SessionParams params = params_of();
  params.idle = Idle::kNone;
  const std::vector<float> x = sound(kRate);
  const auto session = open(f, params);
  const auto scheduler = Scheduler::of(f.backend);
  std::vector<Shown> frames;
  for (int i = 0; i < 2; ++i) {
    CHECK(push(*session, x.data(), kRate).ok() && session->flush().ok());
    run_until(f, *session, scheduler->caller_ns() + 3000 * kMs, frames);
    int64_t n = 0;
    CHECK(scheduler->step(scheduler->caller_ns() + 3600'000 * kMs, n).ok() && n == 0);
  }
  CHECK(frames.size() == 50);
  CHECK(frames[24].flags == (kLiveSpeech | kLiveSegmentEnd) && frames[25].segment_sample == 0);
  CHECK(frames[25].index - frames[24].index > 3600 * 25 && frames[25].pts == first_sample(frames[25].index, kRate, 25));
}

// Sound that fades while sound of another kind is pushed already.
void a_fade_outlives_another_format(const Fixture& f) {
  const std::vector<float> x = sound(2 * kRate), y = sound(2 * 48000, 48000);
  const auto session = open(f, params_of());
  const auto scheduler = Scheduler::of(f.backend);
  std::vector<Shown> frames;
  CHECK(push(*session, x.data(), 2 * kRate).ok());
  run_until(f, *session, scheduler->caller_ns() + 800 * kMs, frames);
  int64_t position = 0;
  CHECK(session->interrupt(400, position).ok());
  CHECK(session->push_audio(SampleFormat::kF32, 48000, 2, y.data(), 48000).ok());
  const size_t before = frames.size();
  frames = run_out(f, *session, std::move(frames));
  for (size_t i = 0; i < 640; ++i) {
    const float gain = 1 - static_cast<float>(i) / 6400;
    CHECK(frames[before].samples[i] == gain * x[static_cast<size_t>(position) + i]);
  }
  CHECK(frames.back().segment == 1 && frames.back().samples.size() == 2 * 1920);
}

// A frame has the sound of its own time, wherever the two clocks fall.
void rows_wait_for_their_sound(const Fixture& f) {
  const auto n = static_cast<size_t>(f.model->layout().size());
  std::vector<float> rows;
  for (int row = 0; row < 30; ++row)
    rows.insert(rows.end(), f.model->layout().neutral(), f.model->layout().neutral() + n);
  const std::vector<float> x = sound(kRate);
  for (const int64_t most : {16000, 100, 533}) {
    const auto session = open(f, params_of(30));
    const auto scheduler = Scheduler::of(f.backend);
    std::vector<Shown> frames;
    const int64_t start = scheduler->caller_ns();
    run_until(f, *session, start + 70 * kMs, frames);
    CHECK(session->push_controls(rows.data(), 30).ok());
    for (int64_t at = 0; at < kRate;) {
      const int64_t chunk = std::min<int64_t>(most, kRate - at);
      CHECK(push(*session, x.data() + at, chunk).ok());
      at += chunk;
      if (most < kRate) run_until(f, *session, start + 70 * kMs + at * 1'000'000'000 / kRate, frames);
    }
    frames = run_out(f, *session, std::move(frames));
    std::vector<float> samples;
    for (const Shown& frame : frames)
      if (frame.segment == 0) samples.insert(samples.end(), frame.samples.begin(), frame.samples.end());
    CHECK(samples.size() >= x.size() && std::equal(x.begin(), x.end(), samples.begin()));
  }
}

void queues_are_bounded(const Fixture& f) {
  SessionParams params = params_of();
  params.queue_ms = 1000;
  const auto session = open(f, params);
  const std::vector<float> x = sound(kRate);
  CHECK(push(*session, x.data(), kRate).ok());
  const Status full = push(*session, x.data(), kRate / 2);
  CHECK(full.code() == StatusCode::kQueueFull && ts_test::contains(full.message(), "queue_ms (1000)"));
  std::vector<Shown> frames;
  run_until(f, *session, Scheduler::of(f.backend)->caller_ns() + 900 * kMs, frames);
  CHECK(push(*session, x.data(), kRate / 2).ok());
  frames = run_out(f, *session, std::move(frames));
  std::vector<float> samples;
  for (const Shown& frame : frames) samples.insert(samples.end(), frame.samples.begin(), frame.samples.end());
  CHECK(samples.size() >= 24000 && std::equal(x.begin(), x.end(), samples.begin()));
  const auto many = open(f, params);
  for (int i = 0; i < 64; ++i) CHECK(push(*many, x.data(), 10).ok() && many->flush().ok());
  CHECK(push(*many, x.data(), 10).code() == StatusCode::kQueueFull);
  frames = run_out(f, *many);
  CHECK(frames.size() == 64 && frames.back().segment == 63);
}

// Frames that nobody takes wait in their slots, and nothing is drawn beyond them.
void a_reader_that_stops_stops_the_session(const Fixture& f) {
  const auto session = open(f, params_of());
  const auto scheduler = Scheduler::of(f.backend);
  const std::vector<float> x = sound(kRate);
  CHECK(push(*session, x.data(), kRate).ok());
  int64_t n = 0;
  CHECK(scheduler->step(scheduler->caller_ns() + 5000 * kMs, n).ok() && n == 4);
  const std::vector<Shown> frames = run_out(f, *session);
  CHECK(frames == whole(f, x));
}

// So many seconds of utterances: no sample is off, and nothing grows.
void hours_neither_drift_nor_grow(const Fixture& f, int64_t seconds) {
  SessionParams params = params_of(30);
  params.canvas.width = params.canvas.height = 2;
  const auto session = open(f, params);
  const auto scheduler = Scheduler::of(f.backend);
  constexpr int kHz = 44100;
  const std::vector<float> x = sound(3 * kHz + 31, kHz);
  LiveFrame frame;
  int64_t next = 0, n_samples = 0, off = 0;
  uint64_t bytes = 0;
  const int64_t start = scheduler->caller_ns();
  for (int64_t second = 0; second < seconds; second += 4) {
    CHECK(push(*session, x.data(), static_cast<int64_t>(x.size()), kHz).ok() && session->flush().ok());
    const int64_t until = start + (second + 4) * 1000 * kMs;
    while (scheduler->caller_ns() < until) {
      int64_t n = 0;
      CHECK(scheduler->step(std::min(until, scheduler->caller_ns() + 33 * kMs), n).ok());
      while (session->acquire(0, frame).ok()) {
        off +=
            frame.index != next || frame.pts_samples != first_sample(next, kHz, 30) || frame.pts_samples != n_samples;
        ++next, n_samples += frame.n_samples;
        CHECK(session->release(frame.slot, frame.index).ok());
      }
    }
    if (second == 20) bytes = session->stats().bytes;
  }
  CHECK(off == 0 && next > (seconds - 10) * 30);
  CHECK(session->stats().bytes == bytes);
  CHECK(session->stats().starved == 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  Fixture f;
  CHECK(open_backend({}, f.backend).ok());
  if (argc > 4) f.backend = std::make_shared<BatchBackend>(f.backend);
  CHECK(Model::load(argv[2], f.backend, f.model).ok());
  CHECK(Voice::load(argv[1], *f.voice).ok());
  if (!f.model) return 1;
  lips_and_life_are_those_of_the_whole_sound(f);
  any_chunks_give_the_frames_of_one_push(f);
  a_starved_utterance_goes_on_where_it_was(f);
  a_starved_utterance_ends_by_itself(f);
  an_interrupt_closes_the_mouth_and_tells_where(f);
  an_interrupt_takes_back_what_was_not_acquired(f);
  utterances_begin_anew(f);
  controls_are_drawn_as_they_are(f);
  controls_come_and_go_softly(f);
  a_fade_outlives_another_format(f);
  rows_wait_for_their_sound(f);
  no_frames_between_utterances(f);
  queues_are_bounded(f);
  a_reader_that_stops_stops_the_session(f);
  hours_neither_drift_nor_grow(f, argc > 3 ? std::atoi(argv[3]) : 120);
  return ts_test::report("test_session");
}
