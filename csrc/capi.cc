// The C ABI, but for the voice (capi_voice.cc): checks structs and pointers, keeps the calling thread's last message.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "capi_support.h"
#include "engine/avatar.h"
#include "engine/engine.h"
#include "engine/plate.h"
#include "talksplat.h"

struct ts_engine {
  ts::Engine engine;
};

struct ts_avatar {
  ts_engine* owner;
  std::unique_ptr<ts::Avatar> avatar;
  std::vector<std::vector<const char*>> element_names;  // of each input; empty where its elements have none
  ts::Plate plate;
};

namespace {

using ts::error;
using ts::Status;
using ts::StatusCode;
using ts::capi::check_size;
using ts::capi::guarded;
using ts::capi::null_argument;
using ts::capi::read_struct;
using ts::capi::write_struct;

thread_local std::string last_error;

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
    case StatusCode::kInternal:
      break;
  }
  return TS_INTERNAL;
}

Status to_background(const char* function, const ts_background& given, ts::Background& background) {
  if (given.color && given.image_f32)
    return error(StatusCode::kInvalidArgument, "%s: background has both color and image_f32; set at most one.",
                 function);
  background.color = given.color;
  background.image_f32 = given.image_f32;
  return {};
}

Status made_here(const char* function, const ts_engine& engine) {
  if (!engine.engine.forked()) return {};
  return error(StatusCode::kDeviceError,
               "%s: the engine was made before fork(), and a child process has none of its threads. Make an engine and "
               "load the avatar in the child.",
               function);
}

// Waits until no other frame is drawn, and keeps others waiting.
Status take_turn(const char* function, const ts_engine& engine, std::unique_lock<std::mutex>& turn) {
  TS_RETURN_IF_ERROR(made_here(function, engine));
  turn = std::unique_lock<std::mutex>(engine.engine.busy);
  return {};
}

Status draw(ts::Engine& engine, const ts::Scene& scene, const ts_camera& camera, const ts::Background& background,
            float dilation, const ts_precision& precision, const ts_image& image, ts_receipt& receipt) {
  const Status drawn = engine.rasterizer.draw(scene, camera, background, dilation, precision, image, receipt);
  engine.scratch_bytes = engine.rasterizer.scratch_bytes();
  return drawn;
}

// Before the work that it is to report.
Status check_receipt(const char* function, const ts_receipt* receipt) {
  return receipt ? check_size(function, *receipt) : Status();
}
Status write_receipt(const char* function, ts_receipt* out, const ts_receipt& receipt) {
  return out ? write_struct(function, out, receipt) : Status();
}

// The canvas camera for an image of another size: scaled to its height, middle on middle.
ts_camera fitted_camera(const ts::AvatarFile& file, uint32_t width, uint32_t height) {
  ts_camera camera = file.camera;
  const float scale = static_cast<float>(height) / static_cast<float>(file.height);
  camera.fx *= scale, camera.fy *= scale;
  camera.cx = 0.5f * static_cast<float>(width) + scale * (camera.cx - 0.5f * static_cast<float>(file.width));
  camera.cy *= scale;
  return camera;
}

}  // namespace

ts_status ts::capi::fail(StatusCode code, const char* message) {
  try {
    last_error = message;
  } catch (...) {  // no memory for the message: the status must do
    last_error.clear();
  }
  return to_c(code);
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
  }
  return "unknown status";
}

const char* ts_last_error(void) { return last_error.c_str(); }
uint32_t ts_isa_count(void) { return static_cast<uint32_t>(ts::isa_count()); }
const char* ts_isa_name(uint32_t i) { return i < ts_isa_count() ? ts::isa_name(static_cast<int>(i)) : nullptr; }

/* ---- engine ---- */

ts_status ts_engine_create(const ts_engine_params* params, ts_engine** engine) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_engine_create", "engine");
    *engine = nullptr;
    ts_engine_params p;
    TS_RETURN_IF_ERROR(read_struct("ts_engine_create", params, ts_engine_params_default(), p));
    constexpr uint32_t kMaxThreads = 256;
    if (p.threads > kMaxThreads)
      return error(StatusCode::kInvalidArgument,
                   "ts_engine_create: threads must be in 0..%u; got %u. 0 takes one per CPU.", kMaxThreads, p.threads);
    TS_RETURN_IF_ERROR(ts::validate(p.precision));
    const ts::KernelTable* kernels = nullptr;
    TS_RETURN_IF_ERROR(ts::find_kernels(p.isa, &kernels));
    *engine = new ts_engine{{*kernels, static_cast<int>(p.threads), p.precision}};
    return {};
  });
}

void ts_engine_destroy(ts_engine* engine) {
  if (engine && engine->engine.forked()) return;  // its threads cannot be joined; the memory goes with the process
  delete engine;
}

ts_status ts_engine_get_info(const ts_engine* engine, ts_engine_info* info) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_engine_get_info", "engine");
    TS_RETURN_IF_ERROR(made_here("ts_engine_get_info", *engine));
    ts_engine_info value{};
    value.threads = static_cast<uint32_t>(engine->engine.pool.threads());
    value.isa = engine->engine.kernels.isa;
    value.scratch_bytes = engine->engine.scratch_bytes;
    return write_struct("ts_engine_get_info", info, value);
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
    TS_RETURN_IF_ERROR(check_receipt("ts_rasterize: receipt", receipt));
    ts::Background background;
    TS_RETURN_IF_ERROR(to_background("ts_rasterize", p.background, background));
    ts::Scene scene;
    scene.n = p.n;
    scene.mean_w = p.mean_w, scene.quat = p.quat, scene.scale = p.scale;
    scene.opacity = p.opacity, scene.color = p.color;
    scene.sh_degree = p.sh_degree, scene.sh_stride = p.sh_stride;

    std::unique_lock<std::mutex> turn;
    TS_RETURN_IF_ERROR(take_turn("ts_rasterize", *engine, turn));
    ts::Stopwatch watch;
    ts_receipt result{};
    TS_RETURN_IF_ERROR(draw(engine->engine, scene, p.camera, background, p.dilation, p.precision, target, result));
    result.total_us = watch.lap();
    return write_receipt("ts_rasterize: receipt", receipt, result);
  });
}

/* ---- avatar ---- */

ts_status ts_avatar_load(ts_engine* engine, const char* path, ts_avatar** avatar) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_avatar_load", "engine");
    if (!path) return null_argument("ts_avatar_load", "path");
    if (!avatar) return null_argument("ts_avatar_load", "avatar");
    *avatar = nullptr;
    TS_RETURN_IF_ERROR(made_here("ts_avatar_load", *engine));
    std::unique_ptr<ts_avatar> loaded(new ts_avatar{engine, nullptr, {}, {}});
    TS_RETURN_IF_ERROR(ts::Avatar::load(path, loaded->avatar));
    for (const ts::AvatarInput& input : loaded->avatar->file().inputs) {
      std::vector<const char*>& names = loaded->element_names.emplace_back();
      for (const std::string& name : input.names) names.push_back(name.c_str());
    }
    *avatar = loaded.release();
    return {};
  });
}

void ts_avatar_destroy(ts_avatar* avatar) { delete avatar; }

ts_status ts_avatar_get_info(const ts_avatar* avatar, ts_avatar_info* info) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_get_info", "avatar");
    const ts::AvatarFile& file = avatar->avatar->file();
    ts_avatar_info value{};
    value.manifest = file.manifest.c_str();
    value.n_gaussians = static_cast<uint32_t>(file.n), value.n_source = static_cast<uint32_t>(file.source_count);
    value.n_vertices = static_cast<uint32_t>(file.v), value.n_triangles = static_cast<uint32_t>(file.f);
    value.n_joints = static_cast<uint32_t>(file.j), value.n_blendshapes = static_cast<uint32_t>(file.s);
    value.n_inputs = static_cast<uint32_t>(file.inputs.size());
    value.sh_degree = file.sh_degree;
    value.width = static_cast<uint32_t>(file.width), value.height = static_cast<uint32_t>(file.height);
    value.fps = file.fps;
    value.file_bytes = file.file_bytes;
    value.resident_bytes = avatar->avatar->resident_bytes();
    value.name = file.name.c_str();
    value.camera = file.camera;
    return write_struct("ts_avatar_get_info", info, value);
  });
}

ts_status ts_avatar_get_input(const ts_avatar* avatar, uint32_t index, ts_input_info* info) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_get_input", "avatar");
    const auto& inputs = avatar->avatar->file().inputs;
    if (index >= inputs.size())
      return error(StatusCode::kInvalidArgument, "ts_avatar_get_input: index must be below %zu; got %u.", inputs.size(),
                   index);
    ts_input_info value{};
    value.name = inputs[index].name.c_str();
    value.size = static_cast<uint32_t>(inputs[index].size);
    value.default_value = inputs[index].default_value.data();
    const std::vector<const char*>& names = avatar->element_names[index];
    value.element_names = names.empty() ? nullptr : names.data();
    return write_struct("ts_avatar_get_input", info, value);
  });
}

uint32_t ts_avatar_tensor_count(const ts_avatar* avatar) {
  return avatar ? static_cast<uint32_t>(avatar->avatar->file().tensors.size()) : 0;
}

ts_status ts_avatar_get_tensor(const ts_avatar* avatar, uint32_t index, ts_tensor* tensor) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_get_tensor", "avatar");
    const auto& tensors = avatar->avatar->file().tensors;
    if (index >= tensors.size())
      return error(StatusCode::kInvalidArgument, "ts_avatar_get_tensor: index must be below %zu; got %u.",
                   tensors.size(), index);
    return write_struct("ts_avatar_get_tensor", tensor, tensors[index]);
  });
}

ts_status ts_avatar_render(ts_avatar* avatar, const ts_render_params* params, const ts_image* image,
                           ts_receipt* receipt) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_render", "avatar");
    if (!image) return null_argument("ts_avatar_render", "image");
    ts_render_params p;
    TS_RETURN_IF_ERROR(read_struct("ts_avatar_render: params", params, ts_render_params_default(), p));
    ts_image target;
    TS_RETURN_IF_ERROR(read_struct("ts_avatar_render: image", image, ts_image{}, target));
    TS_RETURN_IF_ERROR(check_receipt("ts_avatar_render: receipt", receipt));
    TS_RETURN_IF_ERROR(ts::validate(target));
    ts::Avatar& a = *avatar->avatar;
    const ts::AvatarFile& file = a.file();
    ts::Background background;
    if (p.background)
      TS_RETURN_IF_ERROR(to_background("ts_avatar_render", *p.background, background));
    else if (!file.plate && file.has_background_color)
      background.color = file.background_color.data();
    const ts_camera camera = p.camera ? *p.camera : fitted_camera(file, target.width, target.height);
    constexpr float kDilation = 0.3f;  // px^2; what every supported trainer used

    ts::Engine& engine = avatar->owner->engine;
    std::unique_lock<std::mutex> turn;
    TS_RETURN_IF_ERROR(take_turn("ts_avatar_render", *avatar->owner, turn));
    ts::Stopwatch watch;
    if (!p.background && file.plate)
      background.image_u8 = avatar->plate.at(file, static_cast<int>(target.width), static_cast<int>(target.height));
    ts_receipt result{};
    ts::AvatarTimes times;
    TS_RETURN_IF_ERROR(a.pose(p.controls, p.n_controls, engine.kernels, engine.pool, &times));
    result.pose_us = times.pose_us, result.deform_us = times.deform_us;
    ts::Scene scene;
    scene.n = file.n;
    scene.mean_w = a.mean_w(), scene.quat = a.quat(), scene.scale = a.scale();
    scene.opacity = file.opacity, scene.color = file.color;
    scene.sh_degree = file.sh_degree;
    scene.sh_stride = (file.sh_degree + 1) * (file.sh_degree + 1);
    TS_RETURN_IF_ERROR(draw(engine, scene, camera, background, kDilation, engine.precision, target, result));
    result.total_us = watch.lap();
    return write_receipt("ts_avatar_render: receipt", receipt, result);
  });
}

ts_status ts_avatar_gaussians(ts_avatar* avatar, const ts_control* controls, uint32_t n_controls, ts_gaussians* out) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_gaussians", "avatar");
    if (!out) return null_argument("ts_avatar_gaussians", "out");
    ts_gaussians target;
    TS_RETURN_IF_ERROR(read_struct("ts_avatar_gaussians", out, ts_gaussians{}, target));
    TS_RETURN_IF_ERROR(avatar->avatar->check_gaussians(target));
    ts::Engine& engine = avatar->owner->engine;
    std::unique_lock<std::mutex> turn;
    TS_RETURN_IF_ERROR(take_turn("ts_avatar_gaussians", *avatar->owner, turn));
    TS_RETURN_IF_ERROR(avatar->avatar->pose(controls, n_controls, engine.kernels, engine.pool));
    return avatar->avatar->gaussians_in_source_order(target);
  });
}

ts_status ts_avatar_vertices(ts_avatar* avatar, const ts_control* controls, uint32_t n_controls, float* vertices,
                             int64_t n_vertices) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_vertices", "avatar");
    TS_RETURN_IF_ERROR(avatar->avatar->check_vertices(vertices, n_vertices));
    ts::Engine& engine = avatar->owner->engine;
    std::unique_lock<std::mutex> turn;
    TS_RETURN_IF_ERROR(take_turn("ts_avatar_vertices", *avatar->owner, turn));
    TS_RETURN_IF_ERROR(avatar->avatar->pose(controls, n_controls, engine.kernels, engine.pool));
    avatar->avatar->vertices(vertices);
    return {};
  });
}

}  // extern "C"
