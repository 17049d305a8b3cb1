// SPDX-License-Identifier: Apache-2.0
// Device — one GPU: the driver, its primary context (the one that other libraries of the process use too), and this
// build's kernels on it. Whoever calls the driver makes the context current first, by a Current.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "core/status.h"
#include "cuda/deform_plan.h"
#include "cuda/driver.h"
#include "cuda/triton.h"
#include "kernels/cuda/list.h"

namespace ts::cuda {

// A kernel, and the type of its one argument.
template <class Args>
struct Kernel {
  CUfunction function = nullptr;
  const char* name = nullptr;
};

// A kernel of kernels/triton, where it is chosen: its one argument is the address of Jobs.
struct TritonKernel {
  TritonChoice choice;
  CUmodule module = nullptr;
  CUfunction function = nullptr;
};

struct Kernels {
#define TS_MEMBER(name, Args) Kernel<Args> name;
  TS_CUDA_KERNELS(TS_MEMBER)
#undef TS_MEMBER
};

class Device {
 public:
  static Status open(int ordinal, std::unique_ptr<Device>& device);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Driver& driver() const { return driver_; }
  const Kernels& kernels() const { return kernels_; }
  int ordinal() const { return device_; }
  const char* id() const { return id_.c_str(); }      // "cuda:0"
  const char* name() const { return name_.c_str(); }  // "NVIDIA GeForce RTX 2060"
  const char* isa() const { return isa_.c_str(); }    // "sm_75"
  int multiprocessors() const { return multiprocessors_; }
  const SharedMemory& shared_memory() const { return shared_memory_; }
  const TritonKernel& deform_layers() const { return deform_layers_; }
  const TritonKernel& encode_rows() const { return encode_rows_; }

  // kDeviceError for what is not CUDA_SUCCESS: "cuda:0 (NAME) cannot <what>: <error>.", and what to do.
  Status check(CUresult result, const char* what) const;
  // The same for bytes of memory `for_what`.
  Status check_memory(CUresult result, uint64_t bytes, const char* for_what) const;
  // In a child of fork() nothing of the driver may be called, not even to give memory back.
  bool forked() const;

  // Held while work is put into streams: one draw's comes after the other's, whole.
  std::mutex& turn() { return turn_; }

 private:
  friend class Current;
  Device();
  Status find(int ordinal);
  Status load_kernels();
  Status load_triton(TritonKernel& kernel);
  Status lost() const;

  const unsigned forks_;  // fork_count() when it was made
  Driver driver_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  CUmodule module_ = nullptr;
  Kernels kernels_;
  std::string id_, name_, isa_;
  int multiprocessors_ = 0;
  SharedMemory shared_memory_;
  TritonKernel deform_layers_, encode_rows_;
  std::mutex turn_;
  mutable std::atomic<int> lost_{CUDA_SUCCESS};  // what it was lost by
};

// The device's context is current on this thread while this lives; then the one that was before. In a child of fork(),
// and while it cannot be made current, not: see status().
class Current {
 public:
  explicit Current(const Device& device);
  ~Current();
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

  // kDeviceError also for a device that was lost.
  const Status& status() const { return status_; }

 private:
  const Device& device_;
  bool pushed_ = false;
  Status status_;
};

}  // namespace ts::cuda
