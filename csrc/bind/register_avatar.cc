#include "bind.h"

namespace ts::bind {

namespace {

// A frame's controls with all that their pointers need: once the GIL is released, another thread may empty the dict.
class Controls {
 public:
  explicit Controls(const py::dict& inputs) {
    names_.reserve(inputs.size());
    values_.reserve(inputs.size());
    controls_.reserve(inputs.size());
    for (const auto& [key, value] : inputs) {
      names_.push_back(py::cast<std::string>(key));
      if (!py::isinstance<FloatArray>(value)) {
        throw py::value_error("control " + names_.back() + " must be a C-contiguous float32 array.");
      }
      const auto array = py::reinterpret_borrow<FloatArray>(value);
      values_.push_back(array);
      const float* data = read_floats(array, names_.back().c_str(), {-1});
      controls_.push_back({names_.back().c_str(), data, static_cast<uint32_t>(array.size())});
    }
  }
  const ts_control* data() const { return controls_.data(); }
  uint32_t size() const { return static_cast<uint32_t>(controls_.size()); }

 private:
  std::vector<std::string> names_;  // reserved up front: ts_control points into it
  std::vector<py::object> values_;
  std::vector<ts_control> controls_;
};

py::dict info_dict(const Avatar& avatar) {
  const ts_avatar_info info = avatar.info();
  py::dict result;
  result["n_gaussians"] = info.n_gaussians;
  result["n_source"] = info.n_source;
  result["n_vertices"] = info.n_vertices;
  result["n_triangles"] = info.n_triangles;
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
  const auto& avatar = py::cast<const Avatar&>(self);
  py::list result;
  const uint32_t count = avatar.info().n_inputs;
  for (uint32_t i = 0; i < count; ++i) {
    ts_input_info input{};
    input.struct_size = sizeof(input);
    check(ts_avatar_get_input(avatar.get(), i, &input));
    result.append(py::make_tuple(input.name, view_of(self, py::dtype::of<float>(),
                                                     {static_cast<py::ssize_t>(input.size)}, input.default_value)));
  }
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

ts_receipt render(const Avatar& avatar, const py::dict& control, const std::optional<ts_camera>& camera,
                  bool own_background, const OptionalFloats& background, ts_format format, uint32_t width,
                  uint32_t height, py::array pixels) {
  const Controls controls(control);
  const ts_background behind = background_over(background, width, height);
  OptionalFloats none;
  const ts_image image = image_over(pixels, format, width, height, none, none);
  ts_render_params params = ts_render_params_default();
  params.controls = controls.data();
  params.n_controls = controls.size();
  params.camera = camera ? &*camera : nullptr;
  params.background = own_background ? nullptr : &behind;
  ts_receipt receipt{};
  receipt.struct_size = sizeof(receipt);
  ts_avatar* handle = avatar.get();
  check_released([&] { return ts_avatar_render(handle, &params, &image, &receipt); });
  return receipt;
}

void gaussians(const Avatar& avatar, const py::dict& control, FloatArray mean, FloatArray quat, FloatArray scale,
               FloatArray opacity, FloatArray color) {
  const Controls controls(control);
  const ts_avatar_info info = avatar.info();
  const py::ssize_t n = info.n_source;
  ts_gaussians out{};
  out.struct_size = sizeof(out);
  out.n = n;
  out.mean_w = write_floats(mean, "mean", {n, 3});
  out.quat = write_floats(quat, "quat", {n, 4});
  out.scale = write_floats(scale, "scale", {n, 3});
  out.opacity = write_floats(opacity, "opacity", {n});
  if (info.sh_degree < 0) {
    out.color = write_floats(color, "color", {n, 3});
  } else {
    const py::ssize_t bands = info.sh_degree + 1;
    out.color = write_floats(color, "color", {n, bands * bands, 3});
  }
  ts_avatar* handle = avatar.get();
  check_released([&] { return ts_avatar_gaussians(handle, controls.data(), controls.size(), &out); });
}

void vertices(const Avatar& avatar, const py::dict& control, FloatArray out) {
  const Controls controls(control);
  const int64_t n = avatar.info().n_vertices;
  float* data = write_floats(out, "out", {n, 3});
  ts_avatar* handle = avatar.get();
  check_released([&] { return ts_avatar_vertices(handle, controls.data(), controls.size(), data, n); });
}

}  // namespace

Avatar::Avatar(std::shared_ptr<Engine> engine, const std::string& path) : engine_(std::move(engine)) {
  if (path.find('\0') != std::string::npos) throw py::value_error("load: path must have no NUL character.");
  ts_engine* handle = engine_->get();
  check_released([&] { return ts_avatar_load(handle, path.c_str(), &avatar_); });
}

Avatar::~Avatar() {
  if (avatar_ && !engine_->forked()) ts_avatar_destroy(avatar_);
}

ts_avatar* Avatar::get() const {
  engine_->get();  // refuses a forked child
  return avatar_;
}

ts_avatar_info Avatar::info() const {
  ts_avatar_info info{};
  info.struct_size = sizeof(info);
  check(ts_avatar_get_info(get(), &info));
  return info;
}

void register_avatar(py::module_& m) {
  py::class_<Avatar>(m, "Avatar")
      .def(py::init<std::shared_ptr<Engine>, const std::string&>(), py::arg("engine"), py::arg("path"))
      .def_property_readonly("manifest", [](const Avatar& avatar) { return std::string(avatar.info().manifest); })
      .def_property_readonly("info", &info_dict)
      .def("inputs", &inputs)
      .def("tensors", &tensors)
      .def("render", &render, py::arg("control"), py::arg("camera").none(true), py::arg("own_background"),
           py::arg("background").noconvert().none(true), py::arg("format"), py::arg("width"), py::arg("height"),
           py::arg("image").noconvert())
      .def("gaussians", &gaussians, py::arg("control"), py::arg("mean").noconvert(), py::arg("quat").noconvert(),
           py::arg("scale").noconvert(), py::arg("opacity").noconvert(), py::arg("color").noconvert())
      .def("vertices", &vertices, py::arg("control"), py::arg("out").noconvert());
}

}  // namespace ts::bind
