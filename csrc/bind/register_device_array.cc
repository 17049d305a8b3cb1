// SPDX-License-Identifier: Apache-2.0
#include "device_array.h"
#include "dlpack.h"

namespace ts::bind {

DeviceMemory::DeviceMemory(std::shared_ptr<Engine> engine, uint64_t bytes) : engine_(std::move(engine)) {
  check_released([&] { return ts_memory_create(engine_->get(), bytes, &memory_); });
  info_.struct_size = sizeof info_;
  check(ts_memory_get_info(memory_, &info_));
}

// Whoever took an array by DLPack lets go of it where it likes; it waits for the GPU.
DeviceMemory::~DeviceMemory() {
  without_gil_if_held([&] { ts_memory_destroy(memory_); });
}

DeviceArray::DeviceArray(std::shared_ptr<DeviceMemory> memory, uint64_t offset, std::vector<int64_t> shape, bool floats)
    : memory_(std::move(memory)), offset_(offset), shape_(std::move(shape)), floats_(floats) {
  const uint64_t room = memory_->info().bytes;
  if (offset_ > room || bytes() > room - offset_)
    throw py::value_error("DeviceArray: offset and shape must stay within the memory's " + std::to_string(room) +
                          " bytes.");
}

uint64_t DeviceArray::bytes() const {
  uint64_t bytes = floats_ ? sizeof(float) : 1;
  for (const int64_t length : shape_) bytes *= static_cast<uint64_t>(length);
  return bytes;
}

void* DeviceArray::address() const { return static_cast<unsigned char*>(memory_->info().address) + offset_; }

py::array DeviceArray::to_numpy() const {
  py::array array(floats_ ? py::dtype::of<float>() : py::dtype::of<uint8_t>(), shape_);
  void* to = array.mutable_data();
  check_released([&] { return ts_memory_read(memory_->get(), offset_, to, bytes()); });
  return array;
}

// https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html, version 3.
py::dict DeviceArray::cuda_array_interface() const {
  py::dict told;
  told["shape"] = py::tuple(py::cast(shape_));
  told["typestr"] = floats_ ? "<f4" : "|u1";
  told["data"] = py::make_tuple(reinterpret_cast<uintptr_t>(address()), false);
  told["strides"] = py::none();
  told["version"] = 3;
  told["stream"] = stream_ ? reinterpret_cast<uintptr_t>(stream_) : uintptr_t{1};  // the default stream is 1 there
  return told;
}

std::pair<int, int> DeviceArray::dlpack_device() const {
  return {dlpack::kCuda, static_cast<int>(memory_->info().ordinal)};
}

template <class Managed>
py::capsule DeviceArray::capsule() const {
  struct Kept {
    std::shared_ptr<DeviceMemory> memory;
    std::vector<int64_t> shape, strides;
    Managed managed{};
  };
  auto* kept = new Kept{memory_, shape_, std::vector<int64_t>(shape_.size(), 1), {}};
  for (size_t i = shape_.size(); i-- > 1;) kept->strides[i - 1] = kept->strides[i] * shape_[i];
  Managed& managed = kept->managed;
  managed.context = kept;
  managed.deleter = [](Managed* taken) { delete static_cast<Kept*>(taken->context); };
  managed.tensor.data = address();
  managed.tensor.device = {dlpack::kCuda, static_cast<int32_t>(memory_->info().ordinal)};
  managed.tensor.ndim = static_cast<int32_t>(shape_.size());
  managed.tensor.dtype = {floats_ ? dlpack::kFloat : dlpack::kUint, static_cast<uint8_t>(floats_ ? 32 : 8), 1};
  managed.tensor.shape = kept->shape.data(), managed.tensor.strides = kept->strides.data();
  // A name that has changed says that somebody else calls the deleter.
  PyObject* made = PyCapsule_New(&managed, Managed::kName, [](PyObject* self) {
    if (!PyCapsule_IsValid(self, Managed::kName)) return;
    auto* left = static_cast<Managed*>(PyCapsule_GetPointer(self, Managed::kName));
    left->deleter(left);
  });
  if (!made) {
    delete kept;
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::capsule>(made);
}

py::object DeviceArray::dlpack(const std::optional<int64_t>& stream,
                               const std::optional<std::pair<int, int>>& max_version,
                               const std::optional<std::pair<int, int>>& device,
                               const std::optional<bool>& copy) const {
  const bool here = !device || *device == dlpack_device();
  if (here && !copy.value_or(false)) {
    constexpr int64_t kNoOrder = -1;
    if (stream && (*stream < kNoOrder || *stream == 0))
      throw py::value_error("__dlpack__: stream must be None, -1, 1, 2 or a stream's address; got " +
                            std::to_string(*stream) + ".");
    const int64_t callers = stream.value_or(1);
    if (callers != kNoOrder)
      check_released([&] {
        return ts_memory_hold_back(memory_->get(), reinterpret_cast<void*>(static_cast<uintptr_t>(callers)));
      });
    if (!max_version || max_version->first < 1) return capsule<dlpack::Managed>();
    py::capsule made = capsule<dlpack::ManagedVersioned>();
    auto* managed =
        static_cast<dlpack::ManagedVersioned*>(PyCapsule_GetPointer(made.ptr(), dlpack::ManagedVersioned::kName));
    managed->major = 1, managed->minor = 1;
    return std::move(made);
  }
  if (device && *device == std::pair<int, int>(dlpack::kCpu, 0) && copy.value_or(true))
    return to_numpy().attr("__dlpack__")();
  PyErr_SetString(
      PyExc_BufferError,
      "__dlpack__: a picture on the GPU is taken there without a copy, or copied to the CPU, device (1, 0).");
  throw py::error_already_set();
}

namespace {

std::string name_of(const DeviceArray& array) { return "cuda:" + std::to_string(array.memory().info().ordinal); }

std::string repr(const DeviceArray& array) {
  std::string shape;
  for (const int64_t length : array.shape()) shape += (shape.empty() ? "" : ",") + std::to_string(length);
  return "DeviceArray([" + shape + "], " + (array.floats() ? "float32" : "uint8") + ", " + name_of(array) + ")";
}

}  // namespace

void register_device_array(py::module_& m) {
  py::class_<DeviceMemory, std::shared_ptr<DeviceMemory>>(m, "DeviceMemory")
      .def(py::init<std::shared_ptr<Engine>, uint64_t>(), py::arg("engine"), py::arg("bytes"));
  py::class_<DeviceArray>(
      m, "DeviceArray",
      "An array in a GPU's memory, C-contiguous, uint8 or float32; libraries there take it without a "
      "copy.\n\nshape, ndim, dtype (numpy's), nbytes.  device: \"cuda:0\".  numpy(): a copy in the "
      "CPU's memory, once it is written.\n__cuda_array_interface__, __dlpack__: as their protocols "
      "say.")
      .def(py::init<std::shared_ptr<DeviceMemory>, uint64_t, std::vector<int64_t>, bool>(), py::arg("memory"),
           py::arg("offset"), py::arg("shape"), py::arg("floats"))
      .def_property_readonly("shape", [](const DeviceArray& array) { return py::tuple(py::cast(array.shape())); })
      .def_property_readonly("ndim", [](const DeviceArray& array) { return array.shape().size(); })
      .def_property_readonly(
          "dtype",
          [](const DeviceArray& array) { return array.floats() ? py::dtype::of<float>() : py::dtype::of<uint8_t>(); })
      .def_property_readonly("nbytes", &DeviceArray::bytes)
      .def_property_readonly("device", &name_of)
      .def("numpy", &DeviceArray::to_numpy)
      .def_property_readonly("__cuda_array_interface__", &DeviceArray::cuda_array_interface)
      .def("__dlpack__", &DeviceArray::dlpack, py::kw_only(), py::arg("stream") = py::none(),
           py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(), py::arg("copy") = py::none())
      .def("__dlpack_device__", &DeviceArray::dlpack_device)
      .def("__repr__", &repr);
}

}  // namespace ts::bind
