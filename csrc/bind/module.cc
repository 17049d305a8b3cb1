// SPDX-License-Identifier: Apache-2.0
// talksplat._core — the C ABI for Python. Index of the register_*() files; signatures are in _core.pyi.
#include "bind.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C ABI of talksplat (talksplat.h) over numpy arrays.";
  ts::bind::register_types(m);
  ts::bind::register_engine(m);
  ts::bind::register_device_array(m);
  ts::bind::register_rasterize(m);
  ts::bind::register_avatar(m);
  ts::bind::register_frame(m);
  ts::bind::register_voice(m);
  ts::bind::register_listener(m);
  ts::bind::register_live_frame(m);
  ts::bind::register_session(m);
}
