// SPDX-License-Identifier: Apache-2.0
// A small avatar with a deform program that has every kind of stage: two branches, the second one dilated, an input that
// follows the camera, one that turns the view, and one that is a window of features. Its weights are a fixed pattern.
#pragma once
#include <string>

#include "sample_file.h"

namespace ts_test {

struct SampleDeform : SampleFile {
  SampleDeform() : SampleDeform(7, 3) {}  // the good one
  SampleDeform(int n_face, int n_mouth);

  // The same with colours of spherical harmonics of the first degree, to which both branches add.
  void add_to_sh();

 private:
  void random(const std::string& name, std::vector<int64_t> shape, float size = 0.5f, float middle = 0);
  uint32_t state_ = 1;
};

// n stages that each pass "base" on, in front of the mouth's.
void lengthen_mouth(SampleDeform& s, int n);
// In place of the program: a condition, and a branch of the rows that it reads nothing for.
void replace_condition(SampleDeform& s, const std::string& condition);
void replace_branches(SampleDeform& s, const std::string& static_names, const std::string& stages);
// Maps of an attention of width 64 that is the first stage of "all".
void add_maps(SampleDeform& s);

}  // namespace ts_test
