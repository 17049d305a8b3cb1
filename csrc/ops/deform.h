// SPDX-License-Identifier: Apache-2.0
// deform — the avatar's deform program over the posed Gaussians.
//
// Program  stages that read one row of a Gaussian and the frame's control, and add to its mean, scale, rotation, opacity
//          and colour. No stages, the only program so far, is the identity
// In, out  what a program changes it writes to rows of its own, which never alias the view that it reads: pose's output
//          of one frame is not the input of the next
// Oracle   tests/reference/deform.py
#pragma once
#include <cstdint>

#include "ops/gaussians.h"

namespace ts {

struct DeformProgram {
  int n_stages = 0;
};

struct DeformArgs {
  const DeformProgram* program = nullptr;
  const float* control = nullptr;  // the frame's control vector; unused by a program of no stages
  GaussianView in;                 // posed
  GaussianRows rows;               // [in.n], for a program of stages
};

// kInvalidArgument for rows that alias the view, and for programs that this build cannot run.
Status check(const DeformArgs& args);

}  // namespace ts
