// SPDX-License-Identifier: Apache-2.0
// The C ABI: versions, messages, time, engines and loose Gaussians. Avatars, frames, the voice
// and sessions have other files.
#include <memory>
#include <string>

#include "capi_handles.h"
#include "capi_support.h"
#include "capi_translate.h"
#include "core/clock.h"

namespace {

using ts::error;
using ts::Status;
using ts::StatusCode;
using ts::capi::guarded;
using ts::capi::made_here;
using ts::capi::null_argument;
using ts::capi::read_struct;
using ts::capi::write_struct;

thread_local std::string last_error;
thread_local ts::SystemInfo found_system;  // keeps the words of ts_system_info and ts_gpu_info

ts_status to_c(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return TS_OK;
    case StatusCode::kInvalidArgument:
      return TS_INVALID_ARGUMENT;
    case StatusCode::kAvatarNotFound:
      return TS_AVATAR_NOT_FOUND;
    case StatusCode::kAvatarInvalid:
      return TS_AVATAR_INVALID;
    case StatusCode::kDeviceError:
      return TS_DEVICE_ERROR;
    case StatusCode::kOutOfMemory:
      return TS_OUT_OF_MEMORY;
    case StatusCode::kVoiceNotFound:
      return TS_VOICE_NOT_FOUND;
    case StatusCode::kVoiceInvalid:
      return TS_VOICE_INVALID;
    case StatusCode::kAudioInvalid:
      return TS_AUDIO_INVALID;
    case StatusCode::kLatencyRefused:
      return TS_LATENCY_REFUSED;
    case StatusCode::kQueueFull:
      return TS_QUEUE_FULL;
    case StatusCode::kTimeout:
      return TS_TIMEOUT;
    case StatusCode::kClosed:
      return TS_CLOSED;
    case StatusCode::kInternal:
      break;
  }
  return TS_INTERNAL;
}

bool in_range(int64_t count, uint32_t rate_hz, double fps) {
  return count >= 0 && count <= ts::kMaxCount && rate_hz > 0 && rate_hz <= TS_MAX_RATE_HZ && fps >= 1 && fps <= 1000;
}

}  // namespace

ts_status ts::capi::fail(StatusCode code, const char* message) {
  try {
    last_error = message;
  } catch (...) {  // no memory for the message: the status must do
    last_error.clear();
  }
  return ::to_c(code);
}

extern "C" {

uint32_t ts_abi_version(void) { return TS_ABI_VERSION; }
const char* ts_version(void) { return TS_VERSION; }

const char* ts_status_name(ts_status status) {
  switch (status) {
    case TS_OK:
      return "ok";
    case TS_INVALID_ARGUMENT:
      return "invalid argument";
    case TS_AVATAR_NOT_FOUND:
      return "avatar not found";
    case TS_AVATAR_INVALID:
      return "avatar invalid";
    case TS_DEVICE_ERROR:
      return "device error";
    case TS_OUT_OF_MEMORY:
      return "out of memory";
    case TS_INTERNAL:
      return "internal error";
    case TS_VOICE_NOT_FOUND:
      return "voice not found";
    case TS_VOICE_INVALID:
      return "voice invalid";
    case TS_AUDIO_INVALID:
      return "audio invalid";
    case TS_LATENCY_REFUSED:
      return "latency refused";
    case TS_QUEUE_FULL:
      return "queue full";
    case TS_TIMEOUT:
      return "timeout";
    case TS_CLOSED:
      return "closed";
  }
  return "unknown status";
}

const char* ts_last_error(void) { return last_error.c_str(); }
uint32_t ts_isa_count(void) { return static_cast<uint32_t>(ts::isa_count()); }
const char* ts_isa_name(uint32_t i) { return i < ts_isa_count() ? ts::isa_name(static_cast<int>(i)) : nullptr; }

int64_t ts_frame_count(int64_t n_samples, uint32_t rate_hz, double fps) {
  if (!in_range(n_samples, rate_hz, fps)) return 0;
  return ts::frame_count(n_samples, static_cast<int>(rate_hz), fps);
}

int64_t ts_first_sample(int64_t frame, uint32_t rate_hz, double fps) {
  if (!in_range(frame, rate_hz, fps)) return 0;
  return ts::first_sample(frame, static_cast<int>(rate_hz), fps);
}

/* ---- engine ---- */

ts_status ts_engine_create(const ts_engine_params* params, ts_engine** engine) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_engine_create", "engine");
    *engine = nullptr;
    ts_engine_params p;
    TS_RETURN_IF_ERROR(read_struct("ts_engine_create", params, ts_engine_params_default(), p));
    if (p.threads > TS_MAX_THREADS)
      return error(StatusCode::kInvalidArgument,
                   "ts_engine_create: threads must be in 0..%u; got %u. 0 takes one per CPU.", TS_MAX_THREADS,
                   p.threads);
    auto made = std::make_unique<ts_engine>();
    TS_RETURN_IF_ERROR(ts::open_backend({p.device, static_cast<int>(p.threads), p.isa}, made->backend, &made->why_cpu));
    *engine = made.release();
    return {};
  });
}

void ts_engine_destroy(ts_engine* engine) { delete engine; }

ts_status ts_engine_get_info(const ts_engine* engine, ts_engine_info* info) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_engine_get_info", "engine");
    TS_RETURN_IF_ERROR(made_here("ts_engine_get_info", *engine->backend));
    const ts::BackendInfo backend = engine->backend->info();
    ts_engine_info value{};
    value.threads = static_cast<uint32_t>(backend.threads);
    value.device = backend.device, value.isa = backend.isa;
    value.scratch_bytes = backend.scratch_bytes;
    value.device_name = backend.name ? backend.name : "";
    value.note = backend.note ? backend.note : engine->why_cpu.c_str();
    return write_struct("ts_engine_get_info", info, value);
  });
}

ts_status ts_engine_measure_peak(ts_engine* engine, double* fp32_gflops, double* bf16_gflops) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_engine_measure_peak", "engine");
    if (!fp32_gflops) return null_argument("ts_engine_measure_peak", "fp32_gflops");
    if (!bf16_gflops) return null_argument("ts_engine_measure_peak", "bf16_gflops");
    TS_RETURN_IF_ERROR(made_here("ts_engine_measure_peak", *engine->backend));
    const ts::Peak peak = engine->backend->measure_peak();
    *fp32_gflops = peak.fp32, *bf16_gflops = peak.bf16;
    return {};
  });
}

/* ---- what this machine and this build have ---- */

ts_status ts_get_system_info(ts_system_info* info) {
  return guarded([&]() -> Status {
    found_system = ts::describe_system();
    ts_system_info value{};
    value.n_gpus = static_cast<uint32_t>(found_system.gpus.size());
    value.driver_version = static_cast<uint32_t>(found_system.driver_version);
    value.oldest_driver_version = static_cast<uint32_t>(found_system.least_version);
    value.kernels = found_system.kernels.c_str(), value.why_no_gpu = found_system.why_no_gpu.c_str();
    return write_struct("ts_get_system_info", info, value);
  });
}

ts_status ts_get_gpu_info(uint32_t i, ts_gpu_info* info) {
  return guarded([&]() -> Status {
    found_system = ts::describe_system();
    const size_t n = found_system.gpus.size();
    if (i >= n) {
      return error(StatusCode::kInvalidArgument,
                   "ts_get_gpu_info: i must be less than n_gpus=%zu of ts_get_system_info; got %u.", n, i);
    }
    const ts::GpuInfo& gpu = found_system.gpus[i];
    ts_gpu_info value{};
    value.capability = static_cast<uint32_t>(gpu.capability);
    value.device = gpu.device.c_str(), value.name = gpu.name.c_str();
    value.bytes = gpu.bytes, value.deform = gpu.deform.c_str(), value.encode = gpu.encode.c_str();
    return write_struct("ts_get_gpu_info", info, value);
  });
}

/* ---- rasterise ---- */

ts_status ts_rasterize(ts_engine* engine, const ts_rasterize_params* params, const ts_image* image,
                       ts_receipt* receipt) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_rasterize", "engine");
    if (!params) return null_argument("ts_rasterize", "params");
    if (!image) return null_argument("ts_rasterize", "image");
    ts_rasterize_params p;
    TS_RETURN_IF_ERROR(read_struct("ts_rasterize: params", params, ts_rasterize_params_default(), p));
    ts_image target;
    TS_RETURN_IF_ERROR(read_struct("ts_rasterize: image", image, ts_image{}, target));
    TS_RETURN_IF_ERROR(ts::capi::check_receipt("ts_rasterize: receipt", receipt));
    ts::RasterizeArgs args;
    args.gaussians = {p.n, p.mean_w, p.quat, p.scale, p.opacity, p.color, p.sh_degree, p.sh_stride};
    args.camera = ts::capi::to_camera(p.camera);
    args.dilation = p.dilation;
    TS_RETURN_IF_ERROR(ts::capi::to_background("ts_rasterize", p.background, args.background));
    TS_RETURN_IF_ERROR(ts::capi::to_precision(p.precision, args.precision));
    TS_RETURN_IF_ERROR(ts::capi::to_image(target, args.image));
    TS_RETURN_IF_ERROR(made_here("ts_rasterize", *engine->backend));
    ts::Receipt result;
    TS_RETURN_IF_ERROR(engine->backend->rasterize(args, result));
    return ts::capi::write_receipt("ts_rasterize: receipt", receipt, result);
  });
}

}  // extern "C"
