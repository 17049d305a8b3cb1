// SPDX-License-Identifier: Apache-2.0
#include <mutex>

#include "bind.h"
#include "device_array.h"

namespace ts::bind {

namespace {

class Frame {
 public:
  Frame(std::shared_ptr<Avatar> avatar, uint32_t width, uint32_t height, ts_format format, ts_precision precision)
      : avatar_(std::move(avatar)), info_(avatar_->info()), format_(format), width_(width), height_(height) {
    ts_frame_params params = ts_frame_params_default();
    params.width = width;
    params.height = height;
    params.format = format;
    params.precision = precision;
    const ts_avatar* handle = avatar_->get();
    check_released([&] { return ts_frame_create(handle, &params, &frame_); });
  }
  // It waits for a picture that is drawn to stay on a GPU, and so for what somebody's stream does before that.
  ~Frame() {
    without_gil_if_held([&] { ts_frame_destroy(frame_); });
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  ts_receipt render(const OptionalFloats& control, const std::optional<ts_camera>& camera, bool own_background,
                    const OptionalFloats& background, py::array pixels) {
    const ts_background behind = background_over(background, width_, height_);
    OptionalFloats none;
    const ts_image image = image_over(pixels, format_, width_, height_, none, none);
    ts_render_params params = ts_render_params_default();
    params.control = floats_of(control);
    params.camera = camera ? &*camera : nullptr;
    params.background = own_background ? nullptr : &behind;
    ts_receipt receipt{};
    receipt.struct_size = sizeof(receipt);
    call([&] { return ts_frame_render(frame_, &params, &image, &receipt); });
    return receipt;
  }

  // address, stride_bytes: of the image, in the GPU's memory. made: the array that it is of, unless it is the caller's.
  ts_receipt render_on_device(const OptionalFloats& control, const std::optional<ts_camera>& camera,
                              bool own_background, const OptionalFloats& background, uintptr_t address,
                              int64_t stride_bytes, uintptr_t stream, const std::optional<DeviceArray*>& made,
                              py::object owner) {
    const ts_background behind = background_over(background, width_, height_);
    ts_image image{};
    image.struct_size = sizeof image;
    image.format = format_;
    image.width = width_, image.height = height_;
    image.stride_bytes = stride_bytes;
    image.data = reinterpret_cast<void*>(address);
    const ts_delivery delivery = delivery_to(stream, made ? &(*made)->memory() : nullptr);
    ts_render_params params = ts_render_params_default();
    params.control = floats_of(control);
    params.camera = camera ? &*camera : nullptr;
    params.background = own_background ? nullptr : &behind;
    params.on_device = &delivery;
    ts_receipt receipt{};
    receipt.struct_size = sizeof(receipt);
    // What was drawn into it before comes first, by whatever frame and stream.
    if (made) check_released([&] { return ts_memory_hold_back((*made)->memory().get(), delivery.stream); });
    call([&] { return ts_frame_render(frame_, &params, &image, &receipt); });
    if (made) (*made)->delivered(delivery.stream, std::move(owner));
    return receipt;
  }

  // Arrays of one memory.
  void gaussians_on_device(const OptionalFloats& control, DeviceArray& mean, DeviceArray& quat, DeviceArray& scale,
                           DeviceArray& opacity, DeviceArray& color, uintptr_t stream, const py::object& owner) {
    const ts_delivery delivery = delivery_to(stream, &mean.memory());
    ts_gaussians out{};
    out.struct_size = sizeof(out);
    out.n = info_.n_gaussians;
    out.on_device = &delivery;
    float** const into[] = {&out.mean_w, &out.quat, &out.scale, &out.opacity, &out.color};
    DeviceArray* const arrays[] = {&mean, &quat, &scale, &opacity, &color};
    for (size_t i = 0; i < 5; ++i) *into[i] = static_cast<float*>(arrays[i]->address());
    const float* data = floats_of(control);
    call([&] { return ts_frame_gaussians(frame_, data, &out); });
    for (DeviceArray* array : arrays) array->delivered(delivery.stream, owner);
  }

  void gaussians(const OptionalFloats& control, FloatArray mean, FloatArray quat, FloatArray scale, FloatArray opacity,
                 FloatArray color) {
    const py::ssize_t n = info_.n_source;
    ts_gaussians out{};
    out.struct_size = sizeof(out);
    out.n = n;
    out.mean_w = write_floats(mean, "mean", {n, 3});
    out.quat = write_floats(quat, "quat", {n, 4});
    out.scale = write_floats(scale, "scale", {n, 3});
    out.opacity = write_floats(opacity, "opacity", {n});
    if (info_.sh_degree < 0) {
      out.color = write_floats(color, "color", {n, 3});
    } else {
      const py::ssize_t bands = info_.sh_degree + 1;
      out.color = write_floats(color, "color", {n, bands * bands, 3});
    }
    const float* data = floats_of(control);
    call([&] { return ts_frame_gaussians(frame_, data, &out); });
  }

  void vertices(const OptionalFloats& control, FloatArray out) {
    const int64_t n = info_.n_vertices;
    float* vertices = write_floats(out, "out", {static_cast<py::ssize_t>(n), 3});
    const float* data = floats_of(control);
    call([&] { return ts_frame_vertices(frame_, data, vertices, n); });
  }

 private:
  static ts_delivery delivery_to(uintptr_t stream, const DeviceMemory* memory) {
    return {sizeof(ts_delivery), reinterpret_cast<void*>(stream), memory ? memory->info().event : nullptr};
  }

  const float* floats_of(const OptionalFloats& control) const {
    return control ? read_floats(*control, "control", {static_cast<py::ssize_t>(info_.n_control)}) : nullptr;
  }

  // A frame is for one thread at a time; without the GIL, Python's threads are kept apart here.
  template <class Call>
  void call(Call&& body) {
    avatar_->engine().info();  // a child of fork() must not wait for a lock whose thread it has not
    check_released([&] {
      const std::lock_guard<std::mutex> lock(busy_);
      return body();
    });
  }

  std::shared_ptr<Avatar> avatar_;
  ts_avatar_info info_;  // its counts; the pointers in it are not used
  ts_format format_;
  uint32_t width_, height_;
  ts_frame* frame_ = nullptr;
  std::mutex busy_;
};

}  // namespace

void register_frame(py::module_& m) {
  py::class_<Frame>(m, "Frame")
      .def(py::init<std::shared_ptr<Avatar>, uint32_t, uint32_t, ts_format, ts_precision>(), py::arg("avatar"),
           py::arg("width"), py::arg("height"), py::arg("format"), py::arg("precision"))
      .def("render", &Frame::render, py::arg("control").noconvert().none(true), py::arg("camera").none(true),
           py::arg("own_background"), py::arg("background").noconvert().none(true), py::arg("image").noconvert())
      .def("render_on_device", &Frame::render_on_device, py::arg("control").noconvert().none(true),
           py::arg("camera").none(true), py::arg("own_background"), py::arg("background").noconvert().none(true),
           py::arg("address"), py::arg("stride_bytes"), py::arg("stream"), py::arg("made").none(true), py::arg("owner"))
      .def("gaussians_on_device", &Frame::gaussians_on_device, py::arg("control").noconvert().none(true),
           py::arg("mean"), py::arg("quat"), py::arg("scale"), py::arg("opacity"), py::arg("color"), py::arg("stream"),
           py::arg("owner"))
      .def("gaussians", &Frame::gaussians, py::arg("control").noconvert().none(true), py::arg("mean").noconvert(),
           py::arg("quat").noconvert(), py::arg("scale").noconvert(), py::arg("opacity").noconvert(),
           py::arg("color").noconvert())
      .def("vertices", &Frame::vertices, py::arg("control").noconvert().none(true), py::arg("out").noconvert());
}

}  // namespace ts::bind
