// SPDX-License-Identifier: Apache-2.0
// The deform program of a manifest: its stages, checked key by key, and the names in them resolved. What depends on
// tensors (widths, shapes, numbers) is checked where they are read, in deform_tensors.cc.
#pragma once
#include <vector>

#include "core/status.h"
#include "engine/avatar_file.h"
#include "engine/manifest_node.h"
#include "ops/deform.h"

namespace ts {

constexpr int kMaxDeformStages = 64;  // of the condition, and of each branch

// node: the manifest's `deform`. Inputs by their place in `inputs`.
Status read_deform(const manifest::Node& node, const std::vector<AvatarInput>& inputs, DeformProgram& program);

}  // namespace ts
