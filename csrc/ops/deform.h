// deform — the avatar's deform program over the posed Gaussians.
//
// A program of no stages, the only one that format 1 of the avatar file knows, is the identity: rows pass through
// unchanged. Input and output may be the same arrays (then nothing is copied) but must not overlap otherwise.
//
// Oracle   tests/reference/deform.py
#pragma once
#include <cstdint>

#include "core/status.h"

namespace ts {

struct DeformRows {
  float* mean_w = nullptr;  // [n,3]
  float* quat = nullptr;    // [n,4] wxyz, unit
  float* scale = nullptr;   // [n,3]
};

struct DeformArgs {
  int64_t n = 0;
  int32_t n_stages = 0;
  DeformRows in, out;
};

Status deform_cpu(const DeformArgs& args);

}  // namespace ts
