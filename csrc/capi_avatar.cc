// SPDX-License-Identifier: Apache-2.0
// The C ABI of avatars: what is in them, and a face as their controls.
#include <algorithm>
#include <cmath>
#include <string>

#include "capi_handles.h"
#include "capi_support.h"
#include "capi_translate.h"
#include "core/scan.h"

namespace {

using ts::error;
using ts::Status;
using ts::StatusCode;
using ts::capi::from;
using ts::capi::guarded;
using ts::capi::null_argument;
using ts::capi::read_struct;
using ts::capi::write_struct;

static_assert(static_cast<int>(ts::Dtype::kF32) == TS_F32 && static_cast<int>(ts::Dtype::kI32) == TS_I32);

ts_input_info info_of(const ts_avatar& avatar, size_t index) {
  const ts::AvatarInput& input = avatar.model->file().inputs[index];
  const std::vector<const char*>& names = avatar.element_names[index];
  ts_input_info value{};
  value.name = input.name.c_str();
  value.size = static_cast<uint32_t>(input.size);
  value.offset = static_cast<uint32_t>(avatar.model->layout().offset(index));
  value.default_value = input.default_value.data();
  value.element_names = names.empty() ? nullptr : names.data();
  return value;
}

// What is not given may be anything.
Status check_face(const ts_face& face, const bool* given) {
  const auto not_finite = [](const char* array, int64_t row, int64_t column, float value) {
    return error(StatusCode::kInvalidArgument, "ts_avatar_retarget: %s must be finite; number %lld of row %lld is %g.",
                 array, static_cast<long long>(column), static_cast<long long>(row), static_cast<double>(value));
  };
  for (int64_t row = 0; face.weight && row < face.n; ++row) {
    for (int i = 0; i < TS_N_WEIGHTS; ++i) {
      const float weight = face.weight[TS_N_WEIGHTS * row + i];
      if (given[i] && !std::isfinite(weight)) return not_finite("weight", row, i, weight);
    }
  }
  const int64_t at = face.head_pose ? ts::find_non_finite(face.head_pose, 3 * face.n) : -1;
  return at < 0 ? Status() : not_finite("head_pose", at / 3, at % 3, face.head_pose[at]);
}

}  // namespace

extern "C" {

ts_status ts_avatar_load(ts_engine* engine, const char* path, ts_avatar** avatar) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_avatar_load", "engine");
    if (!path) return null_argument("ts_avatar_load", "path");
    if (!avatar) return null_argument("ts_avatar_load", "avatar");
    *avatar = nullptr;
    TS_RETURN_IF_ERROR(ts::capi::made_here("ts_avatar_load", *engine->backend));
    std::unique_ptr<ts_avatar> loaded(new ts_avatar{});
    TS_RETURN_IF_ERROR(ts::Model::load(path, engine->backend, loaded->model));
    for (const ts::AvatarInput& input : loaded->model->file().inputs) {
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
    const ts::Model& model = *avatar->model;
    const ts::AvatarFile& file = model.file();
    ts_avatar_info value{};
    value.manifest = file.manifest.c_str();
    value.n_gaussians = static_cast<uint32_t>(file.gaussians.n);
    value.n_source = static_cast<uint32_t>(file.source_count);
    value.n_vertices = static_cast<uint32_t>(file.v), value.n_triangles = static_cast<uint32_t>(file.f);
    value.n_joints = static_cast<uint32_t>(file.j), value.n_blendshapes = static_cast<uint32_t>(file.s);
    value.n_inputs = static_cast<uint32_t>(file.inputs.size());
    value.n_control = static_cast<uint32_t>(model.layout().size());
    value.speaks = model.speaks();
    value.sh_degree = file.gaussians.sh_degree;
    value.width = static_cast<uint32_t>(file.width), value.height = static_cast<uint32_t>(file.height);
    value.fps = file.fps;
    value.file_bytes = file.file_bytes;
    value.resident_bytes = model.resident_bytes();
    value.name = file.name.c_str();
    value.camera = ts::capi::to_c(file.camera);
    value.look_ahead_s = model.windows().look_ahead_s();
    value.has_face = model.retarget().has_face();
    return write_struct("ts_avatar_get_info", info, value);
  });
}

ts_status ts_avatar_get_input(const ts_avatar* avatar, uint32_t index, ts_input_info* info) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_get_input", "avatar");
    const size_t n_inputs = avatar->model->file().inputs.size();
    if (index >= n_inputs)
      return error(StatusCode::kInvalidArgument, "ts_avatar_get_input: index must be below %zu; got %u.", n_inputs,
                   index);
    return write_struct("ts_avatar_get_input", info, info_of(*avatar, index));
  });
}

ts_status ts_avatar_find_input(const ts_avatar* avatar, const char* name, ts_input_info* info) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_find_input", "avatar");
    if (!name) return null_argument("ts_avatar_find_input", "name");
    size_t index = 0;
    TS_RETURN_IF_ERROR(from("ts_avatar_find_input", avatar->model->layout().find(name, index)));
    return write_struct("ts_avatar_find_input", info, info_of(*avatar, index));
  });
}

uint32_t ts_avatar_tensor_count(const ts_avatar* avatar) {
  return avatar ? static_cast<uint32_t>(avatar->model->file().tensors.size()) : 0;
}

ts_status ts_avatar_get_tensor(const ts_avatar* avatar, uint32_t index, ts_tensor* tensor) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_get_tensor", "avatar");
    const auto& tensors = avatar->model->file().tensors;
    if (index >= tensors.size())
      return error(StatusCode::kInvalidArgument, "ts_avatar_get_tensor: index must be below %zu; got %u.",
                   tensors.size(), index);
    const ts::SafetensorsTensor& found = tensors[index];
    ts_tensor value{};
    value.name = found.name.c_str();
    value.dtype = static_cast<ts_dtype>(found.dtype);
    value.ndim = static_cast<uint32_t>(found.ndim);
    std::copy(found.shape, found.shape + 4, value.shape);
    value.data = found.data;
    return write_struct("ts_avatar_get_tensor", tensor, value);
  });
}

ts_status ts_avatar_retarget(const ts_avatar* avatar, const ts_face* face, float* control,
                             const ts_retargeted* report) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_avatar_retarget", "avatar");
    if (!face) return null_argument("ts_avatar_retarget", "face");
    ts_face f;
    TS_RETURN_IF_ERROR(read_struct("ts_avatar_retarget: face", face, ts_face{}, f));
    ts_retargeted out;
    TS_RETURN_IF_ERROR(read_struct("ts_avatar_retarget: report", report, ts_retargeted{}, out));
    if (f.n < 0)
      return error(StatusCode::kInvalidArgument, "ts_avatar_retarget: n must be 0 or more; got %lld.",
                   static_cast<long long>(f.n));
    const ts::Retarget& retarget = avatar->model->retarget();
    if (f.n > 0 && avatar->model->layout().size() > 0 && !control)
      return null_argument("ts_avatar_retarget", "control");
    bool given[TS_N_WEIGHTS];
    for (int i = 0; i < TS_N_WEIGHTS; ++i) given[i] = !f.given || f.given[i];
    TS_RETURN_IF_ERROR(check_face(f, given));
    ts::FaceRows rows;
    rows.n = f.n;
    rows.weight = f.weight, rows.given = given, rows.head_pose = f.head_pose;
    retarget.apply(rows, control);
    if (out.has_place) {
      for (int i = 0; i < TS_N_WEIGHTS; ++i) out.has_place[i] = retarget.has_place(i);
      out.has_place[TS_N_WEIGHTS] = retarget.head_has_place();
    }
    for (size_t i = 0; out.moved && i < avatar->model->file().inputs.size(); ++i)
      out.moved[i] = retarget.moves(i, rows);
    return {};
  });
}

}  // extern "C"
