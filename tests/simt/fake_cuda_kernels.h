// SPDX-License-Identifier: Apache-2.0
// The kernels as the fake driver launches them: by name, with one argument of so many bytes.
#pragma once
#include <cstddef>

struct FakeKernel {
  const char* name;
  size_t argument_bytes;
  void (*run)(const void* argument);  // as one thread
};

extern const FakeKernel kFakeKernels[];
extern const int kFakeKernelCount;
