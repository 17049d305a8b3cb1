// SPDX-License-Identifier: Apache-2.0
// CpuPlaces — keeps the workers of a pool off the CPU that their caller works on.
//
// In a virtual machine, Linux takes a CPU that idles for one that its host has taken away, and wakes a worker where the
// caller runs: the two then take turns on one CPU, for milliseconds, while the other does nothing. A worker that may not
// run there wakes where it ran before. Elsewhere it costs nothing: that CPU has work. Only on Linux; nothing elsewhere.
#pragma once
#include <cstddef>
#include <memory>

namespace ts {

class CpuPlaces {
 public:
  explicit CpuPlaces(size_t workers);
  ~CpuPlaces();
  CpuPlaces(const CpuPlaces&) = delete;
  CpuPlaces& operator=(const CpuPlaces&) = delete;

  void join(size_t worker);  // by the worker itself, once

  // By one caller at a time. A system call for each worker where the caller has moved since, or free() was called; else
  // none. CPUs that a worker was denied by somebody else stay denied.
  void keep_off_this_cpu();
  void free();  // the caller is going to sleep: its CPU is as good as any

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ts
