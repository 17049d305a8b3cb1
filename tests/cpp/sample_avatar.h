// SPDX-License-Identifier: Apache-2.0
// A small avatar that has everything a .tsplat file can have: a three-joint rig with blendshapes, pose correctives and
// moving joints, triangle-bound Gaussians with SH colours, a plate and a motion clip.
#pragma once
#include "sample_file.h"

namespace ts_test {

struct SampleAvatar : SampleFile {
  SampleAvatar();  // the good one
};

// The same as the first format had it: its clip under `motion`, and a tensor that no manifest asks for.
struct SampleAvatarOfFormat1 : SampleAvatar {
  SampleAvatarOfFormat1();
};

}  // namespace ts_test
