// SPDX-License-Identifier: Apache-2.0
#include "cuda/device.h"

#include <utility>

#include "core/fork.h"
#include "core/text.h"
#include "cuda/backend.h"
#include "cuda/fatbin.h"

namespace ts {
namespace cuda {
namespace {

constexpr auto kDeviceError = StatusCode::kDeviceError;
constexpr int kLeastCapability = 75;  // Turing: mma.sync of 16x8x8 halves, and 64 KiB of shared memory

// What the driver says of a device without a context on it.
struct Description {
  CUdevice device = 0;
  CudaDevice of_system;
  SharedMemory shared;
};

std::string kernel_in_words(const TritonOp& op, int capability) {
  TritonChoice choice;
  const Status chosen = choose_kernel(op, capability, choice);
  return chosen.ok() ? choice.in_words() : chosen.message();
}

Status describe(const Driver& driver, int ordinal, Description& d) {
  char name[256] = "";
  size_t bytes = 0;
  CUresult result = driver.cuDeviceGet(&d.device, ordinal);
  if (result == CUDA_SUCCESS) result = driver.cuDeviceGetName(name, sizeof name, d.device);
  if (result == CUDA_SUCCESS) result = driver.cuDeviceTotalMem_v2(&bytes, d.device);
  const auto ask = [&](CUdevice_attribute which) {
    int value = 0;
    if (result == CUDA_SUCCESS) result = driver.cuDeviceGetAttribute(&value, which, d.device);
    return value;
  };
  d.of_system.name = printable(name);
  d.of_system.bytes = bytes;
  d.of_system.major = ask(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  d.of_system.minor = ask(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  d.of_system.multiprocessors = ask(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  d.shared.per_block = static_cast<uint64_t>(ask(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
  d.shared.per_processor = static_cast<uint64_t>(ask(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR));
  const int capability = 10 * d.of_system.major + d.of_system.minor;
  d.of_system.deform = kernel_in_words(kDeformLayers, capability);
  d.of_system.encode = kernel_in_words(kEncodeRows, capability);
  d.shared.reserved = static_cast<uint64_t>(ask(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK));
  if (result == CUDA_SUCCESS) return {};
  return error(kDeviceError,
               "cuda:%d does not say what it is: %s. See whether nvidia-smi works, or use device=\"cpu\".", ordinal,
               driver.name_of(result).c_str());
}

}  // namespace

Device::Device() : forks_(fork_count()) {}

Device::~Device() {
  if (forked() || !context_) return;
  {
    const Current current(*this);  // of a device that was lost too: giving back is all that is left to do
    for (const CUmodule module : {module_, deform_layers_.module, encode_rows_.module}) {
      if (module) driver_.cuModuleUnload(module);
    }
  }
  driver_.cuDevicePrimaryCtxRelease_v2(device_);
}

bool Device::forked() const { return fork_count() != forks_; }

Status Device::open(int ordinal, std::unique_ptr<Device>& device) {
  std::unique_ptr<Device> opened(new Device());
  TS_RETURN_IF_ERROR(Driver::load(opened->driver_));
  TS_RETURN_IF_ERROR(opened->find(ordinal));
  TS_RETURN_IF_ERROR(
      opened->check(opened->driver_.cuDevicePrimaryCtxRetain(&opened->context_, opened->device_), "be opened"));
  TS_RETURN_IF_ERROR(opened->load_kernels());
  for (TritonKernel* kernel : {&opened->deform_layers_, &opened->encode_rows_})
    TS_RETURN_IF_ERROR(opened->load_triton(*kernel));
  device = std::move(opened);
  return {};
}

Status Device::find(int ordinal) {
  const int n = driver_.devices;
  if (ordinal < 0 || ordinal >= n) {
    return error(kDeviceError,
                 "cuda:%d is not here: this machine has %d GPU%s, cuda:0%s%s. CUDA_VISIBLE_DEVICES hides others.",
                 ordinal, n, n == 1 ? "" : "s", n == 1 ? "" : " to cuda:", n == 1 ? "" : std::to_string(n - 1).c_str());
  }
  Description described;
  TS_RETURN_IF_ERROR(describe(driver_, ordinal, described));
  const CudaDevice& device = described.of_system;
  const int capability = 10 * device.major + device.minor;
  device_ = described.device;
  id_ = "cuda:" + std::to_string(ordinal);
  name_ = device.name;
  isa_ = "sm_" + std::to_string(capability);
  multiprocessors_ = device.multiprocessors;
  shared_memory_ = described.shared;
  if (capability >= kLeastCapability) {
    TS_RETURN_IF_ERROR(choose_kernel(kDeformLayers, capability, deform_layers_.choice));
    return choose_kernel(kEncodeRows, capability, encode_rows_.choice);
  }
  return error(
      kDeviceError,
      "%s (%s) has compute capability %d.%d; the kernels need 7.5 (Turing, such as GTX 16 and RTX 20) or newer. "
      "Use device=\"cpu\".",
      id(), name(), device.major, device.minor);
}

Status Device::load_kernels() {
  const Current current(*this);
  TS_RETURN_IF_ERROR(current.status());
  const CUresult result = driver_.cuModuleLoadData(&module_, kFatbin);
  if (result != CUDA_SUCCESS) {
    module_ = nullptr;
    if (kFatbinBytes == 0 && !is_lost(result)) return error(kDeviceError, "cuda: %s", kFatbinWhyNone);
    return check(result, "load the kernels");
  }
#define TS_FIND(kernel, Args)                                                                        \
  kernels_.kernel.name = #kernel;                                                                    \
  TS_RETURN_IF_ERROR(check(driver_.cuModuleGetFunction(&kernels_.kernel.function, module_, #kernel), \
                           "find"                                                                    \
                           " " #kernel));
  TS_CUDA_KERNELS(TS_FIND)
#undef TS_FIND
  // More than 48 KiB of shared memory for a block has to be asked for.
  for (const CUfunction function : {kernels_.deform_fast_kernel.function, kernels_.deform_reference_kernel.function}) {
    TS_RETURN_IF_ERROR(check(driver_.cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                                        static_cast<int>(shared_memory_.per_block)),
                             "give kernels its shared memory"));
  }
  return {};
}

Status Device::load_triton(TritonKernel& kernel) {
  const TritonCubin* cubin = kernel.choice.cubin;
  if (!cubin) return {};
  const Current current(*this);
  TS_RETURN_IF_ERROR(current.status());
  const CUresult result = driver_.cuModuleLoadData(&kernel.module, kTritonImages + cubin->at);
  if (result != CUDA_SUCCESS) kernel.module = nullptr;
  TS_RETURN_IF_ERROR(check(result, "load Triton's kernels"));
  return check(driver_.cuModuleGetFunction(&kernel.function, kernel.module, cubin->name), "find Triton's kernel");
}

Status Device::lost() const {
  return error(
      kDeviceError,
      "%s (%s) was lost: %s. Make a new engine and load avatars again; if that fails too, start a new process, or "
      "use device=\"cpu\".",
      id(), name(), driver_.name_of(static_cast<CUresult>(lost_.load())).c_str());
}

Status Device::check(CUresult result, const char* what) const {
  if (result == CUDA_SUCCESS) return {};
  if (is_lost(result)) {
    lost_ = result;
    return lost();
  }
  if (is_of_a_capture(result))
    return error(StatusCode::kInvalidArgument,
                 "%s (%s) cannot %s while a CUDA graph is recorded: %s. Draw before or after it, or record in "
                 "thread-local mode on another thread.",
                 id(), name(), what, driver_.name_of(result).c_str());
  const char* way_out = "Try again with a new engine, or use device=\"cpu\".";
  if (result == CUDA_ERROR_OUT_OF_MEMORY)
    way_out = "Make the picture or the batch smaller, close what else uses this GPU, or use device=\"cpu\".";
  if (result == CUDA_ERROR_NO_BINARY_FOR_GPU || result == CUDA_ERROR_INVALID_IMAGE)
    way_out = "Update the driver, build talksplat with a newer nvcc, or use device=\"cpu\".";
  return error(kDeviceError, "%s (%s) cannot %s: %s. %s", id(), name(), what, driver_.name_of(result).c_str(), way_out);
}

Status Device::check_memory(CUresult result, uint64_t bytes, const char* for_what) const {
  if (result != CUDA_ERROR_OUT_OF_MEMORY) return check(result, "allocate memory");
  size_t free_bytes = 0, all_bytes = 0;
  driver_.cuMemGetInfo_v2(&free_bytes, &all_bytes);
  return error(
      kDeviceError,
      "%s (%s) is out of memory: %s needs %llu bytes; %llu of %llu are free. Make the picture or the batch smaller, "
      "close what else uses this GPU, or use device=\"cpu\".",
      id(), name(), for_what, static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(free_bytes),
      static_cast<unsigned long long>(all_bytes));
}

Current::Current(const Device& device) : device_(device) {
  if (device.forked()) {
    status_ = error(kDeviceError, "%s was opened before fork(). Make an engine in the child.", device.id());
    return;
  }
  const CUresult result = device.driver_.cuCtxPushCurrent_v2(device.context_);
  pushed_ = result == CUDA_SUCCESS;
  status_ = device.lost_ != CUDA_SUCCESS ? device.lost() : device.check(result, "be used");
}

Current::~Current() {
  CUcontext context = nullptr;
  if (pushed_) device_.driver_.cuCtxPopCurrent_v2(&context);
}

}  // namespace cuda

Status list_cuda_devices(CudaSystem& system) {
  cuda::Driver driver;
  system = {};
  system.least_version = cuda::least_driver_version(cuda::kFatbinCudaVersion);
  const Status loaded = cuda::Driver::load(driver);
  system.driver_version = driver.version;
  TS_RETURN_IF_ERROR(loaded);
  for (int ordinal = 0; ordinal < driver.devices; ++ordinal) {
    cuda::Description described;
    TS_RETURN_IF_ERROR(cuda::describe(driver, ordinal, described));
    system.devices.push_back(described.of_system);
  }
  if (cuda::kFatbinBytes == 0) return error(cuda::kDeviceError, "cuda: %s", cuda::kFatbinWhyNone);
  return {};
}

}  // namespace ts
