// SPDX-License-Identifier: Apache-2.0
// Retarget — a face (ARKit's weights and a head pose) as an avatar's inputs. docs/retargeting.md has the rules.
//
// A rig with ARKit's names takes the weights as they are; a shape that it lacks goes to what stands in for it
// (stand_ins.h). A FLAME avatar turns jaw, eyes and neck, which geometry settles, and moves its lips by the
// coefficients that were solved on its mesh (flame_lips.h). A network that is told action units, or how far the eyes
// are shut, has brows and lids moved. An input called "breath" of one number is how full the lungs are. What finds no
// place is left out, and has_place() says so.
#pragma once
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/avatar_file.h"
#include "engine/control_layout.h"
#include "ops/face.h"

namespace ts {

// Frames of a face; every number finite.
struct FaceRows {
  int64_t n = 0;
  const float* weight = nullptr;     // [n,kArkitWeights]; nullptr: none is given
  const bool* given = nullptr;       // [kArkitWeights], which of them are given; nullptr: all
  const float* head_pose = nullptr;  // [n,3] axis-angle, radians; nullptr: not given
  const float* breath = nullptr;     // [n] 0..1; nullptr: not given
};

class Retarget {
 public:
  // layout: of the file's inputs; it must outlive this. On a FLAME avatar the lips are solved, which takes
  // milliseconds. Throws std::bad_alloc.
  Retarget(const AvatarFile& file, const ControlLayout& layout);

  // Whether a face moves its mouth: an input has one of ARKit's names, or it is moved by FLAME's parameters.
  bool speaks() const { return speaks_; }
  // Whether weights move anything of it: action units do not speak.
  bool has_face() const { return !elements_.empty(); }

  // control: [face.n,layout.size()] (out), finite. What the face does not move gets its default.
  // Allocates nothing and may be called from several threads.
  void apply(const FaceRows& face, float* control) const;

  // Whether the face moves the input (an index into AvatarFile::inputs). Of a FLAME avatar any weight moves jaw, eyes
  // and lips: those that are not given are 0.
  bool moves(size_t input, const FaceRows& face) const;

  // Whether the avatar has a place for the weight, for the head pose, and for breath.
  bool has_place(int weight) const { return has_place_[static_cast<size_t>(weight)]; }  // arkit::Weight
  bool head_has_place() const { return head_input_ >= 0; }
  bool breath_has_place() const { return breath_input_ >= 0; }

 private:
  using Weights = std::bitset<kArkitWeights>;  // a set of them

  struct Term {
    int weight;
    double share;
  };
  // One float of a control that weights move. Where own is the weight whose name it has, or 0, it becomes start plus
  // own + the sum of share * weight over the terms, clamped to low..high. A weight that lies outside keeps its value:
  // its side of the range is widened to own.
  struct Element {
    int64_t at = 0;  // in a control
    double start = 0, low = 0, high = 1;
    int own = -1;  // weight whose name it has; -1: none
    std::vector<Term> terms;
    Weights told_by;  // it keeps its default unless one of these is given
  };
  void place_on_shapes();
  void place_on_flame(const AvatarFile& file);
  void place_on_units(const AvatarFile& file);
  void place_head(const AvatarFile& file);
  void add_term(Element& element, int weight, double share);
  static Weights given_weights(const FaceRows& face);

  const ControlLayout& layout_;
  bool speaks_ = false;
  bool flame_ = false;             // by FLAME's parameters, not by named shapes
  std::vector<Element> elements_;  // no two of the same float
  std::vector<Weights> moved_by_;  // [inputs] any of these moves it
  Weights has_place_;
  int head_input_ = -1;               // -1: the head pose has no place
  int breath_input_ = -1;             // likewise
  double head_start_[3] = {0, 0, 0};  // added to the head pose
};

}  // namespace ts
