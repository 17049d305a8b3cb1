// SPDX-License-Identifier: Apache-2.0
#include "engine/stand_ins.h"

#include <algorithm>

namespace ts {
namespace {

struct Option {
  std::string_view shape;  // empty: there is no further option
  double share = 0;
  std::string_view second = {};  // empty: one shape alone
  double second_share = 0;
};
struct Row {
  std::string_view missing;
  Option option[3];  // the best first
};

// SIDE is Left or Right, the same throughout a row. Sizes were judged on lips: how far they open, part, round, widen.
// clang-format off: a table is read by its columns
constexpr Row kTable[] = {
    {"jawOpen", {{"mouthLowerDownLeft", 0.6, "mouthLowerDownRight", 0.6}}},
    {"mouthClose", {{"jawOpen", -1.0}}},
    {"mouthFunnel", {{"mouthPucker", 0.6, "jawOpen", 0.2}, {"mouthPucker", 0.6}, {"jawOpen", 0.2}}},
    {"mouthPucker", {{"mouthFunnel", 0.7}}},
    {"mouthRollLower", {{"mouthPressLeft", 0.5, "mouthPressRight", 0.5}, {"mouthShrugLower", 0.4}}},
    {"mouthRollUpper", {{"mouthPressLeft", 0.5, "mouthPressRight", 0.5}}},
    {"mouthPressSIDE", {{"mouthRollLower", 0.25, "mouthRollUpper", 0.25}, {"mouthRollLower", 0.3}}},
    {"mouthLowerDownSIDE", {{"mouthShrugLower", -0.2, "jawOpen", 0.04}, {"jawOpen", 0.08}}},
    {"mouthUpperUpSIDE", {{"noseSneerSIDE", 0.5}, {"mouthShrugUpper", 0.5}}},
    {"mouthShrugLower", {{"mouthPressLeft", 0.4, "mouthPressRight", 0.4}}},
    {"mouthShrugUpper", {{"mouthUpperUpLeft", 0.3, "mouthUpperUpRight", 0.3}}},
    {"mouthStretchSIDE", {{"mouthSmileSIDE", 0.4, "mouthFrownSIDE", 0.5}, {"mouthDimpleSIDE", 0.6},
                          {"mouthSmileSIDE", 0.4}}},
    {"mouthSmileSIDE", {{"mouthDimpleSIDE", 0.8}, {"mouthStretchSIDE", 0.5}}},
    {"mouthDimpleSIDE", {{"mouthSmileSIDE", 0.4}, {"mouthStretchSIDE", 0.4}}},
    {"mouthFrownSIDE", {{"mouthStretchSIDE", 0.4}}},
    {"mouthSIDE", {{"jawSIDE", 0.7}}},
    {"jawSIDE", {{"mouthSIDE", 0.4}}},
    {"noseSneerSIDE", {{"mouthUpperUpSIDE", 0.4}}},
    {"cheekSquintSIDE", {{"eyeSquintSIDE", 0.5}}},
    {"eyeSquintSIDE", {{"cheekSquintSIDE", 0.5}, {"eyeBlinkSIDE", 0.25}}},
    {"eyeLookDownSIDE", {{"eyeBlinkSIDE", 0.3}}},  // the lid's part of it
    {"browInnerUp", {{"browOuterUpLeft", 0.5, "browOuterUpRight", 0.5}}},
    {"browOuterUpSIDE", {{"browInnerUp", 0.5}}},
};
// clang-format on

constexpr std::string_view kSides[] = {"Left", "Right"};
constexpr std::string_view kSideMark = "SIDE";

std::string with_side(std::string_view pattern, std::string_view side) {
  const size_t at = pattern.find(kSideMark);
  std::string name(pattern);
  if (at != pattern.npos) name.replace(at, kSideMark.size(), side);
  return name;
}

std::vector<StandIn> with_side(const Option& option, std::string_view side) {
  std::vector<StandIn> out = {{with_side(option.shape, side), option.share}};
  if (!option.second.empty()) out.push_back({with_side(option.second, side), option.second_share});
  return out;
}

}  // namespace

std::string_view without_side(std::string_view name) {
  for (const std::string_view side : kSides) {
    if (name.size() <= side.size() || name.substr(name.size() - side.size()) != side) continue;
    const std::string_view whole = name.substr(0, name.size() - side.size());
    return whole == "jaw" || whole == "mouth" ? std::string_view() : whole;
  }
  return {};
}

std::vector<StandIn> find_stand_ins(std::string_view missing, const std::function<bool(std::string_view)>& has) {
  const std::string_view whole = without_side(missing);
  if (!whole.empty() && has(whole)) return {{std::string(whole), 0.5}};
  for (const Row& row : kTable) {
    for (const std::string_view side : kSides) {
      if (with_side(row.missing, side) != missing) continue;
      for (const Option& option : row.option) {
        if (option.shape.empty()) break;
        const std::vector<StandIn> found = with_side(option, side);
        if (std::all_of(found.begin(), found.end(), [&](const StandIn& s) { return has(s.shape); })) return found;
      }
      return {};
    }
  }
  return {};
}

}  // namespace ts
