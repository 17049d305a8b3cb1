// SPDX-License-Identifier: Apache-2.0
// Stand-ins — what an ARKit weight moves on a rig that lacks its shape. docs/retargeting.md has the table in words.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ts {

struct StandIn {
  std::string shape;
  double share = 0;  // of its weight, per unit of the weight that lacks its own shape
};

// "eyeBlink" for "eyeBlinkLeft"; empty where the name has no side. In jawLeft and mouthLeft it is a direction.
std::string_view without_side(std::string_view name);

// The combination of shapes that stands in for the ARKit weight `missing`: the first of its options whose shapes the
// rig has all; empty where it has none of them. A rig's shape without a side (eyeBlink) stands in for half of each
// side's weight (eyeBlinkLeft), before any other.
// has: whether the rig has a shape of this name.
std::vector<StandIn> find_stand_ins(std::string_view missing, const std::function<bool(std::string_view)>& has);

}  // namespace ts
