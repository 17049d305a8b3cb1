// SPDX-License-Identifier: Apache-2.0
// FeatureWindows — the inputs of an avatar that hold features of the frames around the one that is drawn, and whose
// features they are.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "core/status.h"
#include "engine/avatar_file.h"

namespace ts {

class FeatureWindows {
 public:
  // Frames before a frame that a voice's window may hold: a stream remembers so many.
  static constexpr int kMaxBefore = 64;

  explicit FeatureWindows(const AvatarFile& file);

  bool any() const { return !inputs_.empty(); }
  const std::vector<size_t>& inputs() const { return inputs_; }  // indices into AvatarFile::inputs
  int after() const { return after_; }                           // frames after a frame, in the longest of them
  double look_ahead_s() const;                                   // until the last of those
  // Whether they are a voice's: then sound moves it, and features that somebody else made of it otherwise.
  bool of_voice() const;

  // Whether a stream of a voice that names its n_features so can fill them at fps; kInvalidArgument says what does not
  // fit.
  Status check(const std::string& features, int n_features, double fps) const;

 private:
  const AvatarFile& file_;
  std::vector<size_t> inputs_;
  int after_ = 0;
};

}  // namespace ts
