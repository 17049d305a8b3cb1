// SPDX-License-Identifier: Apache-2.0
// An NVIDIA GPU behind the seam, reached through the driver API: a program that never opens one needs no driver.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "ops/backend.h"

namespace ts {

struct CudaDevice {
  std::string name;          // "NVIDIA GeForce RTX 2060"
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  uint64_t bytes = 0;  // memory
  std::string deform;  // what computes networks in fast precision, or why TALKSPLAT_DEFORM cannot be followed
  std::string encode;  // the same of the voice, and TALKSPLAT_ENCODE
};

// What this machine and this build have.
struct CudaSystem {
  int driver_version = 0;  // CUDA version that the driver has, as it says it itself: 13000 is 13.0; 0: there is none
  int least_version = 0;   // that this build's kernels need; 0: it has none
  std::vector<CudaDevice> devices;
};

// kDeviceError says why no device of it can be opened; what was found out until then is in `system`.
Status list_cuda_devices(CudaSystem& system);

// cpu: what stays on the CPU, the conditions of networks; kept while the backend lives. max_instances:
// (splat, tile) pairs that a layer has room for at most, whatever its size; the farthest splats of one that needs more
// are left out. kDeviceError says why the device cannot be used, and what to do.
Status open_cuda(int ordinal, std::shared_ptr<Backend> cpu, std::unique_ptr<Backend>& backend,
                 uint32_t max_instances = UINT32_MAX);

}  // namespace ts
