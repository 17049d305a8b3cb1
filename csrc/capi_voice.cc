// SPDX-License-Identifier: Apache-2.0
// The C ABI of the voice.
#include <memory>
#include <string>
#include <vector>

#include "capi_handles.h"
#include "capi_support.h"
#include "core/text.h"
#include "ops/drive.h"

namespace {

using ts::error;
using ts::Status;
using ts::StatusCode;
using ts::capi::from;
using ts::capi::null_argument;
using ts::capi::read_struct;

template <class Body>
ts_status guarded(const Body& body) {
  return ts::capi::guarded(body, "out of memory. Read frames while pushing, or push less at once.");
}

template <class Number>
Status check_range(const char* name, Number value, double low, double high, const char* hint) {
  if (value >= low && value <= high) return {};  // and is a number
  return error(StatusCode::kInvalidArgument, "ts_speech_create: %s must be from %g to %g; got %s.%s", name, low, high,
               ts::number_text(value).c_str(), hint);
}

static_assert(ts::kMaxSoundChannels == TS_MAX_CHANNELS && ts::kLoudest == TS_MAX_SAMPLE);
static_assert(ts::kArkitWeights == TS_N_WEIGHTS);

Status check_params(const ts_speech_params& p) {
  TS_RETURN_IF_ERROR(check_range("rate_hz", static_cast<double>(p.rate_hz), TS_MIN_RATE_HZ, TS_MAX_RATE_HZ,
                                 " Resample the audio first."));
  TS_RETURN_IF_ERROR(check_range("channels", static_cast<double>(p.channels), 1, TS_MAX_CHANNELS,
                                 " Their mean is heard: pass one of them, or a mix."));
  TS_RETURN_IF_ERROR(check_range("fps", p.fps, TS_MIN_FPS, TS_MAX_FPS, " Drop or repeat frames for other rates."));
  TS_RETURN_IF_ERROR(check_range("mouth", p.mouth, 0, TS_MAX_AMOUNT, ""));
  TS_RETURN_IF_ERROR(check_range("head", p.head, 0, TS_MAX_AMOUNT, ""));
  return check_range("blink", p.blink, 0, TS_MAX_AMOUNT, "");
}

}  // namespace

extern "C" {

ts_status ts_voice_load(const char* path, ts_voice** voice) {
  return guarded([&]() -> Status {
    if (!path) return null_argument("ts_voice_load", "path");
    if (!voice) return null_argument("ts_voice_load", "voice");
    *voice = nullptr;
    auto loaded = std::make_shared<ts::Voice>();
    TS_RETURN_IF_ERROR(ts::Voice::load(path, *loaded));
    std::vector<const char*> names;
    for (const std::string& name : loaded->channel_names) names.push_back(name.c_str());
    *voice = new ts_voice{std::move(loaded), std::move(names)};
    return {};
  });
}

void ts_voice_destroy(ts_voice* voice) { delete voice; }

ts_status ts_voice_get_info(const ts_voice* voice, ts_voice_info* info) {
  return guarded([&]() -> Status {
    if (!voice) return null_argument("ts_voice_get_info", "voice");
    const ts::Voice& v = *voice->voice;
    ts_voice_info value{};
    value.manifest = v.manifest.c_str();
    value.look_ahead_s = v.look_ahead_s();
    value.n_channels = static_cast<uint32_t>(voice->channel_names.size());
    value.channel_names = voice->channel_names.data();
    value.n_features = static_cast<uint32_t>(v.model->n_features);
    value.n_weights = ts::kArkitWeights;
    value.weight_names = ts::kArkitNames;
    value.n_parameters = v.n_parameters, value.file_bytes = v.file_bytes;
    return ts::capi::write_struct("ts_voice_get_info", info, value);
  });
}

ts_status ts_speech_create(ts_engine* engine, const ts_voice* voice, const ts_speech_params* params,
                           ts_speech** speech) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_speech_create", "engine");
    if (!voice) return null_argument("ts_speech_create", "voice");
    if (!speech) return null_argument("ts_speech_create", "speech");
    *speech = nullptr;
    ts_speech_params p;
    TS_RETURN_IF_ERROR(read_struct("ts_speech_create: params", params, ts_speech_params_default(), p));
    TS_RETURN_IF_ERROR(check_params(p));
    TS_RETURN_IF_ERROR(ts::capi::made_here("ts_speech_create", *engine->backend));
    const ts::SpeechParams given{static_cast<int>(p.rate_hz), static_cast<int>(p.channels),
                                 ts::DriveParams{p.fps, p.seed, p.mouth, p.head, p.blink}};
    *speech = new ts_speech{ts::Speech(voice->voice, given, engine->backend)};
    return {};
  });
}

void ts_speech_destroy(ts_speech* speech) { delete speech; }

ts_status ts_speech_push(ts_speech* speech, ts_sample_format format, const void* samples, int64_t n) {
  return guarded([&]() -> Status {
    if (!speech) return null_argument("ts_speech_push", "speech");
    ts::SampleFormat kind;
    TS_RETURN_IF_ERROR(from("ts_speech_push", ts::capi::to_sample_format(format, kind)));
    TS_RETURN_IF_ERROR(ts::capi::check_n("ts_speech_push", n, samples, "samples"));
    return from("ts_speech_push", speech->speech.push_sound(kind, samples, n));
  });
}

ts_status ts_speech_finish(ts_speech* speech) {
  return guarded([&]() -> Status {
    if (!speech) return null_argument("ts_speech_finish", "speech");
    return from("ts_speech_finish", speech->speech.finish());
  });
}

ts_status ts_speech_reset(ts_speech* speech) {
  return guarded([&]() -> Status {
    if (!speech) return null_argument("ts_speech_reset", "speech");
    speech->speech.reset();
    return {};
  });
}

ts_status ts_speech_read(ts_speech* speech, const ts_faces* faces, int64_t max_frames, int64_t* n_frames) {
  return guarded([&]() -> Status {
    if (n_frames) *n_frames = 0;
    if (!speech) return null_argument("ts_speech_read", "speech");
    if (!faces) return null_argument("ts_speech_read", "faces");
    if (!n_frames) return null_argument("ts_speech_read", "n_frames");
    ts_faces out;
    TS_RETURN_IF_ERROR(read_struct("ts_speech_read: faces", faces, ts_faces{}, out));
    if (max_frames < 0)
      return error(StatusCode::kInvalidArgument, "ts_speech_read: max_frames must be 0 or more; got %lld.",
                   static_cast<long long>(max_frames));
    *n_frames = speech->speech.read_faces({out.weight, out.head_pose, out.voice, out.channel, out.feature}, max_frames);
    return {};
  });
}

ts_status ts_speech_read_control(ts_speech* speech, const ts_avatar* avatar, float* control, int64_t max_frames,
                                 int64_t* n_frames) {
  return guarded([&]() -> Status {
    if (n_frames) *n_frames = 0;
    if (!speech) return null_argument("ts_speech_read_control", "speech");
    if (!avatar) return null_argument("ts_speech_read_control", "avatar");
    if (!n_frames) return null_argument("ts_speech_read_control", "n_frames");
    if (max_frames < 0)
      return error(StatusCode::kInvalidArgument, "ts_speech_read_control: max_frames must be 0 or more; got %lld.",
                   static_cast<long long>(max_frames));
    if (max_frames > 0 && !control) return null_argument("ts_speech_read_control", "control");
    return from("ts_speech_read_control", speech->speech.read_control(*avatar->model, control, max_frames, *n_frames));
  });
}

int64_t ts_speech_ready(const ts_speech* speech) { return speech ? speech->speech.ready() : 0; }

int64_t ts_speech_ready_control(const ts_speech* speech, const ts_avatar* avatar) {
  return speech && avatar ? speech->speech.ready(*avatar->model) : 0;
}

}  // extern "C"
