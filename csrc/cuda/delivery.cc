// SPDX-License-Identifier: Apache-2.0
#include "cuda/delivery.h"

namespace ts::cuda {
namespace {

// what: "a CUDA stream", "a CUDA event".
Status check_handle(const Device& device, CUresult result, const char* name, const char* what) {
  if (result == CUDA_SUCCESS || is_lost(result)) return device.check(result, "order its work");
  return error(StatusCode::kInvalidArgument,
               "%s must be %s of %s (%s), in its primary context, and record no graph; the driver says %s. NULL is %s.",
               name, what, device.id(), device.name(), device.driver().name_of(result).c_str(),
               *name == 's' ? "the default stream" : "none");
}

Status check_stream(const Device& device, CUresult result) {
  return check_handle(device, result, "stream", "a CUDA stream");
}

}  // namespace

Status check_callers_stream(const Device& device, void* callers) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  CUresult result = device.driver().cuStreamIsCapturing(static_cast<CUstream>(callers), &status);
  if (result == CUDA_SUCCESS && status != CU_STREAM_CAPTURE_STATUS_NONE) result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return check_stream(device, result);
}

Status come_after(const Device& device, void* callers, const Event& point, const Stream& stream) {
  TS_RETURN_IF_ERROR(check_stream(device, device.driver().cuEventRecord(point.get(), static_cast<CUstream>(callers))));
  return stream.wait_for(point.get());
}

Status hold_back(const Device& device, void* callers, const Event& point) {
  return check_stream(device, device.driver().cuStreamWaitEvent(static_cast<CUstream>(callers), point.get(), 0));
}

Status record(const Device& device, void* callers, const Stream& stream) {
  if (!callers) return {};
  return check_handle(device, device.driver().cuEventRecord(static_cast<CUevent>(callers), stream.get()), "event",
                      "a CUDA event");
}

Status check_memory_of(const Device& device, const char* name, const void* memory, int64_t bytes, int element_bytes) {
  const auto invalid = StatusCode::kInvalidArgument;
  const auto first = reinterpret_cast<CUdeviceptr>(memory);
  if (first % static_cast<CUdeviceptr>(element_bytes) != 0)
    return error(invalid, "%s must be aligned to %d bytes; got the address %#llx.", name, element_bytes, first);
  if (bytes == 0) return {};
  // Both ends: what lies between them is one allocation, but for a mistake that no driver can find.
  for (const CUdeviceptr at : {first, first + static_cast<CUdeviceptr>(bytes) - 1}) {
    const Driver& driver = device.driver();
    unsigned kind = 0;
    int ordinal = -1;
    CUdeviceptr reached = 0;  // as kernels of this context reach it: memory of another may be out of reach
    CUresult result = driver.cuPointerGetAttribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at);
    if (result == CUDA_SUCCESS)
      result = driver.cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, at);
    if (result == CUDA_SUCCESS)
      result = driver.cuPointerGetAttribute(&reached, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, at);
    if (is_lost(result)) return device.check(result, "look at memory");
    if (result == CUDA_SUCCESS && kind == CU_MEMORYTYPE_DEVICE && ordinal == device.ordinal() && reached == at)
      continue;
    return error(invalid,
                 "%s must be %lld bytes in the memory of %s (%s), by cuMemAlloc or what else allocates there; the "
                 "address %#llx is not in it.",
                 name, static_cast<long long>(bytes), device.id(), device.name(), at);
  }
  return {};
}

}  // namespace ts::cuda
