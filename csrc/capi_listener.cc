// SPDX-License-Identifier: Apache-2.0
// The C ABI of the listener: the front of a voice by itself, for encoders that run elsewhere.
#include <algorithm>

#include "capi_handles.h"
#include "capi_session_translate.h"
#include "capi_support.h"

namespace {

using ts::error;
using ts::Status;
using ts::StatusCode;
using ts::capi::from;
using ts::capi::null_argument;

template <class Body>
ts_status guarded(const Body& body) {
  return ts::capi::guarded(body, "out of memory. Read samples while pushing, or push less at once.");
}

// For all that n more samples complete, so that nothing fails halfway. What was read makes room first.
void make_room(ts_listener& listener, int64_t n) {
  // Outputs that earlier samples may still complete: the filter's 16 samples at 8 kHz are 32.
  constexpr int64_t kHeld = 64;
  std::vector<float>& waiting = listener.waiting;
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(listener.n_read));
  listener.n_read = 0;
  const auto most = waiting.size() + static_cast<size_t>(n * ts::kListenHz / listener.rate_hz + kHeld);
  if (most > waiting.capacity()) waiting.reserve(std::max(most, 2 * waiting.capacity()));
}

void keep_heard(ts_listener& listener) {
  const ts::Sound heard = listener.listen.heard();
  listener.waiting.insert(listener.waiting.end(), heard.sample, heard.sample + heard.n);
}

}  // namespace

extern "C" {

ts_status ts_listener_create(uint32_t rate_hz, uint32_t channels, ts_listener** listener) {
  return guarded([&]() -> Status {
    if (!listener) return null_argument("ts_listener_create", "listener");
    *listener = nullptr;
    TS_RETURN_IF_ERROR(ts::capi::check_sound("ts_listener_create", rate_hz, channels));
    *listener = new ts_listener{ts::Listen(static_cast<int>(rate_hz), static_cast<int>(channels)), rate_hz, channels};
    return {};
  });
}

void ts_listener_destroy(ts_listener* listener) { delete listener; }

ts_status ts_listener_push(ts_listener* listener, ts_sample_format format, const void* samples, int64_t n) {
  return guarded([&]() -> Status {
    if (!listener) return null_argument("ts_listener_push", "listener");
    ts::SampleFormat kind;
    TS_RETURN_IF_ERROR(from("ts_listener_push", ts::capi::to_sample_format(format, kind)));
    TS_RETURN_IF_ERROR(ts::capi::check_n("ts_listener_push", n, samples, "samples"));
    if (listener->finished)
      return error(StatusCode::kInvalidArgument,
                   "ts_listener_push: the sound was finished. Begin another by ts_listener_reset.");
    TS_RETURN_IF_ERROR(from("ts_listener_push", listener->listen.check(kind, samples, n)));
    make_room(*listener, n);
    const size_t width = (kind == ts::SampleFormat::kF32 ? sizeof(float) : sizeof(int16_t)) * listener->channels;
    for (int64_t done = 0; done < n;) {
      done +=
          listener->listen.push(kind, static_cast<const char*>(samples) + static_cast<size_t>(done) * width, n - done);
      keep_heard(*listener);
    }
    return {};
  });
}

ts_status ts_listener_finish(ts_listener* listener) {
  return guarded([&]() -> Status {
    if (!listener) return null_argument("ts_listener_finish", "listener");
    if (listener->finished) return {};
    make_room(*listener, 0);
    listener->listen.finish();
    keep_heard(*listener);
    listener->finished = true;
    return {};
  });
}

ts_status ts_listener_reset(ts_listener* listener) {
  return guarded([&]() -> Status {
    if (!listener) return null_argument("ts_listener_reset", "listener");
    listener->listen.reset();
    listener->waiting.clear();
    listener->n_read = 0;
    listener->finished = false;
    return {};
  });
}

int64_t ts_listener_ready(const ts_listener* listener) {
  return listener ? static_cast<int64_t>(listener->waiting.size() - listener->n_read) : 0;
}

ts_status ts_listener_read(ts_listener* listener, float* samples, int64_t max_samples, int64_t* n_samples) {
  return guarded([&]() -> Status {
    if (n_samples) *n_samples = 0;
    if (!listener) return null_argument("ts_listener_read", "listener");
    if (!n_samples) return null_argument("ts_listener_read", "n_samples");
    if (max_samples < 0)
      return error(StatusCode::kInvalidArgument, "ts_listener_read: max_samples must be 0 or more; got %lld.",
                   static_cast<long long>(max_samples));
    if (max_samples > 0 && !samples) return null_argument("ts_listener_read", "samples");
    *n_samples = std::min(max_samples, ts_listener_ready(listener));
    std::copy_n(listener->waiting.data() + listener->n_read, *n_samples, samples);
    listener->n_read += static_cast<size_t>(*n_samples);
    return {};
  });
}

}  // extern "C"
