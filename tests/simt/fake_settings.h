// SPDX-License-Identifier: Apache-2.0
// What the environment asks of the fake driver (fake_cuda.h).
#pragma once
#include <cstddef>
#include <cstdlib>

struct FakeSettings {
  int devices = 1, capability = 75, version = 13000;
  size_t memory = size_t{6} << 30;
  int fail_at = 0, error = 999, out_of_memory_at = 0, lost_at = 0;  // 0: never
  int order = 0;
  bool kernels = true;

  static FakeSettings read() {
    FakeSettings s;
    s.devices = number("FAKE_CUDA_DEVICES", s.devices);
    s.capability = number("FAKE_CUDA_CAPABILITY", s.capability);
    s.version = number("FAKE_CUDA_VERSION", s.version);
    if (const char* bytes = std::getenv("FAKE_CUDA_MEMORY")) s.memory = std::strtoull(bytes, nullptr, 10);
    s.fail_at = number("FAKE_CUDA_FAIL_AT", s.fail_at);
    s.error = number("FAKE_CUDA_ERROR", s.error);
    s.out_of_memory_at = number("FAKE_CUDA_OUT_OF_MEMORY_AT", s.out_of_memory_at);
    s.lost_at = number("FAKE_CUDA_LOST_AT", s.lost_at);
    s.order = number("FAKE_CUDA_ORDER", s.order);
    s.kernels = number("FAKE_CUDA_KERNELS", 1) != 0;
    return s;
  }

 private:
  static int number(const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text ? std::atoi(text) : otherwise;
  }
};
