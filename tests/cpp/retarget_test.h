// SPDX-License-Identifier: Apache-2.0
// Small avatars without a file, faces of a few weights, and what retargeting makes of them.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "engine/retarget.h"

namespace ts_test {

using ts::AvatarInput;
using ts::FaceRows;
using ts::InputTarget;
using ts::kArkitWeights;
namespace arkit = ts::arkit;

using Names = std::vector<std::string>;
using Row = std::vector<float>;

// An input of shapes 0, 1, 2...; names that begin with '-' are absent in the rig.
inline AvatarInput shapes(const std::string& input, const Names& names, Row default_value = {}) {
  AvatarInput out;
  out.name = input;
  out.size = static_cast<int>(names.size());
  out.target = InputTarget::kBlendshape;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool absent = names[i][0] == '-';
    out.names.push_back(names[i].substr(absent));
    out.index.push_back(absent ? -1 : static_cast<int>(i));
  }
  out.default_value = default_value.empty() ? Row(names.size(), 0.0f) : std::move(default_value);
  return out;
}

inline AvatarInput joints(const std::string& input, Row default_value) {
  AvatarInput out;
  out.name = input;
  out.size = static_cast<int>(default_value.size());
  out.target = InputTarget::kJointRotation;
  for (size_t i = 0; i < default_value.size() / 3; ++i) out.index.push_back(static_cast<int>(i));
  out.default_value = std::move(default_value);
  return out;
}

inline ts::AvatarFile avatar(std::vector<AvatarInput> inputs, ts::RigKind rig = ts::RigKind::kArkit) {
  ts::AvatarFile file;
  file.rig = rig;
  file.inputs = std::move(inputs);
  return file;
}

// A face of the weights that are listed; the others are not given.
struct Face {
  std::array<float, kArkitWeights> weight{};
  std::array<bool, kArkitWeights> given{};
  Row head_pose;

  Face(std::initializer_list<std::pair<arkit::Weight, float>> weights, Row head = {}) : head_pose(std::move(head)) {
    for (const auto& [name, value] : weights) {
      weight[static_cast<size_t>(name)] = value;
      given[static_cast<size_t>(name)] = true;
    }
  }
  FaceRows rows() const { return {1, weight.data(), given.data(), head_pose.empty() ? nullptr : head_pose.data()}; }
};

// A file's retargeting, with what it refers to.
class Retarget {
 public:
  explicit Retarget(ts::AvatarFile&& file) : own_(std::move(file)), file_(own_) {}
  explicit Retarget(const ts::AvatarFile& file) : file_(file) {}
  Retarget(const Retarget&) = delete;

  bool speaks() const { return retarget_.speaks(); }
  bool has_face() const { return retarget_.has_face(); }
  bool breath_has_place() const { return retarget_.breath_has_place(); }
  bool has_place(int weight) const { return retarget_.has_place(weight); }
  bool head_has_place() const { return retarget_.head_has_place(); }
  bool moves(size_t input, const FaceRows& face) const { return retarget_.moves(input, face); }
  void apply(const FaceRows& face, float* control) const { retarget_.apply(face, control); }
  int64_t n_control() const { return layout_.size(); }

 private:
  ts::AvatarFile own_;
  const ts::AvatarFile& file_;
  ts::ControlLayout layout_{file_.inputs};
  ts::Retarget retarget_{file_, layout_};
};

inline Row apply(const Retarget& retarget, const FaceRows& face) {
  Row control(static_cast<size_t>(face.n * retarget.n_control()), std::numeric_limits<float>::quiet_NaN());
  retarget.apply(face, control.data());
  return control;
}
inline Row apply(const Retarget& retarget, const Face& face) { return apply(retarget, face.rows()); }

inline bool near(float value, double wanted, double tolerance = 1e-6) {
  return std::abs(static_cast<double>(value) - wanted) <= tolerance;
}
inline bool near(const Row& row, const std::vector<double>& wanted, double tolerance = 1e-6) {
  return row.size() == wanted.size() &&
         std::equal(row.begin(), row.end(), wanted.begin(), [=](float a, double b) { return near(a, b, tolerance); });
}

}  // namespace ts_test
