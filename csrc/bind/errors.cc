// SPDX-License-Identifier: Apache-2.0
#include "bind.h"

namespace ts::bind {

namespace {

// The classes are Python's, so that they have docstrings and base classes there; imported when first needed.
[[noreturn]] void raise_class(const char* name, const char* message) {
  const py::object type = py::module_::import("talksplat.errors").attr(name);
  PyErr_SetString(type.ptr(), message);
  throw py::error_already_set();
}

}  // namespace

void check(ts_status status) {
  if (status == TS_OK) return;
  const char* message = ts_last_error();
  if (*message == '\0') message = ts_status_name(status);
  switch (status) {
    case TS_INVALID_ARGUMENT:
      throw py::value_error(message);
    case TS_OUT_OF_MEMORY:
      PyErr_SetString(PyExc_MemoryError, message);
      throw py::error_already_set();
    case TS_AVATAR_NOT_FOUND:
      raise_class("AvatarNotFound", message);
    case TS_AVATAR_INVALID:
      raise_class("AvatarInvalid", message);
    case TS_VOICE_NOT_FOUND:
    case TS_VOICE_INVALID:
      raise_class("VoiceInvalid", message);
    case TS_AUDIO_INVALID:
      raise_class("AudioInvalid", message);
    case TS_DEVICE_ERROR:
      raise_class("DeviceError", message);
    case TS_LATENCY_REFUSED:
      raise_class("LatencyRefused", message);
    case TS_QUEUE_FULL:
      raise_class("QueueFull", message);
    case TS_CLOSED:
      raise_class("SessionClosed", message);
    default:
      raise_class("TalksplatError", message);
  }
}

}  // namespace ts::bind
