// SPDX-License-Identifier: Apache-2.0
// The C ABI of sessions. In a child of fork() all of it is refused: there, neither the thread that draws nor who holds
// a session's locks is left.
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include "capi_handles.h"
#include "capi_session_translate.h"
#include "capi_support.h"
#include "session/scheduler.h"

namespace {

using ts::error;
using ts::Status;
using ts::StatusCode;
using ts::capi::check_size;
using ts::capi::null_argument;
using ts::capi::read_struct;
using ts::capi::write_struct;

template <class Body>
ts_status guarded(const Body& body) {
  return ts::capi::guarded(body, "out of memory. Ask for a smaller picture, fewer slots or a shorter queue_ms.");
}

// Puts the function before the message of what it called, which may have the end of its name already.
Status from(const char* function, const Status& status) {
  if (status.ok()) return {};
  const std::string own = std::string(function).substr(std::strlen("ts_session_")) + ": ";
  if (status.message().compare(0, own.size(), own) != 0) return ts::capi::from(function, status);
  return ts::capi::from(function, Status(status.code(), status.message().substr(own.size())));
}

// Nothing of a session may be touched before this.
Status usable(const char* function, const ts_session* session) {
  if (!session) return null_argument(function, "session");
  return ts::capi::made_here(function, session->session->model().backend());
}

uint32_t feature_floats(const ts::Model& model) {
  if (!model.windows().any()) return 0;
  const ts::FeatureWindow& window = model.file().inputs[model.windows().inputs().front()].window;
  return static_cast<uint32_t>(window.length * window.channels);
}

// The session whose callback this thread is in: what waits for the end of that callback would wait for ever.
thread_local const ts_session* calling = nullptr;

int call(void* user, const ts::LiveFrame& frame) {
  const ts::capi::Callback callback = *static_cast<const ts::capi::Callback*>(user);
  const ts_live_frame given = ts::capi::to_c(frame);
  const ts_session* const outer = calling;
  calling = callback.session;
  const int go_on = callback.function(callback.user, &given);
  calling = outer;
  return go_on;
}

}  // namespace

extern "C" {

int64_t ts_now_ns(void) { return ts::now_ns(); }

ts_status ts_session_create(const ts_avatar* avatar, const ts_voice* voice, const ts_session_params* params,
                            ts_session** session, double* smallest_ms) {
  return guarded([&]() -> Status {
    if (smallest_ms) *smallest_ms = 0;
    if (session) *session = nullptr;
    if (!avatar) return null_argument("ts_session_create", "avatar");
    if (!session) return null_argument("ts_session_create", "session");
    ts_session_params p;
    TS_RETURN_IF_ERROR(read_struct("ts_session_create: params", params, ts_session_params_default(), p));
    ts::SessionParams given;
    ts::Background background;
    TS_RETURN_IF_ERROR(ts::capi::to_session_params(p, avatar->model->file(), given, background));
    TS_RETURN_IF_ERROR(ts::capi::made_here("ts_session_create", avatar->model->backend()));
    std::unique_ptr<ts_session> made(new ts_session);
    double smallest = 0;
    const Status status =
        ts::Session::make(avatar->model, voice ? voice->voice : nullptr, given, made->session, smallest);
    if (smallest_ms) *smallest_ms = smallest;
    TS_RETURN_IF_ERROR(from("ts_session_create", status));
    *session = made.release();
    return {};
  });
}

void ts_session_destroy(ts_session* session) {
  if (!session) return;
  if (session->session->model().backend().forked()) return;  // its locks may be held by threads that are not there
  session->session.reset();                                  // before its callback goes
  delete session;
}

ts_status ts_session_push_audio(ts_session* session, ts_sample_format format, uint32_t rate_hz, uint32_t channels,
                                const void* samples, int64_t n) {
  return guarded([&]() -> Status {
    constexpr const char* kFunction = "ts_session_push_audio";
    TS_RETURN_IF_ERROR(usable(kFunction, session));
    ts::SampleFormat kind;
    TS_RETURN_IF_ERROR(from(kFunction, ts::capi::to_sample_format(format, kind)));
    TS_RETURN_IF_ERROR(ts::capi::check_sound(kFunction, rate_hz, channels));
    TS_RETURN_IF_ERROR(ts::capi::check_n(kFunction, n, samples, "samples"));
    return from(kFunction,
                session->session->push_audio(kind, static_cast<int>(rate_hz), static_cast<int>(channels), samples, n));
  });
}

ts_status ts_session_push_features(ts_session* session, const float* rows, int64_t n) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_push_features", session));
    TS_RETURN_IF_ERROR(ts::capi::check_n("ts_session_push_features", n, rows, "rows"));
    return from("ts_session_push_features", session->session->push_features(rows, n));
  });
}

ts_status ts_session_push_controls(ts_session* session, const float* rows, int64_t n) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_push_controls", session));
    TS_RETURN_IF_ERROR(ts::capi::check_n("ts_session_push_controls", n, rows, "rows"));
    return from("ts_session_push_controls", session->session->push_controls(rows, n));
  });
}

ts_status ts_session_flush(ts_session* session) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_flush", session));
    return from("ts_session_flush", session->session->flush());
  });
}

ts_status ts_session_interrupt(ts_session* session, uint32_t fade_ms, int64_t* position) {
  return guarded([&]() -> Status {
    if (position) *position = -1;
    TS_RETURN_IF_ERROR(usable("ts_session_interrupt", session));
    if (fade_ms > TS_MAX_FADE_MS)
      return error(StatusCode::kInvalidArgument, "ts_session_interrupt: fade_ms must be in 0..%d; got %u.",
                   TS_MAX_FADE_MS, fade_ms);
    int64_t at = -1;
    TS_RETURN_IF_ERROR(from("ts_session_interrupt", session->session->interrupt(static_cast<int>(fade_ms), at)));
    if (position) *position = at;
    return {};
  });
}

ts_status ts_session_set(ts_session* session, const ts_presence* presence) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_set", session));
    if (!presence) return null_argument("ts_session_set", "presence");
    ts_presence p;
    TS_RETURN_IF_ERROR(read_struct("ts_session_set: presence", presence, ts_presence_default(), p));
    ts::Presence given;
    TS_RETURN_IF_ERROR(ts::capi::to_presence(p, given));
    return from("ts_session_set", session->session->set(given));
  });
}

ts_status ts_session_close(ts_session* session) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_close", session));
    return from("ts_session_close", session->session->close());
  });
}

ts_status ts_session_abort(ts_session* session) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_abort", session));
    session->session->abort();
    return {};
  });
}

ts_status ts_session_acquire(ts_session* session, int64_t timeout_ns, ts_live_frame* frame) {
  const ts_status status = guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_acquire", session));
    if (!frame) return null_argument("ts_session_acquire", "frame");
    TS_RETURN_IF_ERROR(check_size("ts_session_acquire: frame", *frame));  // before a frame is lent
    ts::LiveFrame lent;
    TS_RETURN_IF_ERROR(session->session->acquire(timeout_ns, lent));
    return write_struct("ts_session_acquire: frame", frame, ts::capi::to_c(lent));
  });
  // Who polls gets these often; their messages cost no memory.
  if (status == TS_TIMEOUT) return ts::capi::fail(StatusCode::kTimeout, "ts_session_acquire: there is no frame yet.");
  if (status == TS_CLOSED)
    return ts::capi::fail(StatusCode::kClosed, "ts_session_acquire: the session is closed, and its last frame taken.");
  return status;
}

ts_status ts_session_release(ts_session* session, const ts_live_frame* frame) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_release", session));
    if (!frame) return null_argument("ts_session_release", "frame");
    ts_live_frame lent;
    TS_RETURN_IF_ERROR(read_struct("ts_session_release: frame", frame, ts_live_frame{}, lent));
    return from("ts_session_release", session->session->release(lent.slot, lent.index));
  });
}

ts_status ts_session_set_callback(ts_session* session, ts_live_callback callback, void* user) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_set_callback", session));
    if (calling == session)
      return error(
          StatusCode::kInvalidArgument,
          "ts_session_set_callback: the callback may not replace itself, for whose end this waits. Return 0 to "
          "stop, or set another from elsewhere.");
    auto next = callback ? std::make_unique<ts::capi::Callback>(ts::capi::Callback{session, callback, user}) : nullptr;
    const std::lock_guard<std::mutex> lock(session->setting);
    TS_RETURN_IF_ERROR(
        from("ts_session_set_callback", session->session->set_callback(next ? &call : nullptr, next.get())));
    session->callback = std::move(next);
    return {};
  });
}

ts_status ts_session_get_stats(const ts_session* session, ts_session_stats* stats) {
  return guarded([&]() -> Status {
    TS_RETURN_IF_ERROR(usable("ts_session_get_stats", session));
    if (!stats) return null_argument("ts_session_get_stats", "stats");
    ts_session_stats told = ts::capi::to_c(session->session->stats());
    told.feature_floats = feature_floats(session->session->model());
    return write_struct("ts_session_get_stats: stats", stats, told);
  });
}

ts_status ts_engine_step(ts_engine* engine, int64_t time_ns, int64_t* n_frames) {
  return guarded([&]() -> Status {
    if (n_frames) *n_frames = 0;
    if (!engine) return null_argument("ts_engine_step", "engine");
    TS_RETURN_IF_ERROR(ts::capi::made_here("ts_engine_step", *engine->backend));
    if (time_ns < 0)
      return error(StatusCode::kInvalidArgument, "ts_engine_step: time_ns must be 0 or more; got %lld.",
                   static_cast<long long>(time_ns));
    if (calling && &calling->session->model().backend() == engine->backend.get())
      return error(StatusCode::kInvalidArgument,
                   "ts_engine_step: a callback may not step the engine that called it. Step when it has returned.");
    int64_t n = 0;
    const Status status = ts::Scheduler::of(engine->backend)->step(time_ns, n);
    if (n_frames) *n_frames = n;
    return ts::capi::from("ts_engine_step", status);
  });
}

}  // extern "C"
