// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mutex>

#include "bind.h"

namespace ts::bind {

namespace {

class Listener {
 public:
  Listener(uint32_t rate_hz, uint32_t channels) : channels_(channels) {
    check_released([&] { return ts_listener_create(rate_hz, channels, &listener_); });
  }
  ~Listener() { ts_listener_destroy(listener_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void push(const py::array& samples) {
    const Sound sound = read_sound(samples, channels_);
    call([&] { return ts_listener_push(listener_, sound.format, sound.data, sound.n); });
  }
  void finish() {
    call([&] { return ts_listener_finish(listener_); });
  }
  void reset() {
    call([&] { return ts_listener_reset(listener_); });
  }
  py::array read() {
    const int64_t waiting = without_gil([&] {  // who holds the lock may want the GIL
      const std::lock_guard<std::mutex> lock(busy_);
      return ts_listener_ready(listener_);
    });
    py::array_t<float> samples(static_cast<py::ssize_t>(waiting));
    float* data = samples.mutable_data();
    int64_t taken = 0;  // another thread may read first
    call([&] { return ts_listener_read(listener_, data, waiting, &taken); });
    return samples[py::slice(0, static_cast<py::ssize_t>(taken), 1)];
  }

 private:
  // A listener is for one thread at a time; without the GIL, Python's threads are kept apart here.
  template <class Call>
  void call(Call&& body) {
    check_released([&] {
      const std::lock_guard<std::mutex> lock(busy_);
      return body();
    });
  }

  uint32_t channels_;
  ts_listener* listener_ = nullptr;
  std::mutex busy_;
};

}  // namespace

void register_listener(py::module_& m) {
  py::class_<Listener>(m, "Listener")
      .def(py::init<uint32_t, uint32_t>(), py::arg("rate_hz"), py::arg("channels"))
      .def("push", &Listener::push, py::arg("samples").noconvert())
      .def("finish", &Listener::finish)
      .def("reset", &Listener::reset)
      .def("read", &Listener::read);
}

}  // namespace ts::bind
