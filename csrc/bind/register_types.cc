// SPDX-License-Identifier: Apache-2.0
// Plain values: formats, precisions, the camera, the receipt, versions.
#include <algorithm>
#include <tuple>

#include "bind.h"

namespace ts::bind {

namespace {

ts_camera make_camera(const FloatArray& cam_from_world, float fx, float fy, float cx, float cy, float near_plane) {
  ts_camera camera{};
  std::copy_n(read_floats(cam_from_world, "cam_from_world", {4, 4}), 16, camera.cam_from_world);
  camera.fx = fx;
  camera.fy = fy;
  camera.cx = cx;
  camera.cy = cy;
  camera.near_plane = near_plane;
  return camera;
}

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < ts_isa_count(); ++i) names.emplace_back(ts_isa_name(i));
  return names;
}

// What of a receipt is Python's.
template <class Receipt>
auto fields_of(Receipt& r) {
  return std::tie(r.pose_us, r.deform_us, r.project_us, r.bin_us, r.blend_us, r.total_us, r.n_gaussians, r.n_visible,
                  r.n_instances, r.n_dropped);
}

using ReceiptState = std::tuple<float, float, float, float, float, float, uint32_t, uint32_t, uint64_t, uint64_t>;

ts_receipt receipt_of(const ReceiptState& state) {
  ts_receipt receipt{};
  receipt.struct_size = sizeof(receipt);
  fields_of(receipt) = state;
  return receipt;
}

}  // namespace

void register_types(py::module_& m) {
  m.attr("__version__") = ts_version();
  m.attr("ABI_VERSION") = ts_abi_version();
  m.def("isa_names", &isa_names);
  m.def("now_ns", &ts_now_ns);
  m.def("frame_count", &ts_frame_count, py::arg("n_samples"), py::arg("rate_hz"), py::arg("fps"));
  m.def("first_sample", &ts_first_sample, py::arg("frame"), py::arg("rate_hz"), py::arg("fps"));
  m.attr("MAX_SIDE") = TS_MAX_SIDE;
  m.attr("MAX_THREADS") = TS_MAX_THREADS;
  m.attr("MAX_SH_COEFFICIENTS") = TS_MAX_SH_COEFFICIENTS;
  m.attr("MIN_RATE_HZ") = TS_MIN_RATE_HZ;
  m.attr("MAX_RATE_HZ") = TS_MAX_RATE_HZ;
  m.attr("MAX_CHANNELS") = TS_MAX_CHANNELS;
  m.attr("MAX_SAMPLE") = TS_MAX_SAMPLE;
  m.attr("MIN_FPS") = TS_MIN_FPS;
  m.attr("MAX_FPS") = TS_MAX_FPS;
  m.attr("MAX_AMOUNT") = TS_MAX_AMOUNT;
  m.attr("MIN_SLOTS") = TS_MIN_SLOTS;
  m.attr("MAX_SLOTS") = TS_MAX_SLOTS;
  m.attr("MIN_QUEUE_MS") = TS_MIN_QUEUE_MS;
  m.attr("MAX_QUEUE_MS") = TS_MAX_QUEUE_MS;
  m.attr("MAX_LATENCY_MS") = TS_MAX_LATENCY_MS;
  m.attr("MAX_CHUNK_MS") = TS_MAX_CHUNK_MS;
  m.attr("MAX_FADE_MS") = TS_MAX_FADE_MS;
  m.attr("MAX_UTTERANCES") = TS_MAX_UTTERANCES;

  py::enum_<ts_format>(m, "Format")
      .value("RGB_F32", TS_FORMAT_RGB_F32)
      .value("RGBA8", TS_FORMAT_RGBA8)
      .value("RGB8", TS_FORMAT_RGB8)
      .value("NV12", TS_FORMAT_NV12);
  py::enum_<ts_precision>(m, "Precision")
      .value("REFERENCE", TS_PRECISION_REFERENCE)
      .value("FAST", TS_PRECISION_FAST)
      .value("DEFAULT", TS_PRECISION_DEFAULT);

  py::class_<ts_camera>(m, "Camera")
      .def(py::init(&make_camera), py::arg("cam_from_world").noconvert(), py::arg("fx"), py::arg("fy"), py::arg("cx"),
           py::arg("cy"), py::arg("near"));

  py::class_<ts_receipt>(m, "Receipt")
      .def_readonly("pose_us", &ts_receipt::pose_us)
      .def_readonly("deform_us", &ts_receipt::deform_us)
      .def_readonly("project_us", &ts_receipt::project_us)
      .def_readonly("bin_us", &ts_receipt::bin_us)
      .def_readonly("blend_us", &ts_receipt::blend_us)
      .def_readonly("total_us", &ts_receipt::total_us)
      .def_readonly("n_gaussians", &ts_receipt::n_gaussians)
      .def_readonly("n_visible", &ts_receipt::n_visible)
      .def_readonly("n_instances", &ts_receipt::n_instances)
      .def_readonly("n_dropped", &ts_receipt::n_dropped)
      .def(py::pickle([](const ts_receipt& r) { return ReceiptState(fields_of(r)); }, &receipt_of))
      .def("__repr__", [](const ts_receipt& r) {
        return "Receipt(total_us=" + std::to_string(r.total_us) + ", n_visible=" + std::to_string(r.n_visible) + ")";
      });
}

}  // namespace ts::bind
