// SPDX-License-Identifier: Apache-2.0
#include "cuda/driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "core/text.h"
#include "cuda/fatbin.h"

namespace ts::cuda {
namespace {

constexpr auto kDeviceError = StatusCode::kDeviceError;
constexpr int kMajor = 1000;

std::string version_text(int version) {
  return std::to_string(version / kMajor) + "." + std::to_string(version % kMajor / 10);
}

Status open_library(void*& library) {
  const char* chosen = std::getenv("TALKSPLAT_LIBCUDA");
  library = dlopen(chosen ? chosen : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library) return {};
  const char* reason = dlerror();
  if (chosen) {
    return error(kDeviceError,
                 "cuda: TALKSPLAT_LIBCUDA is %s, which cannot be loaded: %s. Unset it to use libcuda.so.1.",
                 quoted(chosen).c_str(), reason);
  }
  return error(kDeviceError,
               "cuda: this machine has no NVIDIA driver (%s). Install release %s or newer, or use device=\"cpu\".",
               reason, least_driver_release(kFatbinCudaVersion));
}

Status initialise(Driver& driver) {
  CUresult result = driver.cuInit(0);
  if (result == CUDA_SUCCESS) result = driver.cuDeviceGetCount(&driver.devices);
  if (result == CUDA_SUCCESS && driver.devices > 0) return {};
  if (result == CUDA_SUCCESS || result == CUDA_ERROR_NO_DEVICE) {
    return error(
        kDeviceError,
        "cuda: the NVIDIA driver finds no GPU. Look at what nvidia-smi says and at CUDA_VISIBLE_DEVICES, or use "
        "device=\"cpu\".");
  }
  if (result == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH) {
    return error(
        kDeviceError,
        "cuda: the NVIDIA driver was updated and its old kernel module still runs: %s. Restart the machine, or "
        "use device=\"cpu\".",
        driver.name_of(result).c_str());
  }
  return error(kDeviceError,
               "cuda: the NVIDIA driver does not start: %s. See whether nvidia-smi works, or use device=\"cpu\".",
               driver.name_of(result).c_str());
}

}  // namespace

Status Driver::load(Driver& driver) {
  void* library = nullptr;  // never closed: the driver has threads and exit handlers of its own
  TS_RETURN_IF_ERROR(open_library(library));
  // The version comes first, because an old driver lacks functions, and says so better by its number.
  const auto get_version = reinterpret_cast<CUresult (*)(int*)>(dlsym(library, "cuDriverGetVersion"));
  if (!get_version || get_version(&driver.version) != CUDA_SUCCESS)
    return error(
        kDeviceError,
        "cuda: libcuda.so.1 does not say its version, so it is not NVIDIA's driver. Look at TALKSPLAT_LIBCUDA and "
        "LD_LIBRARY_PATH, or use device=\"cpu\".");
  const int least = least_driver_version(kFatbinCudaVersion);
  if (driver.version < least) {
    return error(kDeviceError,
                 "cuda: the NVIDIA driver is too old: it has CUDA %s, and this build's kernels need %s, release %s or "
                 "newer. Update the driver, or use device=\"cpu\".",
                 version_text(driver.version).c_str(), version_text(least).c_str(),
                 least_driver_release(kFatbinCudaVersion));
  }
#define TS_FIND(name, parameters)                                                                              \
  driver.name = reinterpret_cast<CUresult(*) parameters>(dlsym(library, #name));                               \
  if (!driver.name) {                                                                                          \
    return error(                                                                                              \
        kDeviceError,                                                                                          \
        "cuda: the NVIDIA driver has no %s, though it says that it has CUDA %s. Install release %s or newer, " \
        "or use device=\"cpu\".",                                                                              \
        #name, version_text(driver.version).c_str(), least_driver_release(kFatbinCudaVersion));                \
  }
  TS_CUDA_DRIVER(TS_FIND)
#undef TS_FIND
  return initialise(driver);
}

std::string Driver::name_of(CUresult result) const {
  const char *name = nullptr, *text = nullptr;
  cuGetErrorName(result, &name);
  cuGetErrorString(result, &text);
  if (!name) return "error " + std::to_string(result);
  return std::string(name) + (text ? " (" + std::string(text) + ")" : "");
}

int least_driver_version(int toolkit_version) {
  if (toolkit_version == 0) return 0;
  return std::max(toolkit_version / kMajor * kMajor, 12080);
}

const char* least_driver_release(int toolkit_version) { return toolkit_version >= 13 * kMajor ? "R580" : "R570"; }

}  // namespace ts::cuda
