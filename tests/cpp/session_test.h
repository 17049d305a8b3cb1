// SPDX-License-Identifier: Apache-2.0
// What tests of sessions on the caller's clock share: what is opened, sound, and the frames that come.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "session/session.h"

namespace ts_test {

constexpr int kRate = 16000;
constexpr int64_t kMs = 1'000'000;

struct Fixture {
  std::shared_ptr<ts::Backend> backend;
  std::shared_ptr<const ts::Model> model;
  std::shared_ptr<ts::Voice> voice = std::make_shared<ts::Voice>();
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

inline ts::SessionParams params_of(double fps = 25) {
  ts::SessionParams params;
  params.fps = fps;
  params.canvas.width = params.canvas.height = 32;
  params.canvas.format = ts::Format::kRgb8;
  params.clock = ts::ClockKind::kCaller;
  params.rate_hz = kRate;
  return params;
}

inline std::shared_ptr<ts::Session> open(const Fixture& f, const ts::SessionParams& params) {
  std::shared_ptr<ts::Session> session;
  double smallest = 0;
  const ts::Status status = ts::Session::make(f.model, f.voice, params, session, smallest);
  CHECK_MESSAGE(status.ok(), status.message());
  return session;
}

inline std::vector<float> sound(int64_t n, int rate = kRate) {
  std::vector<float> x(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const double t = static_cast<double>(i) / rate;
    x[static_cast<size_t>(i)] = static_cast<float>(0.4 * std::sin(880 * t) * (0.5 + 0.5 * std::sin(19 * t)));
  }
  return x;
}

// Everything that is there now; why there is no more.
inline ts::StatusCode take(ts::Session& session, std::vector<Shown>& frames) {
  for (;;) {
    ts::LiveFrame frame;
    const ts::Status status = session.acquire(0, frame);
    if (!status.ok()) return status.code();
    Shown shown;
    shown.index = frame.index, shown.pts = frame.pts_samples, shown.flags = frame.flags;
    shown.segment = frame.segment, shown.segment_sample = frame.segment_sample;
    const auto* pixels = static_cast<const uint8_t*>(frame.image.data);
    const int rows = frame.image.format == ts::Format::kNv12 ? frame.image.height * 3 / 2 : frame.image.height;
    shown.picture.assign(pixels, pixels + frame.image.stride_bytes * rows);
    shown.samples.assign(frame.samples, frame.samples + frame.n_samples * frame.channels);
    CHECK(session.release(frame.slot, frame.index).ok());
    frames.push_back(std::move(shown));
  }
}

inline void run_until(const Fixture& f, ts::Session& session, int64_t ns, std::vector<Shown>& frames) {
  const auto scheduler = ts::Scheduler::of(f.backend);
  for (int64_t t = scheduler->caller_ns(); t < ns;) {
    t = std::min(t + 40 * kMs, ns);
    int64_t n = 0;
    CHECK(scheduler->step(t, n).ok());
    take(session, frames);
  }
}

// To the end of what was pushed.
inline std::vector<Shown> run_out(const Fixture& f, ts::Session& session, std::vector<Shown> frames = {}) {
  CHECK(session.close().ok());
  const auto scheduler = ts::Scheduler::of(f.backend);
  for (int i = 0; i < 100000 && take(session, frames) != ts::StatusCode::kClosed; ++i) {
    int64_t n = 0;
    CHECK(scheduler->step(scheduler->caller_ns() + 40 * kMs, n).ok());
  }
  return frames;
}

inline ts::Status push(ts::Session& session, const float* x, int64_t n, int rate = kRate) {
  return session.push_audio(ts::SampleFormat::kF32, rate, 1, x, n);
}

// Of several that are open on one backend.
inline std::vector<std::vector<Shown>> run_out(const Fixture& f,
                                               const std::vector<std::shared_ptr<ts::Session>>& sessions) {
  std::vector<std::vector<Shown>> frames(sessions.size());
  for (const auto& session : sessions) CHECK(session->close().ok());
  const auto scheduler = ts::Scheduler::of(f.backend);
  for (bool goes_on = true; goes_on;) {
    int64_t n = 0;
    CHECK(scheduler->step(scheduler->caller_ns() + 40 * kMs, n).ok());
    goes_on = false;
    for (size_t i = 0; i < sessions.size(); ++i)
      goes_on = (take(*sessions[i], frames[i]) == ts::StatusCode::kTimeout) || goes_on;
  }
  return frames;
}

}  // namespace ts_test
