// SPDX-License-Identifier: Apache-2.0
// CudaMemory — memory of the GPU that pictures and Gaussians are left in.
#pragma once
#include <cstdint>
#include <memory>

#include "core/status.h"
#include "cuda/arena.h"
#include "cuda/stream.h"
#include "ops/backend.h"

namespace ts::cuda {

class CudaMemory final : public DeviceMemory {
 public:
  static Status make(const Device& device, uint64_t bytes, std::unique_ptr<DeviceMemory>& memory);
  ~CudaMemory() override;

  int ordinal() const override { return device_.ordinal(); }
  void* address() const override { return reinterpret_cast<void*>(arena_.address()); }
  void* event() const override { return written_.get(); }
  Status hold_back(void* stream) const override;
  Status read(uint64_t offset, void* to, uint64_t bytes) const override;

 private:
  explicit CudaMemory(const Device& device) : device_(device), arena_(device, MemoryKind::kDevice), written_(device) {}

  const Device& device_;
  Arena arena_;
  Event written_;
};

}  // namespace ts::cuda
