// SPDX-License-Identifier: Apache-2.0
// The kernels as the fake driver launches them: by name, with one argument of so many bytes. Those of kernels/triton are
// stood in for by C++ that computes the same, unless a test has set what runs the real ones (fake_cuda_interpret).
#pragma once
#include <cstddef>

struct FakeKernel {
  const char* name;
  size_t argument_bytes;
  void (*run)(const void* argument);  // as one thread
  int hidden = 0;                     // parameters that Triton adds, addresses that must be null
};

extern const FakeKernel kFakeKernels[];
extern const int kFakeKernelCount;
