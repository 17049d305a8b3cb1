// SPDX-License-Identifier: Apache-2.0
// Retarget on avatars whose networks are told action units, an eye, or how the head turns.
#include "check.h"
#include "retarget_test.h"

using namespace ts_test;

namespace {

AvatarInput network_input(const std::string& input, const Names& names, Row default_value) {
  AvatarInput out;
  out.name = input;
  out.target = InputTarget::kDeform;
  out.size = static_cast<int>(default_value.size());
  out.names = names;
  out.default_value = std::move(default_value);
  return out;
}

void action_units_are_told_in_openface_s_scale() {
  const Names units = {"AU01", "AU04", "AU05", "AU06", "AU07", "AU45"};
  const Retarget retarget(
      avatar({network_input("audio", {}, {0.5f, 0.5f}), network_input("au", units, Row(6, 1.0f))}, ts::RigKind::kNone));
  CHECK(!retarget.speaks() && retarget.has_face());
  const Face face({{arkit::browInnerUp, 0.5f},
                   {arkit::browDownLeft, 0.25f},
                   {arkit::browDownRight, 0.75f},
                   {arkit::eyeWideLeft, 1.0f},
                   {arkit::eyeWideRight, 1.0f},
                   {arkit::cheekSquintLeft, 0.5f},
                   {arkit::cheekSquintRight, 0.0f},
                   {arkit::eyeSquintLeft, 1.5f},
                   {arkit::eyeSquintRight, 1.5f},
                   {arkit::eyeBlinkLeft, 0.5f},
                   {arkit::eyeBlinkRight, 1.0f},
                   {arkit::jawOpen, 1.0f}});
  // Full weights are 4, the utmost is 5, and a blink is 2.
  CHECK(near(apply(retarget, face), {0.5, 0.5, 2, 2, 4, 1, 5, 1.5}));
  CHECK(near(apply(retarget, Face({{arkit::eyeBlinkLeft, 1.5f}, {arkit::eyeBlinkRight, 1.5f}})),
             {0.5, 0.5, 1, 1, 1, 1, 1, 2}));
  CHECK(apply(retarget, Face({{arkit::browInnerUp, -0.5f}}))[2] == 0);
  CHECK(apply(retarget, Face({{arkit::jawOpen, 1.0f}})) == Row({0.5f, 0.5f, 1, 1, 1, 1, 1, 1}));
  CHECK(retarget.moves(1, face.rows()) && !retarget.moves(0, face.rows()));
  CHECK(!retarget.moves(1, Face({{arkit::jawOpen, 1.0f}}).rows()));
  int placed = 0;
  for (int weight = 0; weight < kArkitWeights; ++weight) placed += retarget.has_place(weight);
  CHECK(placed == 11);
  CHECK(!retarget.has_place(arkit::jawOpen) && !retarget.has_place(arkit::browOuterUpLeft));
}

void action_units_go_by_their_names() {
  // Whatever the input is called, in any case and order, and as OpenFace's columns are called.
  const Retarget retarget(avatar({network_input("lids", {"au45_R", "other", "aU01"}, {0, 0, 0})}, ts::RigKind::kNone));
  CHECK(near(
      apply(retarget, Face({{arkit::eyeBlinkLeft, 1.0f}, {arkit::eyeBlinkRight, 1.0f}, {arkit::browInnerUp, 0.5f}})),
      {2, 0, 2}));
  for (const char* name : {"AU45_c", "AU450", "AU4", "xAU45", "AU02", "_r", ""}) {
    CHECK_MESSAGE(!Retarget(avatar({network_input("au", {name}, {0})}, ts::RigKind::kNone)).has_face(), name);
  }
}

void an_eye_is_told_how_far_it_is_shut() {
  const Face shut({{arkit::eyeBlinkLeft, 1.0f}, {arkit::eyeBlinkRight, 0.5f}});
  const Retarget retarget(avatar({network_input("eye", {}, {0.25f})}, ts::RigKind::kNone));
  CHECK(retarget.has_face() && near(apply(retarget, shut), {0.75}));
  CHECK(!Retarget(avatar({network_input("eye", {}, {0, 0})}, ts::RigKind::kNone)).has_face());
  CHECK(!Retarget(avatar({joints("eye", {0, 0, 0})}, ts::RigKind::kNone)).has_face());
}

void a_view_turns_with_the_head() {
  AvatarInput view = joints("head_pose", {0.5f, 0, 0});
  view.target = InputTarget::kView;
  view.index.clear();
  const Retarget retarget(avatar({network_input("eye", {}, {0}), view}, ts::RigKind::kNone));
  const Face face({}, {0.1f, 0.2f, 0.3f});
  CHECK(retarget.head_has_place() && retarget.moves(1, face.rows()));
  CHECK(apply(retarget, face) == Row({0, 0.1f, 0.2f, 0.3f}));
}

}  // namespace

int main() {
  action_units_are_told_in_openface_s_scale();
  action_units_go_by_their_names();
  an_eye_is_told_how_far_it_is_shut();
  a_view_turns_with_the_head();
  return ts_test::report("test_retarget_units");
}
