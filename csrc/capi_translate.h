// SPDX-License-Identifier: Apache-2.0
// The ABI's structs as the engine's own types. What is wrong with a number that C lets through (an enumerator that
// there is not, a width beyond an int) is said here; the rest is the engine's to check.
#pragma once
#include <cstring>

#include "core/status.h"
#include "engine/avatar_file.h"
#include "ops/backend.h"
#include "ops/listen.h"
#include "talksplat.h"

namespace ts::capi {

// A C caller may put any number into an enum; C++ may not read it as one.
template <class Enum>
int number_of(const Enum& value) {
  static_assert(sizeof(Enum) == sizeof(int));
  int number;
  std::memcpy(&number, &value, sizeof number);
  return number;
}

Status to_format(const ts_format& given, Format& format);
Status to_precision(const ts_precision& given, Precision& precision);
Status to_sample_format(const ts_sample_format& given, SampleFormat& format);
Status to_image(const ts_image& given, Image& image);
// Without planes. Width and height that are both 0 are those of the avatar's canvas.
Status to_canvas(uint32_t width, uint32_t height, const ts_format& format, const ts_precision& precision,
                 const AvatarFile& file, Canvas& canvas);
Status to_background(const char* function, const ts_background& given, Background& background);
Camera to_camera(const ts_camera& given);
ts_camera to_c(const Camera& camera);
ts_receipt to_c(const Receipt& receipt);

// kDeviceError in a child of fork(), which has none of the backend's threads.
Status made_here(const char* function, const Backend& backend);

}  // namespace ts::capi
