// SPDX-License-Identifier: Apache-2.0
#include "cuda/arena.h"

namespace ts::cuda {

Status Arena::allocate(const char* for_what, uint64_t bytes) {
  reset();
  const Driver& driver = device_.driver();
  uint64_t address = 0;
  if (kind_ == MemoryKind::kDevice) {
    CUdeviceptr memory = 0;
    TS_RETURN_IF_ERROR(device_.check_memory(driver.cuMemAlloc_v2(&memory, bytes), bytes, for_what));
    address = memory;
  } else {
    void* memory = nullptr;
    TS_RETURN_IF_ERROR(device_.check_memory(driver.cuMemHostAlloc(&memory, bytes, 0), bytes, for_what));
    address = reinterpret_cast<uint64_t>(memory);
  }
  address_ = address, bytes_ = bytes;
  return {};
}

void Arena::reset() {
  if (bytes_ > 0 && !device_.forked()) {
    const Current current(device_);
    if (kind_ == MemoryKind::kDevice)
      device_.driver().cuMemFree_v2(address_);
    else
      device_.driver().cuMemFreeHost(reinterpret_cast<void*>(address_));
  }
  address_ = bytes_ = 0;
}

}  // namespace ts::cuda
