// SPDX-License-Identifier: Apache-2.0
#include "cuda/memory.h"

#include "cuda/delivery.h"

namespace ts::cuda {

Status CudaMemory::make(const Device& device, uint64_t bytes, std::unique_ptr<DeviceMemory>& memory) {
  const Current current(device);
  TS_RETURN_IF_ERROR(current.status());
  std::unique_ptr<CudaMemory> made(new CudaMemory(device));
  TS_RETURN_IF_ERROR(made->written_.make());
  TS_RETURN_IF_ERROR(
      made->arena_.make("what stays on the GPU", [&](Layout& layout) { layout.take<unsigned char>(bytes); }));
  memory = std::move(made);
  return {};
}

CudaMemory::~CudaMemory() {
  if (device_.forked()) return;
  // Any stream may still read it, of this library or of others.
  const Current current(device_);
  // It cannot be waited for while somebody records a graph: then it stays, rather than go under somebody's hands.
  if (!current.status().ok() || is_of_a_capture(device_.driver().cuCtxSynchronize())) arena_.leave();
}

Status CudaMemory::hold_back(void* stream) const {
  const Current current(device_);
  TS_RETURN_IF_ERROR(current.status());
  TS_RETURN_IF_ERROR(check_callers_stream(device_, stream));
  return cuda::hold_back(device_, stream, written_);
}

Status CudaMemory::read(uint64_t offset, void* to, uint64_t bytes) const {
  const Current current(device_);
  TS_RETURN_IF_ERROR(current.status());
  Stream stream(device_);
  TS_RETURN_IF_ERROR(stream.make());
  TS_RETURN_IF_ERROR(stream.wait_for(written_.get()));
  TS_RETURN_IF_ERROR(stream.download(to, static_cast<const unsigned char*>(address()) + offset, bytes));
  return stream.finish();
}

}  // namespace ts::cuda
