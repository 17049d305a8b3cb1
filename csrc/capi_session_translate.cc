// SPDX-License-Identifier: Apache-2.0
#include "capi_session_translate.h"

#include <string>

#include "capi_support.h"
#include "capi_translate.h"
#include "core/text.h"

namespace ts::capi {
namespace {

constexpr const char* kCreate = "ts_session_create";

template <class A, class B>
constexpr bool same(A a, B b) {
  return static_cast<int>(a) == static_cast<int>(b);
}
static_assert(same(OnLate::kHold, TS_LATE_HOLD) && same(OnLate::kSkip, TS_LATE_SKIP));
static_assert(same(Idle::kAlive, TS_IDLE_ALIVE) && same(Idle::kStill, TS_IDLE_STILL) &&
              same(Idle::kNone, TS_IDLE_NONE));
static_assert(same(ClockKind::kReal, TS_CLOCK_REAL) && same(ClockKind::kCaller, TS_CLOCK_CALLER));
static_assert(same(kLiveSpeech, TS_LIVE_SPEECH) && same(kLiveIdle, TS_LIVE_IDLE) &&
              same(kLiveStarved, TS_LIVE_STARVED) && same(kLiveLate, TS_LIVE_LATE) && same(kLiveHeld, TS_LIVE_HELD) &&
              same(kLiveSegmentEnd, TS_LIVE_SEGMENT_END) && same(kLiveFading, TS_LIVE_FADING));
static_assert(same(kHappy, TS_HAPPY) && same(kSad, TS_SAD) && same(kAngry, TS_ANGRY) &&
              same(kSurprised, TS_SURPRISED) && same(kAfraid, TS_AFRAID) && same(kDisgusted, TS_DISGUSTED) &&
              same(kEmotions, TS_N_EMOTIONS));

template <class Number>
Status check_range(const char* function, const char* name, Number value, double low, double high,
                   const char* hint = "") {
  if (value >= low && value <= high) return {};  // and is a number
  return error(StatusCode::kInvalidArgument, "%s: %s must be from %g to %g; got %s.%s", function, name, low, high,
               number_text(value).c_str(), hint);
}

Status check_count(const char* name, uint32_t value, uint32_t low, uint32_t high, const char* hint = "") {
  if (value >= low && value <= high) return {};
  return error(StatusCode::kInvalidArgument, "%s: %s must be in %u..%u; got %u.%s", kCreate, name, low, high, value,
               hint);
}

template <class Enum>
Status check_choice(const char* name, const Enum& value, int n, const char* choices) {
  const int number = number_of(value);
  if (number >= 0 && number < n) return {};
  return error(StatusCode::kInvalidArgument, "%s: %s must be %s; got %d.", kCreate, name, choices, number);
}

Status check_time(const ts_session_params& p) {
  if (p.fps != 0)
    TS_RETURN_IF_ERROR(check_range(kCreate, "fps", p.fps, TS_MIN_FPS, TS_MAX_FPS, " 0 takes the avatar's own."));
  if (!(p.latency_ms > 0 && p.latency_ms <= TS_MAX_LATENCY_MS))
    return error(StatusCode::kInvalidArgument, "%s: latency_ms must be more than 0 and at most %g; got %s.", kCreate,
                 TS_MAX_LATENCY_MS, number_text(p.latency_ms).c_str());
  TS_RETURN_IF_ERROR(check_range(kCreate, "chunk_ms", p.chunk_ms, 0, TS_MAX_CHUNK_MS,
                                 " It is how much sound one push brings; push long sounds in pieces."));
  TS_RETURN_IF_ERROR(check_range(kCreate, "feature_look_ahead_ms", p.feature_look_ahead_ms, 0, TS_MAX_LATENCY_MS,
                                 " 0: rows of features come with their sound, or without any."));
  TS_RETURN_IF_ERROR(check_count("queue_ms", p.queue_ms, TS_MIN_QUEUE_MS, TS_MAX_QUEUE_MS));
  return check_count("flush_after_ms", p.flush_after_ms, 0, TS_MAX_QUEUE_MS, " 0: never.");
}

}  // namespace

Status check_sound(const char* function, uint32_t rate_hz, uint32_t channels) {
  TS_RETURN_IF_ERROR(check_range(function, "rate_hz", static_cast<double>(rate_hz), TS_MIN_RATE_HZ, TS_MAX_RATE_HZ,
                                 " Resample the audio first."));
  return check_range(function, "channels", static_cast<double>(channels), 1, TS_MAX_CHANNELS,
                     " Their mean is heard: pass one of them, or a mix.");
}

Status to_session_params(const ts_session_params& given, const AvatarFile& file, SessionParams& params,
                         Background& background) {
  TS_RETURN_IF_ERROR(check_time(given));
  TS_RETURN_IF_ERROR(check_choice("on_late", given.on_late, 2, "TS_LATE_HOLD or TS_LATE_SKIP"));
  TS_RETURN_IF_ERROR(check_choice("idle", given.idle, 3, "TS_IDLE_ALIVE, TS_IDLE_STILL or TS_IDLE_NONE"));
  TS_RETURN_IF_ERROR(check_choice("clock", given.clock, 2, "TS_CLOCK_REAL or TS_CLOCK_CALLER"));
  TS_RETURN_IF_ERROR(check_count("slots", given.slots, TS_MIN_SLOTS, TS_MAX_SLOTS));
  TS_RETURN_IF_ERROR(check_sound(kCreate, given.rate_hz, given.channels));
  TS_RETURN_IF_ERROR(check_range(kCreate, "mouth", given.mouth, 0, TS_MAX_AMOUNT));
  TS_RETURN_IF_ERROR(check_range(kCreate, "head", given.head, 0, TS_MAX_AMOUNT));
  TS_RETURN_IF_ERROR(check_range(kCreate, "blink", given.blink, 0, TS_MAX_AMOUNT));

  TS_RETURN_IF_ERROR(
      from(kCreate, to_canvas(given.width, given.height, given.format, given.precision, file, params.canvas)));
  if (given.background) {
    TS_RETURN_IF_ERROR(to_background(kCreate, *given.background, background));
    TS_RETURN_IF_ERROR(from(kCreate, check(background)));
    params.background = &background;
  }
  params.fps = given.fps;
  params.latency_ms = given.latency_ms, params.chunk_ms = given.chunk_ms;
  params.feature_look_ahead_ms = given.feature_look_ahead_ms;
  params.on_late = static_cast<OnLate>(given.on_late);
  params.idle = static_cast<Idle>(given.idle);
  params.clock = static_cast<ClockKind>(given.clock);
  params.slots = static_cast<int>(given.slots);
  params.queue_ms = static_cast<int>(given.queue_ms);
  params.flush_after_ms = static_cast<int>(given.flush_after_ms);
  params.rate_hz = static_cast<int>(given.rate_hz), params.channels = static_cast<int>(given.channels);
  params.drive = DriveParams{given.fps, given.seed, given.mouth, given.head, given.blink};
  return {};
}

Status to_presence(const ts_presence& given, Presence& presence) {
  constexpr const char* kSet = "ts_session_set";
  const auto read = [&](const char* name, float value, double low, double high, double& out) -> Status {
    out = static_cast<double>(value);
    return check_range(kSet, name, value, low, high);
  };
  const auto read_all = [&](const char* name, const float* values, int n, double low, double* out) -> Status {
    for (int i = 0; i < n; ++i)
      TS_RETURN_IF_ERROR(read((name + ("[" + std::to_string(i) + "]")).c_str(), values[i], low, 1, out[i]));
    return {};
  };
  if (given.look > 1) return error(StatusCode::kInvalidArgument, "%s: look must be 0 or 1; got %u.", kSet, given.look);
  presence.look = given.look != 0;
  TS_RETURN_IF_ERROR(read_all("gaze", given.gaze, 2, -1, presence.gaze));
  TS_RETURN_IF_ERROR(read_all("head_pose", given.head_pose, 3, -1, presence.head_pose));
  TS_RETURN_IF_ERROR(read("head", given.head, 0, TS_MAX_AMOUNT, presence.head));
  TS_RETURN_IF_ERROR(read("blink", given.blink, 0, TS_MAX_AMOUNT, presence.blink));
  TS_RETURN_IF_ERROR(read("listening", given.listening, 0, 1, presence.listening));
  return read_all("emotion", given.emotion, TS_N_EMOTIONS, 0, presence.emotion);
}

ts_live_frame to_c(const LiveFrame& frame) {
  ts_live_frame given{};
  given.struct_size = sizeof(given);
  given.flags = frame.flags;
  given.slot = frame.slot;
  given.rate_hz = static_cast<uint32_t>(frame.rate_hz), given.channels = static_cast<uint32_t>(frame.channels);
  given.index = frame.index;
  given.pts_samples = frame.pts_samples;
  given.n_samples = frame.n_samples;
  given.samples = frame.samples;
  given.segment = frame.segment, given.segment_sample = frame.segment_sample;
  given.width = static_cast<uint32_t>(frame.image.width), given.height = static_cast<uint32_t>(frame.image.height);
  given.format = static_cast<ts_format>(frame.image.format);
  given.stride_bytes = frame.image.stride_bytes;
  given.data = frame.image.data;
  given.times = {frame.times.heard_ns,  frame.times.released_ns, frame.times.begun_ns,
                 frame.times.driven_ns, frame.times.ready_ns,    frame.times.deadline_ns};
  given.receipt = to_c(frame.receipt);
  return given;
}

ts_session_stats to_c(const SessionStats& s) {
  ts_session_stats given{};
  given.struct_size = sizeof(given);
  given.sessions = static_cast<uint32_t>(s.sessions);
  given.fps = s.fps, given.latency_ms = s.latency_ms, given.smallest_latency_ms = s.smallest_latency_ms;
  given.look_ahead_ms = s.look_ahead_ms;
  given.p50_ms = s.p50_ms, given.p95_ms = s.p95_ms, given.p99_ms = s.p99_ms, given.max_ms = s.max_ms;
  given.frames = s.frames, given.speech = s.speech, given.idle = s.idle, given.starved = s.starved;
  given.late = s.late, given.late_by_host = s.late_by_host;
  given.held = s.held, given.skipped = s.skipped, given.dropped = s.dropped;
  given.stalls = s.stalls, given.stalled_ms = s.stalled_ms;
  given.queued_ms = s.queued_ms;
  given.cpu_ms = s.cpu_ms;
  given.bytes = s.bytes;
  given.has_place = s.has_place;
  return given;
}

}  // namespace ts::capi
