// SPDX-License-Identifier: Apache-2.0
#include "bind.h"

namespace ts::bind {

namespace {

ts_receipt rasterize(const Engine& engine, const FloatArray& mean, const FloatArray& quat, const FloatArray& scale,
                     const FloatArray& opacity, const FloatArray& color, int32_t sh_degree, const ts_camera& camera,
                     const OptionalFloats& background, float dilation, ts_precision precision, ts_format format,
                     uint32_t width, uint32_t height, py::array pixels, OptionalFloats alpha, OptionalFloats depth) {
  const py::ssize_t n = mean.ndim() ? mean.shape(0) : 0;
  ts_rasterize_params params = ts_rasterize_params_default();
  params.n = n;
  params.mean_w = read_floats(mean, "mean", {n, 3});
  params.quat = read_floats(quat, "quat", {n, 4});
  params.scale = read_floats(scale, "scale", {n, 3});
  params.opacity = read_floats(opacity, "opacity", {n});
  params.sh_degree = sh_degree;
  if (sh_degree < 0) {
    params.color = read_floats(color, "color", {n, 3});
  } else {
    params.color = read_floats(color, "color", {n, -1, 3});
    params.sh_stride = static_cast<int32_t>(color.shape(1));
  }
  params.camera = camera;
  params.background = background_over(background, width, height);
  params.dilation = dilation;
  params.precision = precision;
  const ts_image image = image_over(pixels, format, width, height, alpha, depth);
  ts_receipt receipt{};
  receipt.struct_size = sizeof(receipt);
  ts_engine* handle = engine.get();
  check_released([&] { return ts_rasterize(handle, &params, &image, &receipt); });
  return receipt;
}

}  // namespace

void register_rasterize(py::module_& m) {
  m.def("rasterize", &rasterize, py::arg("engine"), py::arg("mean").noconvert(), py::arg("quat").noconvert(),
        py::arg("scale").noconvert(), py::arg("opacity").noconvert(), py::arg("color").noconvert(),
        py::arg("sh_degree"), py::arg("camera"), py::arg("background").noconvert().none(true), py::arg("dilation"),
        py::arg("precision"), py::arg("format"), py::arg("width"), py::arg("height"), py::arg("image").noconvert(),
        py::arg("alpha").noconvert().none(true), py::arg("depth").noconvert().none(true));
}

}  // namespace ts::bind
