// SPDX-License-Identifier: Apache-2.0
// Sessions. Frames are acquired alone: ts_session_set_callback has no Python, whose lock would keep the thread that
// draws all sessions waiting.
#include <algorithm>
#include <array>

#include "live.h"

namespace ts::bind {

namespace {

constexpr double kSliceS = 0.1;  // of a wait: Ctrl-C is noticed between two
constexpr double kMostS = 1e9;   // of a timeout: 30 years

std::shared_ptr<Session> make_session(std::shared_ptr<Avatar> avatar,
                                      const std::optional<std::shared_ptr<Voice>>& voice, double fps, uint32_t width,
                                      uint32_t height, ts_format format, ts_precision precision, double latency_ms,
                                      double chunk_ms, ts_on_late on_late, ts_idle idle, ts_clock clock, uint32_t slots,
                                      uint32_t queue_ms, uint32_t flush_after_ms, uint32_t rate_hz, uint32_t channels,
                                      uint64_t seed, float mouth, float head, float blink,
                                      const OptionalFloats& background, bool own_background,
                                      double feature_look_ahead_ms) {
  const bool canvas = width == 0 && height == 0;
  const ts_avatar_info info = avatar->info();
  const ts_background behind = background_over(background, canvas ? info.width : width, canvas ? info.height : height);
  ts_session_params params = ts_session_params_default();
  params.fps = fps;
  params.width = width;
  params.height = height;
  params.format = format;
  params.precision = precision;
  params.latency_ms = latency_ms;
  params.chunk_ms = chunk_ms;
  params.on_late = on_late;
  params.idle = idle;
  params.clock = clock;
  params.slots = slots;
  params.queue_ms = queue_ms;
  params.flush_after_ms = flush_after_ms;
  params.rate_hz = rate_hz;
  params.channels = channels;
  params.seed = seed;
  params.mouth = mouth;
  params.head = head;
  params.blink = blink;
  params.background = own_background ? nullptr : &behind;
  params.feature_look_ahead_ms = feature_look_ahead_ms;
  return std::make_shared<Session>(std::move(avatar), voice ? voice->get() : nullptr, params);
}

void push_audio(const Session& session, const py::array& samples, uint32_t rate_hz) {
  const Sound sound = read_sound(samples, 0);
  check_released(
      [&] { return ts_session_push_audio(session.get(), sound.format, rate_hz, sound.channels, sound.data, sound.n); });
}

// Rows of a length that the core does not see.
void push_rows(const Session& session, const FloatArray& rows, py::ssize_t width,
               ts_status (*push)(ts_session*, const float*, int64_t)) {
  const float* data = read_floats(rows, "rows", {-1, width});
  const int64_t n = rows.shape(0);
  check_released([&] { return push(session.get(), data, n); });
}

void push_features(const Session& session, const FloatArray& rows) {
  const uint32_t width = session.stats().feature_floats;
  if (width == 0) throw py::value_error("push_features: no features move this avatar: it has no window of them.");
  push_rows(session, rows, width, &ts_session_push_features);
}

void push_controls(const Session& session, const FloatArray& rows) {
  push_rows(session, rows, session.avatar_info().n_control, &ts_session_push_controls);
}

int64_t interrupt(const Session& session, uint32_t fade_ms) {
  int64_t position = -1;
  check_released([&] { return ts_session_interrupt(session.get(), fade_ms, &position); });
  return position;
}

void set(const Session& session, bool look, const std::array<float, 2>& gaze, const std::array<float, 3>& head_pose,
         float head, float blink, float listening, const std::array<float, TS_N_EMOTIONS>& emotion) {
  ts_presence presence = ts_presence_default();
  presence.look = look;
  std::copy(gaze.begin(), gaze.end(), presence.gaze);
  std::copy(head_pose.begin(), head_pose.end(), presence.head_pose);
  presence.head = head;
  presence.blink = blink;
  presence.listening = listening;
  std::copy(emotion.begin(), emotion.end(), presence.emotion);
  check_released([&] { return ts_session_set(session.get(), &presence); });
}

// None where there is none in time.
std::optional<std::shared_ptr<LiveFrame>> acquire(const std::shared_ptr<Session>& session,
                                                  std::optional<double> timeout_s) {
  if (timeout_s && !(*timeout_s >= 0)) throw py::value_error("acquire: timeout_s must be 0 or more seconds, or None.");
  const auto ns = [](double seconds) { return static_cast<int64_t>(seconds * 1e9); };
  const int64_t begun_ns = ts_now_ns(), end_ns = begun_ns + ns(std::min(timeout_s.value_or(kMostS), kMostS));
  auto frame = std::make_shared<LiveFrame>(session);
  for (int64_t now_ns = begun_ns;; now_ns = ts_now_ns()) {
    const int64_t slice_ns = std::clamp(end_ns - now_ns, int64_t{0}, ns(kSliceS));
    const ts_status status = without_gil([&] { return frame->acquire(slice_ns); });
    if (status == TS_OK) {
      frame->keep_samples();
      return frame;
    }
    if (status != TS_TIMEOUT) check(status);
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!session->waits() || ts_now_ns() >= end_ns) return std::nullopt;
  }
}

py::dict stats(const Session& session) {
  const ts_session_stats s = session.stats();
  py::dict result;
  result["sessions"] = s.sessions;
  result["fps"] = s.fps;
  result["latency_ms"] = s.latency_ms;
  result["smallest_latency_ms"] = s.smallest_latency_ms;
  result["look_ahead_ms"] = s.look_ahead_ms;
  result["p50_ms"] = s.p50_ms;
  result["p95_ms"] = s.p95_ms;
  result["p99_ms"] = s.p99_ms;
  result["max_ms"] = s.max_ms;
  result["frames"] = s.frames;
  result["speech"] = s.speech;
  result["idle"] = s.idle;
  result["starved"] = s.starved;
  result["late"] = s.late;
  result["late_by_host"] = s.late_by_host;
  result["held"] = s.held;
  result["skipped"] = s.skipped;
  result["dropped"] = s.dropped;
  result["stalls"] = s.stalls;
  result["stalled_ms"] = s.stalled_ms;
  result["queued_ms"] = s.queued_ms;
  result["cpu_ms"] = s.cpu_ms;
  result["bytes"] = s.bytes;
  result["has_place"] = std::vector<bool>(s.has_place, s.has_place + TS_N_WEIGHTS + 2);
  return result;
}

}  // namespace

Session::Session(std::shared_ptr<Avatar> avatar, const Voice* voice, const ts_session_params& params)
    : avatar_(std::move(avatar)), waits_(params.clock == TS_CLOCK_REAL) {
  const ts_status status = without_gil([&] {
    return ts_session_create(avatar_->get(), voice ? voice->get() : nullptr, &params, &session_, &smallest_ms_);
  });
  if (status != TS_LATENCY_REFUSED) {
    check(status);
    return;
  }
  const py::object type = py::module_::import("talksplat.errors").attr("LatencyRefused");
  const py::object refused = type(ts_last_error());
  refused.attr("smallest_ms") = smallest_ms_;
  PyErr_SetObject(type.ptr(), refused.ptr());
  throw py::error_already_set();
}

Session::~Session() {
  without_gil([&] {  // a frame that is being drawn is waited for
    ts_session_destroy(session_);
    return 0;
  });
}

ts_session_stats Session::stats() const {
  ts_session_stats stats{};
  stats.struct_size = sizeof(stats);
  check_released([&] { return ts_session_get_stats(session_, &stats); });
  return stats;
}

void register_session(py::module_& m) {
  py::enum_<ts_on_late>(m, "OnLate").value("HOLD", TS_LATE_HOLD).value("SKIP", TS_LATE_SKIP);
  py::enum_<ts_idle>(m, "Idle").value("ALIVE", TS_IDLE_ALIVE).value("STILL", TS_IDLE_STILL).value("NONE", TS_IDLE_NONE);
  py::enum_<ts_clock>(m, "Clock").value("REAL", TS_CLOCK_REAL).value("CALLER", TS_CLOCK_CALLER);

  const auto plain = [](ts_status (*function)(ts_session*)) {
    return [function](const Session& session) { check_released([&] { return function(session.get()); }); };
  };
  py::class_<Session, std::shared_ptr<Session>>(m, "Session")
      .def(py::init(&make_session), py::arg("avatar"), py::arg("voice").none(true), py::kw_only(), py::arg("fps"),
           py::arg("width"), py::arg("height"), py::arg("format"), py::arg("precision"), py::arg("latency_ms"),
           py::arg("chunk_ms"), py::arg("on_late"), py::arg("idle"), py::arg("clock"), py::arg("slots"),
           py::arg("queue_ms"), py::arg("flush_after_ms"), py::arg("rate_hz"), py::arg("channels"), py::arg("seed"),
           py::arg("mouth"), py::arg("head"), py::arg("blink"), py::arg("background").noconvert().none(true),
           py::arg("own_background"), py::arg("feature_look_ahead_ms") = 0.0)
      .def_property_readonly("smallest_ms", &Session::smallest_ms)
      .def("push_audio", &push_audio, py::arg("samples").noconvert(), py::arg("rate_hz"))
      .def("push_features", &push_features, py::arg("rows").noconvert())
      .def("push_controls", &push_controls, py::arg("rows").noconvert())
      .def("flush", plain(&ts_session_flush))
      .def("interrupt", &interrupt, py::arg("fade_ms"))
      .def("set", &set, py::arg("look"), py::arg("gaze"), py::arg("head_pose"), py::arg("head"), py::arg("blink"),
           py::arg("listening"), py::arg("emotion"))
      .def("close", plain(&ts_session_close))
      .def("abort", plain(&ts_session_abort))
      .def("acquire", &acquire, py::arg("timeout_s").none(true))
      .def("stats", &stats);
}

}  // namespace ts::bind
