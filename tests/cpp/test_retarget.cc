// SPDX-License-Identifier: Apache-2.0
// Retarget: faces on whole rigs, on rigs that lack shapes, on FLAME avatars and on what no face moves. The numbers of
// real avatars are tested from Python, against tests/reference/retarget.py.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "engine/flame_lips.h"
#include "engine/retarget.h"
#include "retarget_test.h"

using namespace ts_test;
using ts::kArkitNames;

static std::atomic<int> n_allocations{0};

void* operator new(size_t size) {
  ++n_allocations;
  if (void* p = std::malloc(size ? size : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace {

const Names kEveryName(kArkitNames, kArkitNames + kArkitWeights);

Names every_name_but(const Names& left_out) {
  Names names;
  for (const std::string& name : kEveryName) {
    if (std::count(left_out.begin(), left_out.end(), name) == 0) names.push_back(name);
  }
  return names;
}

bool all_finite(const Row& row) {
  return std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); });
}

// What is told to `shape` of a rig that has these names alone.
float told(const Names& names, const char* shape, const Face& face) {
  const Row row = apply(Retarget(avatar({shapes("arkit", names)})), face);
  return row[static_cast<size_t>(std::find(names.begin(), names.end(), shape) - names.begin())];
}

// ---- rigs with ARKit's names ----

void a_whole_rig_takes_a_face_as_it_is() {
  const Retarget retarget(avatar({shapes("arkit", kEveryName), joints("head_pose", {0.5f, 0, 0})}));
  CHECK(retarget.speaks());
  CHECK(retarget.n_control() == kArkitWeights + 3);
  constexpr int kFrames = 5;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-0.5f, 1.5f);  // trackers overshoot
  Row weight(kFrames * kArkitWeights), head(kFrames * 3);
  for (Row* row : {&weight, &head}) std::generate(row->begin(), row->end(), [&] { return uniform(random); });
  const Row control = apply(retarget, {kFrames, weight.data(), nullptr, head.data()});
  for (int frame = 0; frame < kFrames; ++frame) {
    const float* row = control.data() + frame * retarget.n_control();
    CHECK(std::equal(row, row + kArkitWeights, weight.data() + frame * kArkitWeights));
    CHECK(std::equal(row + kArkitWeights, row + kArkitWeights + 3, head.data() + frame * 3));
  }
  for (int name = 0; name < kArkitWeights; ++name) CHECK(retarget.has_place(name));
  CHECK(retarget.head_has_place());
  CHECK(apply(retarget, FaceRows{}).empty());
}

void what_is_not_given_keeps_its_default() {
  const Retarget retarget(
      avatar({shapes("other", {"smirk"}, {0.125f}), shapes("arkit", {"jawOpen", "mouthFunnel"}, {0.25f, 0.75f}),
              joints("head_pose", {0.5f, 0, 0})}));
  const Row rest = {0.125f, 0.25f, 0.75f, 0.5f, 0, 0};
  CHECK(apply(retarget, Face({})) == rest);
  CHECK(apply(retarget, FaceRows{2}) == Row({0.125f, 0.25f, 0.75f, 0.5f, 0, 0, 0.125f, 0.25f, 0.75f, 0.5f, 0, 0}));
  CHECK(apply(retarget, Face({{arkit::mouthFunnel, 0}})) == Row({0.125f, 0.25f, 0, 0.5f, 0, 0}));
  CHECK(apply(retarget, Face({}, {0, 1, 0})) == Row({0.125f, 0.25f, 0.75f, 0, 1, 0}));

  const Face jaw({{arkit::jawOpen, 0.0f}}), blink({{arkit::eyeBlinkLeft, 1.0f}}), turn({}, {0, 0, 0});
  CHECK(!retarget.moves(0, jaw.rows()) && retarget.moves(1, jaw.rows()) && !retarget.moves(2, jaw.rows()));
  CHECK(!retarget.moves(1, blink.rows()));
  CHECK(retarget.moves(2, turn.rows()) && !retarget.moves(1, turn.rows()));
}

void any_one_shape_may_be_missing() {
  // Alone of its kind: nothing else of a face moves so.
  const Names without = {"eyeBlinkLeft",   "eyeBlinkRight",  "eyeWideLeft",     "eyeWideRight",  "jawForward",
                         "browDownLeft",   "browDownRight",  "cheekPuff",       "tongueOut",     "eyeLookInLeft",
                         "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"};
  for (int missing = 0; missing < kArkitWeights; ++missing) {
    const Names names = every_name_but({kArkitNames[missing]});
    const Retarget retarget(avatar({shapes("arkit", names)}));
    const bool alone = std::count(without.begin(), without.end(), kArkitNames[missing]) == 1;
    for (int name = 0; name < kArkitWeights; ++name) {
      const bool placed = name != missing || !alone;
      CHECK_MESSAGE(retarget.has_place(name) == placed, kArkitNames[name]);
    }
    std::array<float, kArkitWeights> weight{};
    weight.fill(0.5f);  // so that what a stand-in takes away shows
    const Row before = Row(names.size(), 0.5f), after = apply(retarget, {1, weight.data(), nullptr, nullptr});
    int changed = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      if (after[i] == before[i]) continue;
      ++changed;
      const double share = std::abs(static_cast<double>(after[i]) - 0.5) / 0.5;
      CHECK_MESSAGE(share > 0 && share <= 1, names[i]);
    }
    CHECK_MESSAGE(alone ? changed == 0 : changed == 1 || changed == 2, kArkitNames[missing]);
  }
}

void the_best_of_the_options_that_a_rig_has_is_taken() {
  const Face funnel({{arkit::mouthFunnel, 0.5f}});
  CHECK(near(told({"mouthPucker", "jawOpen"}, "mouthPucker", funnel), 0.3));
  CHECK(near(told({"mouthPucker", "jawOpen"}, "jawOpen", funnel), 0.1));
  CHECK(near(told({"mouthPucker"}, "mouthPucker", funnel), 0.3));
  CHECK(near(told({"jawOpen"}, "jawOpen", funnel), 0.1));
  CHECK(near(told({"mouthSmileLeft", "mouthFrownLeft"}, "mouthFrownLeft", {{arkit::mouthStretchLeft, 1.0f}}), 0.5));
  CHECK(near(told({"mouthSmileLeft", "mouthDimpleLeft"}, "mouthSmileLeft", {{arkit::mouthStretchLeft, 1.0f}}), 0));
  CHECK(near(told({"mouthSmileLeft", "mouthDimpleLeft"}, "mouthDimpleLeft", {{arkit::mouthStretchLeft, 1.0f}}), 0.6));
  CHECK(near(told({"mouthSmileRight"}, "mouthSmileRight", {{arkit::mouthStretchRight, 1.0f}}), 0.4));
  CHECK(near(told({"mouthSmileRight"}, "mouthSmileRight", {{arkit::mouthStretchLeft, 1.0f}}), 0));
  CHECK(near(told({"jawRight"}, "jawRight", {{arkit::mouthRight, 1.0f}}), 0.7));
  CHECK(near(told({"browInnerUp"}, "browInnerUp", {{arkit::browOuterUpLeft, 1.0f}, {arkit::browOuterUpRight, 0.5f}}),
             0.75));
  CHECK(!Retarget(avatar({shapes("arkit", {"mouthPressLeft"})})).has_place(arkit::mouthRollUpper));  // half of a pair
}

void stand_ins_stop_at_closed_and_at_one() {
  const Names no_close = every_name_but({"mouthClose"});
  CHECK(near(told(no_close, "jawOpen", {{arkit::jawOpen, 0.5f}, {arkit::mouthClose, 0.25f}}), 0.25));
  CHECK(told(no_close, "jawOpen", {{arkit::jawOpen, 0.2f}, {arkit::mouthClose, 0.5f}}) == 0);
  CHECK(told(no_close, "jawOpen", {{arkit::mouthClose, 0.5f}}) == 0);
  const Names two = {"mouthPucker", "jawOpen"};
  CHECK(near(told(two, "mouthPucker", {{arkit::mouthFunnel, 0.5f}, {arkit::mouthPucker, 0.25f}}), 0.55));
  CHECK(told(two, "mouthPucker", {{arkit::mouthFunnel, 1.0f}, {arkit::mouthPucker, 0.9f}}) == 1);
  // What the rig has itself is played as given, and stand-ins push it no further out.
  CHECK(told(two, "mouthPucker", {{arkit::mouthFunnel, 0.0f}, {arkit::mouthPucker, 1.3f}}) == 1.3f);
  CHECK(told(two, "mouthPucker", {{arkit::mouthFunnel, 1.0f}, {arkit::mouthPucker, 1.3f}}) == 1.3f);
  CHECK(told(no_close, "jawOpen", {{arkit::jawOpen, -0.1f}, {arkit::mouthClose, 0.5f}}) == -0.1f);
}

void names_without_a_side_take_both() {
  const Names names = {"eyeBlink", "jawOpen", "mouth", "jaw"};
  CHECK(near(told(names, "eyeBlink", {{arkit::eyeBlinkLeft, 0.8f}, {arkit::eyeBlinkRight, 0.4f}}), 0.6));
  CHECK(near(told(names, "eyeBlink", {{arkit::eyeBlinkRight, 0.4f}}), 0.2));
  // mouthLeft is a direction, not the left side of "mouth".
  const Retarget retarget(avatar({shapes("arkit", names)}));
  for (const arkit::Weight w : {arkit::mouthLeft, arkit::mouthRight, arkit::jawLeft}) CHECK(!retarget.has_place(w));
  CHECK(!Retarget(avatar({shapes("lids", {"eyeBlink"})})).speaks());
}

void the_first_input_with_a_name_is_its_home() {
  const Retarget retarget(
      avatar({shapes("first", {"jawOpen", "-tongueOut", "-mouthClose"}), shapes("second", {"jawOpen", "mouthClose"})}));
  const Face face({{arkit::jawOpen, 0.75f}, {arkit::tongueOut, 0.5f}, {arkit::mouthClose, 0.25f}});
  // A shape that is absent at home is absent: mouthClose goes to the jaw, and the tongue nowhere.
  CHECK(near(apply(retarget, face), {0.5, 0.5, 0.25, 0, 0}));
  CHECK(!retarget.has_place(arkit::tongueOut) && retarget.has_place(arkit::mouthClose));
  CHECK(retarget.moves(0, face.rows()) && !retarget.moves(1, face.rows()));
}

// ---- FLAME ----

// A mesh whose lips lie on an ellipse 0.05 wide, all other vertices far from it; its shapes move every vertex.
struct FlameHead {
  std::vector<float> vertex;
  std::vector<uint32_t> start{0}, moved;
  std::vector<float> delta;

  FlameHead() : vertex(3 * ts::kFlameVertices) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal(0, 0.02f);
    for (size_t i = 0; i < vertex.size(); ++i) vertex[i] = normal(random) + (i % 3 == 1 ? 0.12f : 0.0f);
    for (int i = 0; i < ts::kLipRing; ++i) {
      const double angle = std::acos(-1.0) * i / (ts::kLipRing - 1);
      for (const int* ring : {ts::kUpperLip, ts::kLowerLip}) {
        float* p = vertex.data() + 3 * ring[i];
        p[0] = static_cast<float>(0.025 * std::cos(angle));
        p[1] = static_cast<float>((ring == ts::kUpperLip ? 0.004 : -0.004) * std::sin(angle));
        p[2] = 0.1f;
      }
    }
  }

  // movement: [kFlameVertices,3]
  void add(const std::vector<float>& movement) {
    for (uint32_t v = 0; v < ts::kFlameVertices; ++v) moved.push_back(v);
    delta.insert(delta.end(), movement.begin(), movement.end());
    start.push_back(static_cast<uint32_t>(moved.size()));
  }
  // Another shape on the lips alone: `lip` at weight 1, as far as the mouth is wide.
  void add_lips(int lip) {
    std::vector<double> movement(2 * ts::kLipRing * 3);
    ts::lip_movement(lip, vertex.data(), movement.data());
    std::vector<float> all(3 * ts::kFlameVertices);
    for (int i = 0; i < 2 * ts::kLipRing; ++i) {
      const int v = i < ts::kLipRing ? ts::kUpperLip[i] : ts::kLowerLip[i - ts::kLipRing];
      for (int axis = 0; axis < 3; ++axis) all[3 * v + axis] = static_cast<float>(0.05 * movement[3 * i + axis]);
    }
    add(all);
  }
  // expr, and these inputs.
  ts::AvatarFile file(std::vector<AvatarInput> inputs, Row expr_default = {}) const {
    Names names;
    for (size_t i = 0; i + 1 < start.size(); ++i) names.push_back("expr_" + std::to_string(i));
    if (!names.empty()) inputs.insert(inputs.begin(), shapes("expr", names, std::move(expr_default)));
    ts::AvatarFile out = avatar(std::move(inputs), ts::RigKind::kFlame);
    out.v = static_cast<int64_t>(vertex.size() / 3);
    out.s = static_cast<int64_t>(names.size());
    out.vertex = vertex.data();
    out.shape_start = start.data();
    out.shape_vertex = moved.data();
    out.shape_delta = delta.data();
    return out;
  }
};

int lip_of(arkit::Weight weight) {
  for (int lip = 0; lip < ts::kLipWeights; ++lip) {
    if (ts::lip_weight(lip) == weight) return lip;
  }
  return -1;
}

// expr_0 is a pucker and nothing else, expr_1 a pucker that lifts the rest of the head, expr_2 a noise.
FlameHead puckering_head() {
  FlameHead head;
  const int pucker = lip_of(arkit::mouthPucker);
  head.add_lips(pucker);
  head.add_lips(pucker);
  float* second = head.delta.data() + 3 * ts::kFlameVertices;
  for (size_t v = 0; v < ts::kFlameVertices; ++v) {
    if (head.vertex[3 * v + 1] > 0.05f) second[3 * v + 1] += 0.02f;
  }
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 1e-3f);
  std::vector<float> noise(3 * ts::kFlameVertices);
  std::generate(noise.begin(), noise.end(), [&] { return normal(random); });
  head.add(noise);
  return head;
}

void flame_turns_jaw_eyes_and_neck() {
  const Retarget retarget(avatar({joints("rotation", {0, 0, 0}), joints("neck_pose", {0.5f, 0, 0}),
                                  joints("jaw_pose", {0.125f, 0, 0}), joints("eyes_pose", {0, 0, 0.25f, 0, 0, 0})},
                                 ts::RigKind::kFlame));
  CHECK(retarget.speaks());
  const Face face({{arkit::jawOpen, 0.5f},
                   {arkit::mouthClose, 0.25f},
                   {arkit::jawLeft, 0.5f},
                   {arkit::eyeLookOutLeft, 0.5f},
                   {arkit::eyeLookInRight, 0.25f},
                   {arkit::eyeLookDownLeft, 0.25f},
                   {arkit::eyeLookUpRight, 0.5f}},
                  {0.1f, 0.2f, 0.3f});
  CHECK(near(apply(retarget, face),
             {0, 0, 0, 0.6, 0.2, 0.3, 0.125 + 0.44 * 0.25, 0.09 * 0.5, 0, 0.125, 0.25, 0.25, -0.25, 0.125, 0}));
  const Row other = apply(retarget, {{arkit::jawRight, 1.0f},
                                     {arkit::eyeLookInLeft, 1.0f},
                                     {arkit::eyeLookUpLeft, 1.0f},
                                     {arkit::eyeLookOutRight, 1.0f},
                                     {arkit::eyeLookDownRight, 1.0f}});
  CHECK(near(other, {0, 0, 0, 0.5, 0, 0, 0.125, -0.09, 0, -0.5, -0.5, 0.25, 0.5, -0.5, 0}));
  // Lips that mouthClose keeps shut have the jaw shut, and never further than that.
  for (const float open : {0.2f, 0.4f}) {
    CHECK(near(apply(retarget, {{arkit::jawOpen, open}, {arkit::mouthClose, 0.4f}})[6], 0.125));
  }
  CHECK(!retarget.moves(0, face.rows()));
  for (size_t input = 1; input < 4; ++input) CHECK(retarget.moves(input, face.rows()));
  const Face brow({{arkit::browInnerUp, 1.0f}});
  CHECK(retarget.moves(2, brow.rows()) && retarget.moves(3, brow.rows()) && !retarget.moves(1, brow.rows()));
  CHECK(apply(retarget, brow) == Row({0, 0, 0, 0.5f, 0, 0, 0.125f, 0, 0, 0, 0, 0.25f, 0, 0, 0}));
}

void flame_says_what_it_has_no_place_for() {
  const Retarget bare(avatar({joints("jaw_pose", {0, 0, 0})}, ts::RigKind::kFlame));
  std::set<int> placed;
  for (int weight = 0; weight < kArkitWeights; ++weight) {
    if (bare.has_place(weight)) placed.insert(weight);
  }
  CHECK(placed == std::set<int>({arkit::jawOpen, arkit::mouthClose, arkit::jawLeft, arkit::jawRight}));
  CHECK(!bare.head_has_place());
  CHECK(apply(bare, Face({}, {1, 2, 3})) == Row({0, 0, 0}));

  const Retarget whole(puckering_head().file({joints("jaw_pose", {0, 0, 0}), joints("eyes_pose", Row(6, 0.0f))}));
  int n_placed = 0;
  for (int weight = 0; weight < kArkitWeights; ++weight) n_placed += whole.has_place(weight);
  CHECK(n_placed == 4 + 8 + ts::kLipWeights);
  for (const arkit::Weight w : {arkit::eyeBlinkLeft, arkit::browInnerUp, arkit::tongueOut, arkit::jawForward}) {
    CHECK(!whole.has_place(w));
  }
}

void the_head_turns_where_it_can() {
  const auto turned = [](std::vector<AvatarInput> inputs) {
    inputs.push_back(joints("jaw_pose", {0, 0, 0}));
    const Retarget retarget(avatar(std::move(inputs), ts::RigKind::kFlame));
    CHECK(retarget.head_has_place());
    return apply(retarget, Face({}, {0.5f, 0, 0}));
  };
  const AvatarInput rotation = joints("rotation", {1, 0, 0}), neck = joints("neck_pose", {2, 0, 0});
  CHECK(turned({rotation}) == Row({1.5f, 0, 0, 0, 0, 0}));
  CHECK(turned({rotation, neck}) == Row({1, 0, 0, 2.5f, 0, 0, 0, 0, 0}));
  CHECK(turned({rotation, joints("neck_pose", Row(6, 0.0f))}) == Row({1.5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(turned({neck, joints("head_pose", {3, 0, 0})}) == Row({2, 0, 0, 0.5f, 0, 0, 0, 0, 0}));
  // Necks are FLAME's: an ARKit rig's input of that name may be anything.
  CHECK(!Retarget(avatar({shapes("arkit", {"jawOpen"}), neck})).head_has_place());
}

// Weights and the head leave it alone, and it them.
void lungs_fill_an_input_of_one_number() {
  const float breath[] = {0.25f, 0.75f};
  FaceRows full;
  full.n = 2, full.breath = breath;
  const Names whole = {"jawOpen"}, own = {"breath"};
  const Retarget retarget(avatar({shapes("breath", own, {0.5f}), shapes("arkit", whole)}));
  CHECK(retarget.breath_has_place() && retarget.moves(0, full) && !retarget.moves(1, full));
  CHECK(apply(retarget, full) == Row({0.25f, 0, 0.75f, 0}));
  const Face face({{arkit::jawOpen, 1.0f}}, {0.1f, 0.2f, 0.3f});
  CHECK(!retarget.moves(0, face.rows()) && apply(retarget, face) == Row({0.5f, 1}));
  const Retarget two(avatar({shapes("breath", {"in", "out"}), shapes("arkit", {"jawOpen", "breath"})}));
  CHECK(!two.breath_has_place() && !two.moves(0, full) && apply(two, full) == Row(8, 0.0f));
}

void flame_lips_are_solved_on_the_mesh() {
  const FlameHead head = puckering_head();
  const Retarget retarget(head.file({joints("jaw_pose", {0, 0, 0})}, {0, 0, 0.25f}));
  const Row row = apply(retarget, {{arkit::mouthPucker, 0.5f}});
  CHECK(near(row[0], 0.5, 0.03));  // the pucker that moves nothing else
  CHECK(near(row[1], 0, 0.03));
  CHECK(near(row[2], 0.25, 0.03));  // from its default
  CHECK(near(apply(retarget, {{arkit::jawOpen, 1.0f}}), {0, 0, 0.25, 0.44, 0, 0}));

  // An expression that the rig lacks is told nothing; teeth behind FLAME's vertices change nothing.
  FlameHead toothed = head;
  toothed.vertex.insert(toothed.vertex.end(), {5, 5, 5, 6, 6, 6});
  ts::AvatarFile file = toothed.file({joints("jaw_pose", {0, 0, 0})}, {0, 0, 0.25f});
  CHECK(apply(Retarget(file), {{arkit::mouthPucker, 0.5f}}) == row);
  file.inputs[0].index[0] = -1;
  const Row without = apply(Retarget(file), {{arkit::mouthPucker, 0.5f}});
  CHECK(without[0] == 0);
  CHECK(without[1] > 0.05f);  // now worth the rest of the head
  // Another mesh than FLAME's has no lips that are known.
  file.v = ts::kFlameVertices - 1;
  CHECK(near(apply(Retarget(file), {{arkit::mouthPucker, 0.5f}}), {0, 0, 0.25, 0, 0, 0}));
  CHECK(!Retarget(file).has_place(arkit::mouthPucker));
}

void lips_move_to_the_side_that_is_meant() {
  const FlameHead head;
  std::vector<double> left(2 * ts::kLipRing * 3), right(left.size());
  ts::lip_movement(lip_of(arkit::mouthSmileLeft), head.vertex.data(), left.data());
  ts::lip_movement(lip_of(arkit::mouthSmileRight), head.vertex.data(), right.data());
  const auto is = [](const double* p, double x, double y, double z) {
    return std::hypot(p[0] - x, p[1] - y, p[2] - z) < 1e-6;
  };
  const int last = ts::kLipRing - 1, middle = ts::kLipRing / 2;
  CHECK(is(left.data(), 0.14, 0.21, -0.18) && is(left.data() + 3 * last, 0, 0, 0));
  CHECK(is(right.data(), 0, 0, 0) && is(right.data() + 3 * last, -0.14, 0.21, -0.18));
  CHECK(is(left.data() + 3 * middle, 0, 0.03, -0.03));
  CHECK(is(left.data() + 3 * (ts::kLipRing + middle), 0, 0.04, -0.02));
  std::set<int> weights;
  for (int lip = 0; lip < ts::kLipWeights; ++lip) weights.insert(ts::lip_weight(lip));
  CHECK(weights.size() == ts::kLipWeights);
}

void lips_without_an_answer_stay_at_rest() {
  const auto retarget_of = [](const FlameHead& head) {
    return Retarget(head.file({joints("jaw_pose", {0, 0, 0})}, {0.5f, 0, 0}));
  };
  const Face puckered({{arkit::mouthPucker, 1.0f}});
  const auto pucker = [&](const FlameHead& head) { return apply(retarget_of(head), puckered); };
  const auto says_so = [&](const FlameHead& head) {
    const Retarget retarget = retarget_of(head);
    return !retarget.has_place(arkit::mouthPucker) && retarget.has_place(arkit::jawOpen) &&
           !retarget.moves(0, puckered.rows()) && retarget.moves(1, puckered.rows());
  };
  const Row rest = {0.5f, 0, 0, 0, 0, 0};
  FlameHead head = puckering_head();
  std::fill(head.vertex.begin(), head.vertex.end(), 0.125f);
  CHECK(pucker(head) == rest && says_so(head));  // a mouth without width
  head = puckering_head();
  std::fill(head.delta.begin(), head.delta.end(), 0.0f);
  CHECK(pucker(head) == rest && says_so(head));  // expressions that move nothing
  for (const float size : {1e-30f, 1e30f}) {
    head = puckering_head();
    for (float& x : head.delta) x *= size;
    CHECK(all_finite(pucker(head)));
    head = puckering_head();
    for (float& x : head.vertex) x *= size;
    CHECK(all_finite(pucker(head)));
  }
}

void only_so_many_expressions_are_used() {
  FlameHead head;
  head.add_lips(lip_of(arkit::mouthPucker));
  Names names(ts::kMaxExpressions + 1);
  for (size_t i = 0; i < names.size(); ++i) names[i] = "-expr_" + std::to_string(i);
  ts::AvatarFile file = head.file({joints("jaw_pose", {0, 0, 0})});
  file.inputs[0] = shapes("expr", names, Row(names.size(), 0.25f));
  for (const size_t present : {names.size() - 2, names.size() - 1}) {
    file.inputs[0].index[present] = 0;
    const Row row = apply(Retarget(file), {{arkit::mouthPucker, 1.0f}});
    const size_t used = names.size() - 2;
    CHECK(near(row[used], 1.25, 0.03));
    CHECK(row[names.size() - 1] == 0.25f);
  }
}

// ---- what holds for all ----

void what_no_face_moves_stays_at_rest() {
  Face face({{arkit::jawOpen, 1.0f}, {arkit::mouthPucker, 1.0f}}, {1, 2, 3});
  const Retarget nothing(avatar({}));
  CHECK(!nothing.speaks() && nothing.n_control() == 0 && !nothing.head_has_place());
  CHECK(apply(nothing, face).empty());

  const Retarget mesh(avatar({shapes("pose", {"wave"}, {0.5f}), joints("jaw_pose", {0, 0, 0})}, ts::RigKind::kMesh));
  CHECK(!mesh.speaks() && !mesh.head_has_place());
  CHECK(apply(mesh, face) == Row({0.5f, 0, 0, 0}));
  for (int weight = 0; weight < kArkitWeights; ++weight) CHECK(!mesh.has_place(weight));
  CHECK(!mesh.moves(0, face.rows()) && !mesh.moves(1, face.rows()));

  // FLAME's own inputs without its jaw; and a head that only turns.
  const Retarget flame(puckering_head().file({joints("neck_pose", {0, 0, 0})}));
  CHECK(!flame.speaks() && !flame.head_has_place());
  const Retarget turns(avatar({joints("head_pose", {0, 0, 0})}));
  CHECK(!turns.speaks() && turns.head_has_place() && turns.moves(0, face.rows()));
  CHECK(apply(turns, face) == Row({1, 2, 3}));
  CHECK(!Retarget(avatar({joints("head_pose", Row(6, 0.0f))})).head_has_place());
}

void a_finite_face_gives_finite_inputs() {
  constexpr float kMax = std::numeric_limits<float>::max();
  const FlameHead head = puckering_head();
  const Retarget all[] = {
      Retarget(avatar({shapes("arkit", kEveryName)})),
      Retarget(avatar({shapes("arkit", {"mouthPucker", "jawOpen", "mouthPressLeft", "mouthPressRight"})})),
      Retarget(head.file(
          {joints("jaw_pose", {kMax, 0, 0}), joints("eyes_pose", Row(6, -kMax)), joints("neck_pose", Row(3, kMax))})),
  };
  std::mt19937 random(4);
  for (const Retarget& retarget : all) {
    for (int trial = 0; trial < 50; ++trial) {
      std::array<float, kArkitWeights> weight;
      for (float& w : weight) w = random() % 2 ? kMax : -kMax;
      const Row pose(3, trial % 2 ? kMax : -kMax);
      CHECK(all_finite(apply(retarget, {1, weight.data(), nullptr, pose.data()})));
    }
  }
}

void a_frame_allocates_nothing() {
  const Retarget retarget(puckering_head().file({joints("jaw_pose", {0, 0, 0}), joints("eyes_pose", Row(6, 0.0f))}));
  const Face face({{arkit::jawOpen, 1.0f}, {arkit::mouthPucker, 1.0f}}, {1, 2, 3});
  Row control(static_cast<size_t>(retarget.n_control()));
  const int before = n_allocations;
  bool moved = true;
  for (int i = 0; i < 10; ++i) {
    retarget.apply(face.rows(), control.data());
    moved = moved && retarget.moves(0, face.rows());
  }
  const int allocated = n_allocations - before;  // CHECK itself allocates
  CHECK(moved);
  CHECK(allocated == 0);
}

}  // namespace

int main() {
  a_whole_rig_takes_a_face_as_it_is();
  what_is_not_given_keeps_its_default();
  any_one_shape_may_be_missing();
  the_best_of_the_options_that_a_rig_has_is_taken();
  stand_ins_stop_at_closed_and_at_one();
  names_without_a_side_take_both();
  the_first_input_with_a_name_is_its_home();
  flame_turns_jaw_eyes_and_neck();
  flame_says_what_it_has_no_place_for();
  the_head_turns_where_it_can();
  lungs_fill_an_input_of_one_number();
  flame_lips_are_solved_on_the_mesh();
  lips_move_to_the_side_that_is_meant();
  lips_without_an_answer_stay_at_rest();
  only_so_many_expressions_are_used();
  what_no_face_moves_stays_at_rest();
  a_finite_face_gives_finite_inputs();
  a_frame_allocates_nothing();
  return ts_test::report("test_retarget");
}
