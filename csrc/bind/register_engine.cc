// SPDX-License-Identifier: Apache-2.0
#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

#include "bind.h"

namespace ts::bind {

namespace {

long process_id() {
#if defined(_WIN32)
  return _getpid();
#else
  return static_cast<long>(getpid());
#endif
}

ts_engine_info engine_info(const Engine& engine) {
  ts_engine_info info{};
  info.struct_size = sizeof(info);
  check(ts_engine_get_info(engine.get(), &info));
  return info;
}

}  // namespace

Engine::Engine(uint32_t threads, const std::optional<std::string>& device, const std::optional<std::string>& isa)
    : pid_(process_id()) {
  ts_engine_params params = ts_engine_params_default();
  params.threads = threads;
  params.device = device ? device->c_str() : nullptr;
  params.isa = isa ? isa->c_str() : nullptr;
  check_released([&] { return ts_engine_create(&params, &engine_); });
}

Engine::~Engine() { ts_engine_destroy(engine_); }

ts_engine* Engine::get() const {
  if (pid_ != process_id()) {
    const py::object error = py::module_::import("talksplat.errors").attr("DeviceError");
    PyErr_SetString(error.ptr(),
                    "engine: made before os.fork(), and a child process has none of its threads. Load the avatar in "
                    "the child, or start processes with multiprocessing's \"spawn\".");
    throw py::error_already_set();
  }
  return engine_;
}

void register_engine(py::module_& m) {
  py::class_<Engine, std::shared_ptr<Engine>>(m, "Engine")
      .def(py::init<uint32_t, const std::optional<std::string>&, const std::optional<std::string>&>(),
           py::arg("threads") = 0, py::arg("device") = py::none(), py::arg("isa") = py::none())
      .def_property_readonly("device", [](const Engine& engine) { return std::string(engine_info(engine).device); })
      .def_property_readonly("threads", [](const Engine& engine) { return engine_info(engine).threads; })
      .def_property_readonly("isa", [](const Engine& engine) { return std::string(engine_info(engine).isa); })
      .def_property_readonly("scratch_bytes", [](const Engine& engine) { return engine_info(engine).scratch_bytes; });
}

}  // namespace ts::bind
