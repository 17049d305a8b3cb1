// SPDX-License-Identifier: Apache-2.0
// The CUDA driver, found when the first GPU is opened: neither toolkit nor driver is needed to build or to link. What is
// used of cuda.h is declared here; names, types and values are the driver API's own.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include "core/status.h"

namespace ts::cuda {

using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphExec = struct CUgraphExec_st*;

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_DEINITIALIZED = 4,
  CUDA_ERROR_DEVICE_UNAVAILABLE = 46,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_ECC_UNCORRECTABLE = 214,
  CUDA_ERROR_CONTAINED = 226,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_LAUNCH_TIMEOUT = 702,
  CUDA_ERROR_CONTEXT_IS_DESTROYED = 709,
  CUDA_ERROR_ASSERT = 710,
  CUDA_ERROR_HARDWARE_STACK_ERROR = 714,
  CUDA_ERROR_ILLEGAL_INSTRUCTION = 715,
  CUDA_ERROR_MISALIGNED_ADDRESS = 716,
  CUDA_ERROR_INVALID_ADDRESS_SPACE = 717,
  CUDA_ERROR_INVALID_PC = 718,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,  // and all up to CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD
  CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
  CUDA_ERROR_UNKNOWN = 999,
};

enum CUdevice_attribute : int {
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
  CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK = 111,
};

enum CUpointer_attribute : int {
  CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
  CU_POINTER_ATTRIBUTE_DEVICE_POINTER = 3,
  CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
};
enum CUstreamCaptureStatus : int { CU_STREAM_CAPTURE_STATUS_NONE = 0 };
constexpr unsigned CU_MEMORYTYPE_DEVICE = 2;
enum CUfunction_attribute : int { CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8 };
enum CUstreamCaptureMode : int { CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };
constexpr unsigned CU_STREAM_NON_BLOCKING = 1;
constexpr unsigned CU_EVENT_BLOCKING_SYNC = 1, CU_EVENT_DISABLE_TIMING = 2;

#define TS_CUDA_DRIVER(X)                                                                                        \
  X(cuInit, (unsigned flags))                                                                                    \
  X(cuGetErrorName, (CUresult result, const char** name))                                                        \
  X(cuGetErrorString, (CUresult result, const char** text))                                                      \
  X(cuDeviceGetCount, (int* n))                                                                                  \
  X(cuDeviceGet, (CUdevice * device, int ordinal))                                                               \
  X(cuDeviceGetName, (char* name, int size, CUdevice device))                                                    \
  X(cuDeviceGetAttribute, (int* value, CUdevice_attribute attribute, CUdevice device))                           \
  X(cuDeviceTotalMem_v2, (size_t* bytes, CUdevice device))                                                       \
  X(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                                            \
  X(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                             \
  X(cuCtxPushCurrent_v2, (CUcontext context))                                                                    \
  X(cuCtxPopCurrent_v2, (CUcontext * context))                                                                   \
  X(cuCtxSynchronize, ())                                                                                        \
  X(cuModuleLoadData, (CUmodule * module, const void* image))                                                    \
  X(cuModuleUnload, (CUmodule module))                                                                           \
  X(cuModuleGetFunction, (CUfunction * function, CUmodule module, const char* name))                             \
  X(cuFuncSetAttribute, (CUfunction function, CUfunction_attribute attribute, int value))                        \
  X(cuMemGetInfo_v2, (size_t* free_bytes, size_t* bytes))                                                        \
  X(cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes))                                                        \
  X(cuMemFree_v2, (CUdeviceptr address))                                                                         \
  X(cuMemHostAlloc, (void** memory, size_t bytes, unsigned flags))                                               \
  X(cuMemFreeHost, (void* memory))                                                                               \
  X(cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void* from, size_t bytes, CUstream stream))                     \
  X(cuMemcpyDtoHAsync_v2, (void* to, CUdeviceptr from, size_t bytes, CUstream stream))                           \
  X(cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))                     \
  X(cuPointerGetAttribute, (void* value, CUpointer_attribute attribute, CUdeviceptr address))                    \
  X(cuMemsetD8Async, (CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream))                       \
  X(cuStreamCreate, (CUstream * stream, unsigned flags))                                                         \
  X(cuStreamDestroy_v2, (CUstream stream))                                                                       \
  X(cuStreamSynchronize, (CUstream stream))                                                                      \
  X(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags))                                         \
  X(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                                        \
  X(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus * status))                                      \
  X(cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                                      \
  X(cuGraphInstantiateWithFlags, (CUgraphExec * exec, CUgraph graph, unsigned long long flags))                  \
  X(cuGraphDestroy, (CUgraph graph))                                                                             \
  X(cuGraphExecDestroy, (CUgraphExec exec))                                                                      \
  X(cuGraphLaunch, (CUgraphExec exec, CUstream stream))                                                          \
  X(cuEventCreate, (CUevent * event, unsigned flags))                                                            \
  X(cuEventDestroy_v2, (CUevent event))                                                                          \
  X(cuEventRecord, (CUevent event, CUstream stream))                                                             \
  X(cuEventSynchronize, (CUevent event))                                                                         \
  X(cuLaunchKernel,                                                                                              \
    (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, \
     unsigned block_z, unsigned shared_bytes, CUstream stream, void** parameters, void** extra))

struct Driver {
#define TS_MEMBER(name, parameters) CUresult(*name) parameters = nullptr;
  TS_CUDA_DRIVER(TS_MEMBER)
#undef TS_MEMBER
  int version = 0;  // the newest CUDA that it serves: 13000 is 13.0
  int devices = 0;

  // Finds libcuda.so.1, or what TALKSPLAT_LIBCUDA names, and initialises it. kDeviceError: there is none, it is too old
  // for this build's kernels, or it has no device. `version` is set as soon as it is known.
  static Status load(Driver& driver);

  std::string name_of(CUresult result) const;  // "CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure)"
};

// After these every call on the device fails until the process has given it back.
inline bool is_lost(CUresult result) {
  switch (result) {
    case CUDA_ERROR_DEINITIALIZED:
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_CONTAINED:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_UNKNOWN:
      return true;
    default:
      return false;
  }
}

// Of what somebody in this process does, who records a graph, and not of the device.
inline bool is_of_a_capture(CUresult result) {
  return result >= CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED && result <= CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
}

// The oldest driver that runs kernels which a toolkit of this CUDA version built: its CUDA version, and its release as
// NVIDIA numbers them ("R580"). Within a major version drivers run what newer toolkits built; sm_120 came with 12.8.
int least_driver_version(int toolkit_version);
const char* least_driver_release(int toolkit_version);

}  // namespace ts::cuda
