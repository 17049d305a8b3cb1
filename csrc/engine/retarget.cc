// SPDX-License-Identifier: Apache-2.0
#include "engine/retarget.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "engine/flame_lips.h"
#include "engine/stand_ins.h"

namespace ts {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

// FLAME's joints turn about x (+: down, so the jaw opens), y (+: to the face's left) and z.
constexpr double kJawOpenRad = 0.44;  // the lower teeth of the ICT-FaceKit face turn so far at jawOpen 1
constexpr double kJawSideRad = 0.09;  // and its lower lip is carried so far aside at jawLeft 1
constexpr double kEyeRad = 0.5;       // eyes seldom turn further

struct EyeTurn {
  arkit::Weight weight;
  int column;  // of eyes_pose: axis-angle of the left eye, then of the right one
  double direction;
};
constexpr int kEyesPose = 6;
constexpr EyeTurn kEyeTurns[] = {
    {arkit::eyeLookDownLeft, 0, 1}, {arkit::eyeLookUpLeft, 0, -1},   {arkit::eyeLookOutLeft, 1, 1},
    {arkit::eyeLookInLeft, 1, -1},  {arkit::eyeLookDownRight, 3, 1}, {arkit::eyeLookUpRight, 3, -1},
    {arkit::eyeLookInRight, 4, 1},  {arkit::eyeLookOutRight, 4, -1},
};

// Action units by the ARKit weights that mean the same muscle, on OpenFace's scale, 0..5: what networks were trained
// with. A weight of 1 is a movement as far as most faces go, which FACS calls severe (D, 4); its 5 is for the utmost.
// A lid that is shut is 2 of AU45, where the trainings clip it.
struct ActionUnit {
  const char* name;
  double full, most;  // at weight 1 on both sides; never more
  arkit::Weight left, right;
};
constexpr ActionUnit kActionUnits[] = {
    {"au01", 4, 5, arkit::browInnerUp, arkit::browInnerUp},           // inner brow raiser
    {"au04", 4, 5, arkit::browDownLeft, arkit::browDownRight},        // brow lowerer
    {"au05", 4, 5, arkit::eyeWideLeft, arkit::eyeWideRight},          // upper lid raiser
    {"au06", 4, 5, arkit::cheekSquintLeft, arkit::cheekSquintRight},  // cheek raiser
    {"au07", 4, 5, arkit::eyeSquintLeft, arkit::eyeSquintRight},      // lid tightener
    {"au45", 2, 2, arkit::eyeBlinkLeft, arkit::eyeBlinkRight},        // blink
};
// GaussianTalker's one number of the eyes is AU45, clipped and halved.
constexpr ActionUnit kEye = {"eye", 1, 1, arkit::eyeBlinkLeft, arkit::eyeBlinkRight};

// Nullable: of the name of an element. OpenFace's columns end in _r.
const ActionUnit* action_unit(std::string_view name) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  const auto is = [&](std::string_view text, std::string_view wanted) {
    return text.size() == wanted.size() && std::equal(text.begin(), text.end(), wanted.begin(), same);
  };
  if (name.size() > 2 && is(name.substr(name.size() - 2), "_r")) name.remove_suffix(2);
  for (const ActionUnit& unit : kActionUnits) {
    if (is(name, unit.name)) return &unit;
  }
  return nullptr;
}

// Sums of finite floats may leave their range.
float to_float(double x) {
  constexpr double kMax = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(x, -kMax, kMax));
}

// Where a name is at home: the first input, in the manifest's order, that has it.
struct Home {
  int64_t at = -1;       // in a control; -1: nowhere
  bool present = false;  // the rig has its shape
};
using Homes = std::unordered_map<std::string_view, Home>;

// Of ARKit's names and of those without their side. Others are passed over: a file may have millions.
Homes find_homes(const ControlLayout& layout) {
  Homes homes;
  for (const char* name : kArkitNames) {
    homes[name] = {};
    if (const std::string_view whole = without_side(name); !whole.empty()) homes[whole] = {};
  }
  for (size_t i = 0; i < layout.inputs().size(); ++i) {
    const AvatarInput& input = layout.inputs()[i];
    for (size_t e = 0; e < input.names.size(); ++e) {
      const auto found = homes.find(input.names[e]);
      if (found == homes.end() || found->second.at >= 0) continue;
      found->second = {layout.offset(i) + static_cast<int64_t>(e), input.index[e] >= 0};
    }
  }
  return homes;
}

constexpr int kNone = -1;

int input_named(const AvatarFile& file, std::string_view name) {
  for (size_t i = 0; i < file.inputs.size(); ++i) {
    if (file.inputs[i].name == name) return static_cast<int>(i);
  }
  return kNone;
}

}  // namespace

Retarget::Retarget(const AvatarFile& file, const ControlLayout& layout) : layout_(layout) {
  place_on_shapes();
  flame_ = elements_.empty() && file.rig == RigKind::kFlame && input_named(file, "jaw_pose") != kNone;
  speaks_ = flame_ || !elements_.empty();
  if (flame_) place_on_flame(file);
  place_on_units(file);
  place_head(file);
  const int breath = input_named(file, "breath");
  if (breath != kNone && file.inputs[static_cast<size_t>(breath)].size == 1) breath_input_ = breath;
  moved_by_.resize(file.inputs.size());
  for (const Element& element : elements_) {
    moved_by_[layout_.input_at(element.at)] |= element.told_by;
  }
}

void Retarget::add_term(Element& element, int weight, double share) {
  element.terms.push_back({weight, share});
  element.told_by.set(static_cast<size_t>(weight));
  has_place_.set(static_cast<size_t>(weight));
}

void Retarget::place_on_shapes() {
  const Homes homes = find_homes(layout_);
  const bool named = std::any_of(std::begin(kArkitNames), std::end(kArkitNames),
                                 [&](const char* name) { return homes.at(name).at >= 0; });
  if (!named) return;  // a rig that has eyeBlink alone is not ARKit's
  const auto has = [&](std::string_view name) {
    const auto found = homes.find(name);
    return found != homes.end() && found->second.present;
  };
  const auto element_at = [&](int64_t at) -> Element& {
    const auto found = std::find_if(elements_.begin(), elements_.end(), [&](const Element& e) { return e.at == at; });
    if (found != elements_.end()) return *found;
    elements_.emplace_back();
    elements_.back().at = at;
    return elements_.back();
  };
  for (int weight = 0; weight < kArkitWeights; ++weight) {
    const Home& home = homes.at(kArkitNames[weight]);
    if (home.at >= 0) {  // where the shape is absent too: it moves nothing there, and the row says what was asked
      Element& element = element_at(home.at);
      element.own = weight;
      element.told_by.set(static_cast<size_t>(weight));
    }
    if (home.present) {
      has_place_.set(static_cast<size_t>(weight));
      continue;
    }
    for (const StandIn& stand_in : find_stand_ins(kArkitNames[weight], has)) {
      add_term(element_at(homes.at(stand_in.shape).at), weight, stand_in.share);
    }
  }
}

void Retarget::place_on_flame(const AvatarFile& file) {
  const auto add = [&](int input, int column, double low) -> Element& {
    elements_.emplace_back();
    Element& element = elements_.back();
    element.at = layout_.offset(static_cast<size_t>(input)) + column;
    element.start = static_cast<double>(layout_.neutral()[element.at]);
    element.low = low;
    element.high = kUnbounded;
    element.told_by.set();
    return element;
  };
  const int jaw = input_named(file, "jaw_pose");
  if (file.inputs[static_cast<size_t>(jaw)].size >= 3) {
    // Lips that mouthClose keeps shut have no place to be but the closed jaw's.
    Element& opening = add(jaw, 0, 0);
    add_term(opening, arkit::jawOpen, kJawOpenRad);
    add_term(opening, arkit::mouthClose, -kJawOpenRad);
    Element& aside = add(jaw, 1, -kUnbounded);
    add_term(aside, arkit::jawLeft, kJawSideRad);
    add_term(aside, arkit::jawRight, -kJawSideRad);
  }
  const int eyes = input_named(file, "eyes_pose");
  if (eyes != kNone && file.inputs[static_cast<size_t>(eyes)].size == kEyesPose) {
    for (int column = 0; column < kEyesPose; ++column) {
      Element& element = add(eyes, column, -kUnbounded);
      for (const EyeTurn& turn : kEyeTurns) {
        if (turn.column == column) add_term(element, turn.weight, turn.direction * kEyeRad);
      }
    }
  }
  const int expr = input_named(file, "expr");
  if (expr == kNone || file.v < kFlameVertices) return;
  const AvatarInput& expressions = file.inputs[static_cast<size_t>(expr)];
  if (expressions.target != InputTarget::kBlendshape) return;
  const std::vector<double> coefficient = solve_lips(file, expressions);
  for (size_t e = 0; e < coefficient.size() / kLipWeights; ++e) {
    const double* share = coefficient.data() + e * kLipWeights;
    const auto moves = [](double x) { return x != 0; };
    if (std::none_of(share, share + kLipWeights, moves)) continue;
    Element& element = add(expr, static_cast<int>(e), -kUnbounded);
    for (int lip = 0; lip < kLipWeights; ++lip) {
      if (moves(share[lip])) add_term(element, lip_weight(lip), share[lip]);
    }
  }
}

// What a network is told of brows and lids, whatever the input's default.
void Retarget::place_on_units(const AvatarFile& file) {
  for (size_t input = 0; input < file.inputs.size(); ++input) {
    const AvatarInput& told = file.inputs[input];
    if (told.target != InputTarget::kDeform) continue;
    const auto add = [&](const ActionUnit& unit, size_t element) {
      elements_.emplace_back();
      elements_.back().at = layout_.offset(input) + static_cast<int64_t>(element);
      elements_.back().high = unit.most;
      add_term(elements_.back(), unit.left, unit.full / 2);
      add_term(elements_.back(), unit.right, unit.full / 2);
    };
    for (size_t e = 0; e < told.names.size(); ++e) {
      if (const ActionUnit* unit = action_unit(told.names[e])) add(*unit, e);
    }
    if (told.name == kEye.name && told.size == 1 && told.names.empty()) add(kEye, 0);
  }
}

// An input head_pose, whatever it turns, is the pose itself; FLAME's own joints turn by it from where they are.
void Retarget::place_head(const AvatarFile& file) {
  for (const char* name : {"head_pose", "neck_pose", "rotation"}) {
    const bool own = name == std::string_view("head_pose");
    const int input = own || flame_ ? input_named(file, name) : kNone;
    if (input == kNone || file.inputs[static_cast<size_t>(input)].size != 3) continue;
    head_input_ = input;
    const float* start = layout_.neutral() + layout_.offset(static_cast<size_t>(input));
    for (int axis = 0; axis < 3; ++axis) head_start_[axis] = own ? 0 : static_cast<double>(start[axis]);
    return;
  }
}

Retarget::Weights Retarget::given_weights(const FaceRows& face) {
  Weights given;
  for (size_t i = 0; i < given.size(); ++i) given[i] = face.weight && (!face.given || face.given[i]);
  return given;
}

bool Retarget::moves(size_t input, const FaceRows& face) const {
  return (face.head_pose && static_cast<int>(input) == head_input_) ||
         (face.breath && static_cast<int>(input) == breath_input_) || (moved_by_[input] & given_weights(face)).any();
}

void Retarget::apply(const FaceRows& face, float* control) const {
  const Weights given = given_weights(face);
  for (int64_t row = 0; row < face.n; ++row, control += layout_.size()) {
    std::copy(layout_.neutral(), layout_.neutral() + layout_.size(), control);
    if (face.head_pose && head_has_place()) {
      float* turn = control + layout_.offset(static_cast<size_t>(head_input_));
      for (int axis = 0; axis < 3; ++axis) {
        turn[axis] = to_float(head_start_[axis] + static_cast<double>(face.head_pose[3 * row + axis]));
      }
    }
    if (face.breath && breath_has_place()) {
      control[layout_.offset(static_cast<size_t>(breath_input_))] = face.breath[row];
    }
    if (given.none()) continue;
    double weight[kArkitWeights];
    for (size_t i = 0; i < given.size(); ++i) {
      weight[i] = given[i] ? static_cast<double>(face.weight[kArkitWeights * row + static_cast<int64_t>(i)]) : 0.0;
    }
    for (const Element& element : elements_) {
      if ((element.told_by & given).none()) continue;
      const double own = element.own >= 0 ? weight[element.own] : 0.0;
      double sum = own;
      for (const Term& term : element.terms) sum += term.share * weight[term.weight];
      control[element.at] =
          to_float(element.start + std::clamp(sum, std::min(own, element.low), std::max(own, element.high)));
    }
  }
}

}  // namespace ts
