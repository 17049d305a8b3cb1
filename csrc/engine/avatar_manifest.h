// SPDX-License-Identifier: Apache-2.0
// The manifest of a .tsplat file: its JSON text, checked key by key against python/authoring/FORMAT.md. What depends
// on tensors (is this joint index one of the rig's?) is checked where they are read, in avatar_file.cc.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "engine/avatar_file.h"

namespace ts {

struct MotionClip {
  std::string name;
  std::string place;  // of its tensors: "clip/NAME/"; in files of format 1 "motion/NAME/"
  int64_t frames = 0;
  std::vector<int> inputs;  // indices into AvatarFile::inputs
};

constexpr int64_t kMaxRows = (int64_t{1} << 24) - 1;  // of Gaussians, vertices, triangles, source rows, clip frames
constexpr int64_t kMaxShapes = 4096;
constexpr int64_t kMaxJoints = 4096;

// Sets every field of `avatar` that comes from the manifest. Errors are kAvatarInvalid and name the key.
Status read_manifest(const std::string& text, AvatarFile& avatar, std::vector<MotionClip>& clips);

}  // namespace ts
