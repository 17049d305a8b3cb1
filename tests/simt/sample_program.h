// SPDX-License-Identifier: Apache-2.0
// Deform programs made in memory, of the shapes that methods have, with the posed Gaussians that they work on; and the
// same computed in float64, stage by stage, as FORMAT.md has it.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "ops/deform.h"

namespace ts_test {

// What its views point to lives as long as it does. Made in the order in which a file has it: branches, their static
// values, then their stages.
class SampleProgram {
 public:
  explicit SampleProgram(uint32_t seed = 1) : state_(seed) {}
  SampleProgram(SampleProgram&&) = default;

  // A vector of `size` numbers of the control. Returns the value of the condition.
  int input(int size, float spread = 1);
  void branch(const std::string& name, int64_t n);
  // These add to the branch that was made last, and return its new value.
  int rows(int width, float spread = 1);
  struct Extra {  // values; -1: none
    int gain = -1, frame = -1, plus = -1;
    bool bias = true;
  };
  int linear(int in, int width, ts::Activation activation, const Extra& extra);
  int linear(int in, int width, ts::Activation activation) { return linear(in, width, activation, Extra()); }
  int attention(int in, const std::vector<int>& tokens, int heads, int plus = -1);
  int norm(int in, ts::Activation activation);
  void add(int in, ts::DeformTarget target, float spread = 0.1f);

  // Ends the program: Gaussians of all branches. sh_degree -1: colours are RGB.
  void finish(int sh_degree = -1);
  // Random numbers around 0, of this standard deviation.
  const float* numbers(int64_t n, float spread);

  ts::DeformProgram program;
  ts::GaussianView posed;
  std::vector<float> control;  // what `input` made; also the values of the condition, in order
  const float* condition() const { return control.data(); }

 private:
  int value(int width, const float* rows);
  ts::DeformMap map(int outputs, int inputs, float spread, bool bias = true);
  ts::DeformBranch& last() { return program.branches.back(); }
  float random();  // in -1..1

  uint32_t state_;
  std::deque<std::vector<float>> memory_;
};

// The methods' networks. n: Gaussians of each branch.
SampleProgram embed_talk(int64_t n, int width);
SampleProgram gaussian_talker(int64_t n, int layers, int width, int hidden, int head, int sh_degree);
SampleProgram talking_gaussian(int64_t n_face, int64_t n_mouth);
// Whatever the format allows: widths that fill no tile, every kind of stage and target.
SampleProgram random_program(uint32_t seed, int64_t n);

// What a Gaussian becomes, activated; color as RGB where there is an eye.
struct Deformed {
  std::vector<double> mean, quat, scale, opacity, color;
};
// eye_w: [3]; Nullable: SH stays coefficients.
Deformed deform_ref(const SampleProgram& sample, const float* eye_w);

}  // namespace ts_test
