// SPDX-License-Identifier: Apache-2.0
#include "ops/backend.h"

#include "core/fork.h"

namespace ts {

Backend::Backend() : forks_(fork_count()) {}
bool Backend::forked() const { return forks_ != fork_count(); }

Status Backend::deliver_gaussians(BackendFrame&, const FrameControl&, const GaussianDelivery&) {
  return no_device_memory("Gaussians");
}
Status Backend::make_memory(uint64_t, std::unique_ptr<DeviceMemory>&) { return no_device_memory("pictures"); }

Status no_device_memory(const char* what) {
  return error(
      StatusCode::kInvalidArgument,
      "on_device: the CPU draws here, and has no memory of its own that %s could stay in. Leave it out, or make "
      "an engine on a GPU (device=\"cuda\").",
      what);
}

}  // namespace ts
