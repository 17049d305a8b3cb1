// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mutex>

#include "bind.h"

namespace ts::bind {

namespace {

py::tuple names(const char* const* names, uint32_t n) {
  py::tuple result(n);
  for (uint32_t i = 0; i < n; ++i) result[i] = py::str(names[i]);
  return result;
}

class Speech {
 public:
  Speech(const Engine& engine, const Voice& voice, uint32_t rate_hz, uint32_t channels, double fps, uint64_t seed,
         float mouth, float head, float blink)
      : channels_(channels), info_(voice.info()) {
    ts_speech_params params = ts_speech_params_default();
    params.rate_hz = rate_hz;
    params.channels = channels;
    params.fps = fps;
    params.seed = seed;
    params.mouth = mouth;
    params.head = head;
    params.blink = blink;
    ts_engine* handle = engine.get();
    check_released([&] { return ts_speech_create(handle, voice.get(), &params, &speech_); });
  }
  ~Speech() { ts_speech_destroy(speech_); }
  Speech(const Speech&) = delete;
  Speech& operator=(const Speech&) = delete;

  void push(const py::array& samples) {
    const Sound sound = read_sound(samples, channels_);
    call([&] { return ts_speech_push(speech_, sound.format, sound.data, sound.n); });
  }
  void finish() {
    call([&] { return ts_speech_finish(speech_); });
  }
  void reset() {
    call([&] { return ts_speech_reset(speech_); });
  }
  int64_t ready() {
    return without_gil([&] {  // who holds the lock may want the GIL
      const std::lock_guard<std::mutex> lock(busy_);
      return ts_speech_ready(speech_);
    });
  }

  py::dict read(int64_t max_frames) {
    // Another thread may read first: then fewer frames come than there is room for.
    const int64_t waiting = ready(), rows = max_frames < 0 ? waiting : std::min(max_frames, waiting);
    const py::ssize_t n = rows;
    py::array_t<float> weight({n, static_cast<py::ssize_t>(info_.n_weights)}), pose({n, py::ssize_t{3}}), voice({n});
    py::array_t<float> channel({n, static_cast<py::ssize_t>(info_.n_channels)});
    py::array_t<float> feature({n, static_cast<py::ssize_t>(info_.n_features)});
    ts_faces faces{};
    faces.struct_size = sizeof(faces);
    faces.weight = weight.mutable_data();
    faces.head_pose = pose.mutable_data();
    faces.voice = voice.mutable_data();
    faces.channel = channel.mutable_data();
    faces.feature = feature.mutable_data();
    int64_t taken = 0;
    call([&] { return ts_speech_read(speech_, &faces, rows, &taken); });
    const py::slice part(0, static_cast<py::ssize_t>(taken), 1);
    py::dict result;
    result["weight"] = weight[part];
    result["head_pose"] = pose[part];
    result["voice"] = voice[part];
    result["channel"] = channel[part];
    result["feature"] = feature[part];
    return result;
  }

  py::array read_control(const Avatar& avatar, int64_t max_frames) {
    const ts_avatar* handle = avatar.get();
    const int64_t waiting = without_gil([&] {
      const std::lock_guard<std::mutex> lock(busy_);
      return ts_speech_ready_control(speech_, handle);
    });
    const int64_t rows = max_frames < 0 ? waiting : std::min(max_frames, waiting);
    py::array_t<float> control({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(avatar.info().n_control)});
    float* data = control.mutable_data();
    int64_t taken = 0;
    call([&] { return ts_speech_read_control(speech_, handle, data, rows, &taken); });
    return control[py::slice(0, static_cast<py::ssize_t>(taken), 1)];
  }

 private:
  // A stream is for one thread at a time; without the GIL, Python's threads are kept apart here.
  template <class Call>
  void call(Call&& body) {
    check_released([&] {
      const std::lock_guard<std::mutex> lock(busy_);
      return body();
    });
  }

  uint32_t channels_;
  ts_voice_info info_;  // its counts; the pointers in it are not used
  ts_speech* speech_ = nullptr;
  std::mutex busy_;
};

}  // namespace

Voice::Voice(const std::string& path) {
  if (path.find('\0') != std::string::npos) throw py::value_error("voice: path must have no NUL character.");
  check_released([&] { return ts_voice_load(path.c_str(), &voice_); });
}

Voice::~Voice() { ts_voice_destroy(voice_); }

ts_voice_info Voice::info() const {
  ts_voice_info info{};
  info.struct_size = sizeof(info);
  check(ts_voice_get_info(voice_, &info));
  return info;
}

void register_voice(py::module_& m) {
  py::class_<Voice, std::shared_ptr<Voice>>(m, "Voice")
      .def(py::init<const std::string&>(), py::arg("path"))
      .def_property_readonly("manifest", [](const Voice& voice) { return std::string(voice.info().manifest); })
      .def_property_readonly("look_ahead_s", [](const Voice& voice) { return voice.info().look_ahead_s; })
      .def_property_readonly("channel_names",
                             [](const Voice& voice) {
                               const ts_voice_info info = voice.info();
                               return names(info.channel_names, info.n_channels);
                             })
      .def_property_readonly("weight_names",
                             [](const Voice& voice) {
                               const ts_voice_info info = voice.info();
                               return names(info.weight_names, info.n_weights);
                             })
      .def_property_readonly("n_features", [](const Voice& voice) { return voice.info().n_features; })
      .def_property_readonly("n_parameters", [](const Voice& voice) { return voice.info().n_parameters; })
      .def_property_readonly("file_bytes", [](const Voice& voice) { return voice.info().file_bytes; });

  py::class_<Speech>(m, "Speech")
      .def(py::init<const Engine&, const Voice&, uint32_t, uint32_t, double, uint64_t, float, float, float>(),
           py::arg("engine"), py::arg("voice"), py::arg("rate_hz"), py::arg("channels"), py::arg("fps"),
           py::arg("seed") = 0, py::arg("mouth") = 1.0f, py::arg("head") = 1.0f, py::arg("blink") = 1.0f)
      .def("push", &Speech::push, py::arg("samples").noconvert())
      .def("finish", &Speech::finish)
      .def("reset", &Speech::reset)
      .def_property_readonly("ready", &Speech::ready)
      .def("read", &Speech::read, py::arg("max_frames") = -1)
      .def("read_control", &Speech::read_control, py::arg("avatar"), py::arg("max_frames") = -1);
}

}  // namespace ts::bind
