// SPDX-License-Identifier: Apache-2.0
#include "bind.h"

namespace ts::bind {

Engine::Engine(uint32_t threads, const std::optional<std::string>& device, const std::optional<std::string>& isa) {
  ts_engine_params params = ts_engine_params_default();
  params.threads = threads;
  params.device = device ? device->c_str() : nullptr;
  params.isa = isa ? isa->c_str() : nullptr;
  check_released([&] { return ts_engine_create(&params, &engine_); });
}

Engine::~Engine() { ts_engine_destroy(engine_); }

ts_engine_info Engine::info() const {
  ts_engine_info info{};
  info.struct_size = sizeof(info);
  check(ts_engine_get_info(engine_, &info));
  return info;
}

namespace {

// What talksplat.h tells of the machine and the build, as it is now.
py::dict system_info() {
  ts_system_info system{};
  system.struct_size = sizeof system;
  check(ts_get_system_info(&system));
  py::dict found;
  found["driver_version"] = system.driver_version;
  found["oldest_driver_version"] = system.oldest_driver_version;
  found["kernels"] = system.kernels;
  found["why_no_gpu"] = system.why_no_gpu;
  py::list gpus;
  for (uint32_t i = 0; i < system.n_gpus; ++i) {
    ts_gpu_info gpu{};
    gpu.struct_size = sizeof gpu;
    check(ts_get_gpu_info(i, &gpu));
    py::dict one;
    one["device"] = gpu.device;
    one["name"] = gpu.name;
    one["capability"] = gpu.capability;
    one["bytes"] = gpu.bytes;
    one["deform"] = gpu.deform;
    one["encode"] = gpu.encode;
    gpus.append(one);
  }
  found["gpus"] = gpus;
  return found;
}

}  // namespace

void register_engine(py::module_& m) {
  m.def("system_info", &system_info);
  py::class_<Engine, std::shared_ptr<Engine>>(m, "Engine")
      .def(py::init<uint32_t, const std::optional<std::string>&, const std::optional<std::string>&>(),
           py::arg("threads") = 0, py::arg("device") = py::none(), py::arg("isa") = py::none())
      .def_property_readonly("device", [](const Engine& engine) { return std::string(engine.info().device); })
      .def_property_readonly("device_name", [](const Engine& engine) { return std::string(engine.info().device_name); })
      .def_property_readonly("note", [](const Engine& engine) { return std::string(engine.info().note); })
      .def_property_readonly("threads", [](const Engine& engine) { return engine.info().threads; })
      .def_property_readonly("isa", [](const Engine& engine) { return std::string(engine.info().isa); })
      .def_property_readonly("scratch_bytes", [](const Engine& engine) { return engine.info().scratch_bytes; })
      .def("measure_peak",
           [](const Engine& engine) {
             double fp32 = 0, bf16 = 0;
             check_released([&] { return ts_engine_measure_peak(engine.get(), &fp32, &bf16); });
             return std::pair(fp32, bf16);
           })
      .def(
          "step",
          [](const Engine& engine, int64_t time_ns) {
            int64_t n_frames = 0;
            check_released([&] { return ts_engine_step(engine.get(), time_ns, &n_frames); });
            return n_frames;
          },
          py::arg("time_ns"));
}

}  // namespace ts::bind
