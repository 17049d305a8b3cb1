// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bind.h"

namespace ts::bind {

namespace {

py::dict info_dict(const Avatar& avatar) {
  const ts_avatar_info info = avatar.info();
  py::dict result;
  result["n_gaussians"] = info.n_gaussians;
  result["n_source"] = info.n_source;
  result["n_vertices"] = info.n_vertices;
  result["n_triangles"] = info.n_triangles;
  result["n_control"] = info.n_control;
  result["speaks"] = info.speaks != 0;
  result["has_face"] = info.has_face != 0;
  result["look_ahead_s"] = info.look_ahead_s;
  result["n_joints"] = info.n_joints;
  result["n_blendshapes"] = info.n_blendshapes;
  result["sh_degree"] = info.sh_degree;
  result["width"] = info.width;
  result["height"] = info.height;
  result["fps"] = info.fps;
  result["file_bytes"] = info.file_bytes;
  result["resident_bytes"] = info.resident_bytes;
  return result;
}

// A read-only view that keeps the avatar (`owner`) alive.
py::array view_of(const py::object& owner, py::dtype dtype, std::vector<py::ssize_t> shape, const void* data) {
  py::array view(std::move(dtype), std::move(shape), data, owner);
  view.attr("setflags")(py::arg("write") = false);
  return view;
}

py::list inputs(const py::object& self) {
  py::list result;
  for (const ts_input_info& input : py::cast<const Avatar&>(self).inputs())
    result.append(py::make_tuple(
        input.name, input.offset,
        view_of(self, py::dtype::of<float>(), {static_cast<py::ssize_t>(input.size)}, input.default_value)));
  return result;
}

py::dtype numpy_dtype(ts_dtype dtype) {
  switch (dtype) {
    case TS_U8:
      return py::dtype::of<uint8_t>();
    case TS_U16:
      return py::dtype::of<uint16_t>();
    case TS_U32:
      return py::dtype::of<uint32_t>();
    case TS_I32:
      return py::dtype::of<int32_t>();
    default:
      return py::dtype::of<float>();
  }
}

py::dict tensors(const py::object& self) {
  const auto& avatar = py::cast<const Avatar&>(self);
  py::dict result;
  const uint32_t count = ts_avatar_tensor_count(avatar.get());
  for (uint32_t i = 0; i < count; ++i) {
    ts_tensor tensor{};
    tensor.struct_size = sizeof(tensor);
    check(ts_avatar_get_tensor(avatar.get(), i, &tensor));
    std::vector<py::ssize_t> shape(tensor.shape, tensor.shape + tensor.ndim);
    result[tensor.name] = view_of(self, numpy_dtype(tensor.dtype), std::move(shape), tensor.data);
  }
  return result;
}

// control [n,n_control], what has a place [53] and which inputs are moved [n_inputs].
py::tuple retarget(const Avatar& avatar, const OptionalFloats& weight, const std::vector<bool>& given,
                   const OptionalFloats& head_pose) {
  const ts_avatar_info info = avatar.info();
  py::ssize_t n = 0;
  if (weight) n = weight->ndim() ? weight->shape(0) : 0;
  if (!weight && head_pose) n = head_pose->ndim() ? head_pose->shape(0) : 0;
  if (given.size() != TS_N_WEIGHTS) throw py::value_error("given must have 52 entries.");
  uint8_t flags[TS_N_WEIGHTS];
  std::copy(given.begin(), given.end(), flags);
  ts_face face{};
  face.struct_size = sizeof(face);
  face.n = n;
  face.weight = weight ? read_floats(*weight, "weight", {n, TS_N_WEIGHTS}) : nullptr;
  face.given = flags;
  face.head_pose = head_pose ? read_floats(*head_pose, "head_pose", {n, 3}) : nullptr;
  py::array_t<float> control({n, static_cast<py::ssize_t>(info.n_control)});
  py::array_t<bool> has_place(TS_N_WEIGHTS + 1), moved(static_cast<py::ssize_t>(info.n_inputs));
  ts_retargeted report{};
  report.struct_size = sizeof(report);
  static_assert(sizeof(bool) == sizeof(uint8_t));
  report.has_place = reinterpret_cast<uint8_t*>(has_place.mutable_data());
  report.moved = reinterpret_cast<uint8_t*>(moved.mutable_data());
  float* out = control.mutable_data();
  ts_avatar* handle = avatar.get();
  check_released([&] { return ts_avatar_retarget(handle, &face, out, &report); });
  return py::make_tuple(control, has_place, moved);
}

}  // namespace

Avatar::Avatar(std::shared_ptr<Engine> engine, const std::string& path) : engine_(std::move(engine)) {
  if (path.find('\0') != std::string::npos) throw py::value_error("load: path must have no NUL character.");
  ts_engine* handle = engine_->get();
  check_released([&] { return ts_avatar_load(handle, path.c_str(), &avatar_); });
}

Avatar::~Avatar() { ts_avatar_destroy(avatar_); }

ts_avatar_info Avatar::info() const {
  ts_avatar_info info{};
  info.struct_size = sizeof(info);
  check(ts_avatar_get_info(avatar_, &info));
  return info;
}

std::vector<ts_input_info> Avatar::inputs() const {
  std::vector<ts_input_info> result(info().n_inputs);
  for (uint32_t i = 0; i < result.size(); ++i) {
    result[i].struct_size = sizeof(ts_input_info);
    check(ts_avatar_get_input(avatar_, i, &result[i]));
  }
  return result;
}

void register_avatar(py::module_& m) {
  py::class_<Avatar, std::shared_ptr<Avatar>>(m, "Avatar")
      .def(py::init<std::shared_ptr<Engine>, const std::string&>(), py::arg("engine"), py::arg("path"))
      .def_property_readonly("manifest", [](const Avatar& avatar) { return std::string(avatar.info().manifest); })
      .def_property_readonly("info", &info_dict)
      .def("inputs", &inputs)
      .def("tensors", &tensors)
      .def("retarget", &retarget, py::arg("weight").noconvert().none(true), py::arg("given"),
           py::arg("head_pose").noconvert().none(true));
}

}  // namespace ts::bind
