// SPDX-License-Identifier: Apache-2.0
// The devices of this build: with fallback_backend.cc, the one place that knows every backend.
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

#include "core/text.h"
#include "cpu/backend.h"
#include "cuda/backend.h"
#include "cuda/fatbin.h"
#include "cuda/triton.h"
#include "fallback_backend.h"
#include "ops/backend.h"

namespace ts {
namespace {

constexpr int kNoOrdinal = -1;

std::string device_of(size_t ordinal) { return "cuda:" + std::to_string(ordinal); }

// N of "cuda:N", 0 of "cuda", else kNoOrdinal.
int ordinal_of(const char* device) {
  if (std::strcmp(device, "cuda") == 0) return 0;
  if (std::strncmp(device, "cuda:", 5) != 0) return kNoOrdinal;
  const char *begin = device + 5, *end = begin + std::strlen(begin);
  int ordinal = kNoOrdinal;
  const auto [stop, failed] = std::from_chars(begin, end, ordinal);
  return failed == std::errc() && stop == end && *begin != '-' ? ordinal : kNoOrdinal;
}

// "cpu, cuda:0 (NVIDIA GeForce RTX 2060)".
std::string devices_in_words(const CudaSystem& system) {
  std::string words = "cpu";
  for (size_t i = 0; i < system.devices.size(); ++i) words += ", " + device_of(i) + " (" + system.devices[i].name + ")";
  return words;
}

// In a child of fork() its threads could not be joined.
std::shared_ptr<Backend> shared(std::unique_ptr<Backend> opened) {
  return std::shared_ptr<Backend>(opened.release(), [](Backend* last) {
    if (!last->forked()) delete last;
  });
}

Status open_gpu(const char* device, int ordinal, std::shared_ptr<Backend> cpu, std::unique_ptr<Backend>& gpu) {
  CudaSystem system;
  Status found = list_cuda_devices(system);
  if (found.ok() && static_cast<size_t>(ordinal) >= system.devices.size())
    found = Status(StatusCode::kDeviceError, "there is no such GPU.");
  if (found.ok()) found = open_cuda(ordinal, std::move(cpu), gpu);
  if (found.ok() || found.code() != StatusCode::kDeviceError) return found;
  return error(StatusCode::kDeviceError, "device %s: %s This machine has %s.", quoted(device).c_str(),
               found.message().c_str(), devices_in_words(system).c_str());
}

// The first GPU that can be used. kDeviceError says why the first of them, or none, can.
Status open_any_gpu(const std::shared_ptr<Backend>& cpu, std::unique_ptr<Backend>& gpu) {
  CudaSystem system;
  TS_RETURN_IF_ERROR(list_cuda_devices(system));
  Status first = error(StatusCode::kDeviceError, "this machine has no GPU that its NVIDIA driver shows.");
  for (size_t i = 0; i < system.devices.size(); ++i) {
    const Status opened = open_cuda(static_cast<int>(i), cpu, gpu);
    if (opened.code() != StatusCode::kDeviceError) return opened;
    if (i == 0) first = opened;
  }
  return first;
}

}  // namespace

Status open_backend(const BackendParams& params, std::shared_ptr<Backend>& backend, std::string* why_cpu) {
  const char* device = params.device ? params.device : "auto";
  const bool any = std::strcmp(device, "auto") == 0;
  const int ordinal = ordinal_of(device);
  if (!any && std::strcmp(device, "cpu") != 0 && ordinal == kNoOrdinal) {
    CudaSystem system;
    const Status listed = list_cuda_devices(system);
    return error(StatusCode::kDeviceError,
                 "device must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"; got %s. This machine has %s.%s%s",
                 quoted(device).c_str(), devices_in_words(system).c_str(),
                 listed.ok() ? "" : " No GPU can be used: ", listed.message().c_str());
  }
  std::unique_ptr<Backend> opened;
  TS_RETURN_IF_ERROR(open_cpu(params.threads, params.isa, opened));
  std::shared_ptr<Backend> cpu = shared(std::move(opened));
  if (any) {
    const Status found = open_any_gpu(cpu, opened);
    if (found.ok()) {
      backend = shared(with_fallback(std::move(opened), std::move(cpu)));
      return {};
    }
    if (found.code() != StatusCode::kDeviceError) return found;
    if (why_cpu) *why_cpu = found.message();
  } else if (ordinal != kNoOrdinal) {
    TS_RETURN_IF_ERROR(open_gpu(device, ordinal, cpu, opened));
    backend = shared(std::move(opened));
    return {};
  }
  backend = std::move(cpu);
  return {};
}

SystemInfo describe_system() {
  CudaSystem system;
  const Status usable = list_cuda_devices(system);
  SystemInfo info;
  info.driver_version = system.driver_version;
  info.least_version = system.least_version;
  info.kernels = cuda::kFatbinContents;
  if (!info.kernels.empty() && cuda::kTritonCubinCount > 0) info.kernels += std::string("; ") + cuda::kTritonContents;
  info.why_no_gpu = usable.message();
  for (size_t i = 0; i < system.devices.size(); ++i) {
    const CudaDevice& device = system.devices[i];
    info.gpus.push_back(
        {device_of(i), device.name, 10 * device.major + device.minor, device.bytes, device.deform, device.encode});
  }
  return info;
}

}  // namespace ts
