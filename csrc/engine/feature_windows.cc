// SPDX-License-Identifier: Apache-2.0
#include "engine/feature_windows.h"

#include <algorithm>

#include "core/text.h"
#include "engine/voice_file.h"

namespace ts {

FeatureWindows::FeatureWindows(const AvatarFile& file) : file_(file) {
  for (size_t i = 0; i < file.inputs.size(); ++i) {
    if (file.inputs[i].window.channels == 0) continue;
    inputs_.push_back(i);
    after_ = std::max(after_, file.inputs[i].window.after);
  }
}

double FeatureWindows::look_ahead_s() const { return after_ / static_cast<double>(file_.fps); }

bool FeatureWindows::of_voice() const { return any() && is_voice_features(file_.encoder); }

Status FeatureWindows::check(const std::string& features, int n_features, double fps) const {
  if (!any()) return {};
  const std::string name = quoted(file_.inputs[inputs_[0]].name);
  if (!of_voice()) {
    const std::string encoder =
        file_.encoder.empty() ? "an encoder that its file does not name" : printable(file_.encoder);
    return error(StatusCode::kInvalidArgument,
                 "the input %s of this avatar takes features that %s made of the sound, and that encoder is not built "
                 "in. Make them with it and pass them: --features FILE.npy, or features= in Python; in C they are part "
                 "of the control.",
                 name.c_str(), encoder.c_str());
  }
  if (file_.encoder != features)
    return error(
        StatusCode::kInvalidArgument,
        "the input %s of this avatar was fitted to the features %s, and this voice has %s. Load the voice that "
        "the avatar was made with, or fit the avatar to this one.",
        name.c_str(), printable(file_.encoder).c_str(), printable(features).c_str());
  for (const size_t i : inputs_) {
    const FeatureWindow& window = file_.inputs[i].window;
    if (window.length != 1 || window.channels != n_features)
      return error(StatusCode::kInvalidArgument,
                   "the input %s of this avatar takes %d channels of length %d a frame, and this voice has %d features "
                   "of length 1. Load the voice that the avatar was made with.",
                   quoted(file_.inputs[i].name).c_str(), window.channels, window.length, n_features);
    if (window.before > kMaxBefore)
      return error(StatusCode::kInvalidArgument,
                   "the input %s of this avatar takes %d frames before its own; streams remember at most %d.",
                   quoted(file_.inputs[i].name).c_str(), window.before, kMaxBefore);
  }
  // The file has its rate in float32.
  if (static_cast<float>(fps) != file_.fps)
    return error(
        StatusCode::kInvalidArgument,
        "the input %s of this avatar takes features of frames at %g fps; got a stream of %g. Leave fps out, or "
        "make the stream with the avatar's.",
        name.c_str(), static_cast<double>(file_.fps), fps);
  return {};
}

}  // namespace ts
