// SPDX-License-Identifier: Apache-2.0
// What the register_*() files share: handles with their lifetimes, status codes as exceptions, numpy views.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gil.h"
#include "talksplat.h"

namespace ts::bind {

namespace py = pybind11;

// float32, C-contiguous. Python converts other dtypes before the call; the arguments are declared noconvert().
using FloatArray = py::array_t<float, py::array::c_style>;
using OptionalFloats = std::optional<FloatArray>;

// Throws the Python exception of a failed status, with ts_last_error() as its text. Needs the GIL.
void check(ts_status status);

// Runs one ts_* call without the GIL. Its error message is thread-local, so it survives the GIL's return.
template <class Call>
void check_released(Call&& call) {
  check(without_gil(std::forward<Call>(call)));
}

// The array's data once its shape is right, else ValueError. -1 admits any length.
const float* read_floats(const FloatArray& array, const char* name, std::initializer_list<py::ssize_t> shape);
float* write_floats(FloatArray& array, const char* name, std::initializer_list<py::ssize_t> shape);
float* write_floats(OptionalFloats& array, const char* name, std::initializer_list<py::ssize_t> shape);

// The image over caller's arrays; the rows of `pixels` may be apart (a view into a larger picture).
ts_image image_over(py::array& pixels, ts_format format, uint32_t width, uint32_t height, OptionalFloats& alpha,
                    OptionalFloats& depth);
// [3] or [height,width,3]; nothing for none.
ts_background background_over(const OptionalFloats& background, uint32_t width, uint32_t height);

// Samples of a numpy array.
struct Sound {
  ts_sample_format format;
  uint32_t channels;
  const void* data;
  int64_t n;
};
// float32 or int16, C-contiguous: [n], which is one channel, or [n,channels], with `channels` where that is not 0.
Sound read_sound(const py::array& samples, uint32_t channels);

class Engine {
 public:
  Engine(uint32_t threads, const std::optional<std::string>& device, const std::optional<std::string>& isa);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  ts_engine* get() const { return engine_; }
  ts_engine_info info() const;  // throws DeviceError in a child of fork()

 private:
  ts_engine* engine_ = nullptr;
};

class Avatar {
 public:
  Avatar(std::shared_ptr<Engine> engine, const std::string& path);
  ~Avatar();
  Avatar(const Avatar&) = delete;
  Avatar& operator=(const Avatar&) = delete;

  ts_avatar* get() const { return avatar_; }
  const Engine& engine() const { return *engine_; }
  ts_avatar_info info() const;
  std::vector<ts_input_info> inputs() const;

 private:
  std::shared_ptr<Engine> engine_;
  ts_avatar* avatar_ = nullptr;
};

class Voice {
 public:
  explicit Voice(const std::string& path);
  ~Voice();
  Voice(const Voice&) = delete;
  Voice& operator=(const Voice&) = delete;

  const ts_voice* get() const { return voice_; }
  ts_voice_info info() const;

 private:
  ts_voice* voice_ = nullptr;
};

void register_types(py::module_& m);
void register_engine(py::module_& m);
void register_device_array(py::module_& m);
void register_rasterize(py::module_& m);
void register_avatar(py::module_& m);
void register_frame(py::module_& m);
void register_voice(py::module_& m);
void register_listener(py::module_& m);
void register_session(py::module_& m);
void register_live_frame(py::module_& m);

}  // namespace ts::bind
