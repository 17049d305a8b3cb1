// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "live.h"

namespace ts::bind {

namespace {

// A read-only view of the picture. It keeps the frame, and so the memory: after release() it shows what is drawn next.
py::array image(const py::object& self) {
  const ts_live_frame& frame = py::cast<const LiveFrame&>(self).get();
  const py::ssize_t height = frame.height, width = frame.width, stride = frame.stride_bytes;
  py::array view;
  switch (frame.format) {
    case TS_FORMAT_RGB_F32:
      view = py::array(py::dtype::of<float>(), {height, width, py::ssize_t{3}},
                       {stride, py::ssize_t{12}, py::ssize_t{4}}, frame.data, self);
      break;
    case TS_FORMAT_NV12:
      view =
          py::array(py::dtype::of<uint8_t>(), {height + height / 2, width}, {stride, py::ssize_t{1}}, frame.data, self);
      break;
    default: {
      const py::ssize_t channels = frame.format == TS_FORMAT_RGBA8 ? 4 : 3;
      view = py::array(py::dtype::of<uint8_t>(), {height, width, channels}, {stride, channels, py::ssize_t{1}},
                       frame.data, self);
    }
  }
  view.attr("setflags")(py::arg("write") = false);
  return view;
}

py::tuple times(const LiveFrame& frame) {
  const ts_live_times& t = frame.get().times;
  return py::make_tuple(t.heard_ns, t.released_ns, t.begun_ns, t.driven_ns, t.ready_ns, t.deadline_ns);
}

}  // namespace

LiveFrame::LiveFrame(std::shared_ptr<Session> session) : session_(std::move(session)) {
  frame_.struct_size = sizeof(frame_);
  frame_.receipt.struct_size = sizeof(frame_.receipt);
}

LiveFrame::~LiveFrame() {
  if (lent_) ts_session_release(session_->get(), &frame_);  // whatever it says: nobody is there to hear it
}

ts_status LiveFrame::acquire(int64_t timeout_ns) noexcept {
  const ts_status status = ts_session_acquire(session_->get(), timeout_ns, &frame_);
  lent_ = status == TS_OK;
  return status;
}

void LiveFrame::keep_samples() {
  py::array_t<float> copy({static_cast<py::ssize_t>(frame_.n_samples), static_cast<py::ssize_t>(frame_.channels)});
  std::copy_n(frame_.samples, copy.size(), copy.mutable_data());
  samples_ = std::move(copy);
}

void LiveFrame::release() {
  if (!std::exchange(lent_, false)) return;
  check_released([&] { return ts_session_release(session_->get(), &frame_); });
}

void register_live_frame(py::module_& m) {
  m.attr("LIVE_SPEECH") = static_cast<int>(TS_LIVE_SPEECH);
  m.attr("LIVE_IDLE") = static_cast<int>(TS_LIVE_IDLE);
  m.attr("LIVE_STARVED") = static_cast<int>(TS_LIVE_STARVED);
  m.attr("LIVE_LATE") = static_cast<int>(TS_LIVE_LATE);
  m.attr("LIVE_HELD") = static_cast<int>(TS_LIVE_HELD);
  m.attr("LIVE_SEGMENT_END") = static_cast<int>(TS_LIVE_SEGMENT_END);
  m.attr("LIVE_FADING") = static_cast<int>(TS_LIVE_FADING);

  const auto field = [](auto ts_live_frame::* member) {
    return [member](const LiveFrame& frame) { return frame.get().*member; };
  };
  py::class_<LiveFrame, std::shared_ptr<LiveFrame>>(m, "LiveFrame")
      .def_property_readonly("flags", field(&ts_live_frame::flags))
      .def_property_readonly("index", field(&ts_live_frame::index))
      .def_property_readonly("pts_samples", field(&ts_live_frame::pts_samples))
      .def_property_readonly("rate_hz", field(&ts_live_frame::rate_hz))
      .def_property_readonly("channels", field(&ts_live_frame::channels))
      .def_property_readonly("segment", field(&ts_live_frame::segment))
      .def_property_readonly("segment_sample", field(&ts_live_frame::segment_sample))
      .def_property_readonly("receipt", field(&ts_live_frame::receipt))
      .def_property_readonly("times", &times)
      .def_property_readonly("image", &image)
      .def_property_readonly("audio", &LiveFrame::samples)
      .def("release", &LiveFrame::release);
}

}  // namespace ts::bind
