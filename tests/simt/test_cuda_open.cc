// SPDX-License-Identifier: Apache-2.0
// How a GPU is opened, and what it says where that cannot be. Arguments: the fake driver, and one that lacks functions.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cpp/check.h"
#include "cuda/backend.h"
#include "cuda/driver.h"
#include "cuda/fatbin.h"
#include "cuda/triton.h"
#include "simt/cuda_test.h"

using namespace ts_test;

namespace {

void expect(const ts::Status& status, const char* part) {
  CHECK_MESSAGE(status.code() == ts::StatusCode::kDeviceError, std::string("expected an error: ") + part);
  CHECK_MESSAGE(contains(status.message(), part), std::string("expected: ") + part + "\n  got: " + status.message());
  CHECK_MESSAGE(status.ok() || contains(status.message(), "cuda"), status.message());
}

ts::Status open(int ordinal = 0) {
  std::shared_ptr<ts::Backend> gpu;
  return open_gpu(gpu, UINT32_MAX, ordinal);
}

void libraries_that_are_no_driver(const char* fake, const char* partial) {
  setenv("TALKSPLAT_LIBCUDA", "/nowhere/libcuda.so", 1);
  expect(open(), "TALKSPLAT_LIBCUDA is \"/nowhere/libcuda.so\", which cannot be loaded");
  ts::CudaSystem system;
  expect(ts::list_cuda_devices(system), "Unset it to use libcuda.so.1");
  CHECK(system.driver_version == 0 && system.devices.empty());
  setenv("TALKSPLAT_LIBCUDA", "libm.so.6", 1);
  expect(open(), "does not say its version, so it is not NVIDIA's driver");
  setenv("TALKSPLAT_LIBCUDA", partial, 1);
  expect(open(), "has no cuInit, though it says that it has CUDA 13.7");
  unsetenv("TALKSPLAT_LIBCUDA");
  if (void* driver = dlopen("libcuda.so.1", RTLD_NOW))
    dlclose(driver);
  else
    expect(open(), "this machine has no NVIDIA driver (libcuda.so.1: ");
  setenv("TALKSPLAT_LIBCUDA", fake, 1);
}

void drivers_that_do_not_serve(const FakeDriver& driver) {
  {
    const Setting setting(driver, "FAKE_CUDA_DEVICES", 0);
    expect(open(), "the NVIDIA driver finds no GPU. Look at what nvidia-smi says");
  }
  {
    const Setting setting(driver, "FAKE_CUDA_FAIL_AT", 2), error(driver, "FAKE_CUDA_ERROR", 803);
    expect(open(), "its old kernel module still runs: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH");
  }
  {
    const Setting setting(driver, "FAKE_CUDA_FAIL_AT", 2), error(driver, "FAKE_CUDA_ERROR", 999);
    expect(open(), "the NVIDIA driver does not start: CUDA_ERROR_UNKNOWN");
  }
  {
    const Setting setting(driver, "FAKE_CUDA_CAPABILITY", 61);
    expect(open(), "cuda:0 (Fake GPU) has compute capability 6.1; the kernels need 7.5");
  }
  const Setting setting(driver, "FAKE_CUDA_VERSION", 11040);
  ts::CudaSystem system;
  const ts::Status listed = ts::list_cuda_devices(system);
  CHECK(system.driver_version == 11040);
  if (ts::cuda::kFatbinBytes > 0) {
    expect(listed, "too old: it has CUDA 11.4, and this build's kernels need ");
    expect(open(), "or newer. Update the driver, or use device=\"cpu\".");
  } else {
    std::printf("too old a driver: not tried, this build has no kernels that could need a newer one\n");
  }
}

void the_oldest_driver_that_serves() {
  CHECK(ts::cuda::least_driver_version(0) == 0);
  CHECK(ts::cuda::least_driver_version(12080) == 12080 && ts::cuda::least_driver_version(12090) == 12080);
  CHECK(ts::cuda::least_driver_version(13000) == 13000 && ts::cuda::least_driver_version(13020) == 13000);
  CHECK(std::strcmp(ts::cuda::least_driver_release(12090), "R570") == 0);
  CHECK(std::strcmp(ts::cuda::least_driver_release(13000), "R580") == 0);
}

void kernels_that_do_not_load(const FakeDriver& driver) {
  std::shared_ptr<ts::Backend> gpu;
  CHECK(open_gpu(gpu).ok());
  gpu.reset();
  int load = 1;
  while (driver.call(load) && std::strcmp(driver.call(load), "cuModuleLoadData") != 0) ++load;
  const Setting setting(driver, "FAKE_CUDA_FAIL_AT", load), error(driver, "FAKE_CUDA_ERROR", 209);
  if (ts::cuda::kFatbinBytes > 0)
    expect(open(),
           "cannot load the kernels: CUDA_ERROR_NO_BINARY_FOR_GPU (a fault of the fake driver). Update the driver");
  else
    expect(open(), "this build has no CUDA kernels: ");
}

void devices_are_told_apart(const FakeDriver& driver) {
  expect(open(1), "cuda:1 is not here: this machine has 1 GPU, cuda:0.");
  expect(open(-1), "cuda:-1 is not here");
  const Setting setting(driver, "FAKE_CUDA_DEVICES", 2);
  expect(open(2), "cuda:2 is not here: this machine has 2 GPUs, cuda:0 to cuda:1.");
  std::shared_ptr<ts::Backend> gpus[2];
  for (int i = 0; i < 2; ++i) {
    const ts::Status opened = open_gpu(gpus[i], UINT32_MAX, i);
    CHECK_MESSAGE(opened.ok(), opened.message());
    if (!gpus[i]) return;
    const ts::BackendInfo info = gpus[i]->info();
    CHECK(info.device == "cuda:" + std::to_string(i));
    CHECK(std::strcmp(info.name, "Fake GPU") == 0 && std::strcmp(info.isa, "sm_75") == 0 && info.threads == 1);
  }
  const Cloud cloud(50, -1, 1);
  const ts::Canvas canvas{16, 16, ts::Format::kRgba8, ts::Precision::kFast, false, false};
  CloudFrame frames[2] = {{*gpus[0], cloud, canvas}, {*gpus[1], cloud, canvas}};
  CHECK(frames[0].draw().ok() && frames[1].draw().ok() && frames[0].pixels == frames[1].pixels);

  ts::CudaSystem system;
  const ts::Status listed = ts::list_cuda_devices(system);
  CHECK(listed.ok() == (ts::cuda::kFatbinBytes > 0));
  CHECK(system.driver_version == 13000 && system.devices.size() == 2);
  for (const ts::CudaDevice& device : system.devices)
    CHECK(device.name == "Fake GPU" && device.major == 7 && device.minor == 5 && device.multiprocessors == 2 &&
          device.bytes == uint64_t{6} << 30);
}

void what_it_multiplies_at_most(const FakeDriver& driver) {
  std::shared_ptr<ts::Backend> gpu;
  CHECK(open_gpu(gpu).ok());
  if (!gpu) return;
  const ts::Peak peak = gpu->measure_peak();
  CHECK(peak.fp32 > 0 && peak.bf16 > 0);
  const Setting setting(driver, "FAKE_CUDA_LOST_AT", 1);
  const ts::Peak none = gpu->measure_peak();
  CHECK(none.fp32 == 0 && none.bf16 == 0);
}

// By the table of tests/simt/fake_triton.cc.
void which_kernel_computes(const FakeDriver& driver, const ts::cuda::TritonOp& op, const char* from_how_many, int at) {
  const std::string variable = op.variable;
  const struct {
    int capability;
    const char* pinned;
    std::string words;
    int from;  // 0: never
  } chosen[] = {{75, nullptr, "cuda, not measured", 0},
                {75, "cuda", "cuda, " + variable, 0},
                {80, nullptr, "cuda, not measured", 0},
                {80, "triton", "triton, " + variable, 1},
                {86, nullptr, "cuda, measured", 0},
                {90, nullptr, std::string("cuda, triton from ") + from_how_many + " at once, measured", at},
                {90, "cuda", "cuda, " + variable, 0},
                {90, "triton", "triton, " + variable, 1}};
  for (const auto& one : chosen) {
    if (one.pinned) setenv(op.variable, one.pinned, 1);
    ts::cuda::TritonChoice choice;
    const ts::Status status = ts::cuda::choose_kernel(op, one.capability, choice);
    CHECK_MESSAGE(status.ok() && choice.in_words() == one.words, status.message() + choice.in_words());
    for (const int n : {1, 2, 3, 6, 64}) CHECK(choice.is_triton(n) == (one.from > 0 && n >= one.from));
    unsetenv(op.variable);
  }

  const auto refused = [&](const char* pinned, const std::string& what) {
    const std::string part = variable + what;
    setenv(op.variable, pinned, 1);
    expect(open(), part.c_str());
    ts::CudaSystem system;
    static_cast<void>(ts::list_cuda_devices(system));
    if (!CHECK(system.devices.size() == 1)) return;
    CHECK(contains(system.devices[0].deform, part) != contains(system.devices[0].encode, part));
    unsetenv(op.variable);
  };
  refused("Triton", " must be cuda or triton; got \"Triton\". Unset it to choose by what was measured.");
  refused("", " must be cuda or triton; got \"\".");
  refused("triton",
          " is triton, but this build's Triton kernels are for sm_80, sm_86, sm_90, by nobody, "
          "and this GPU is sm_75. Unset it, or set it to cuda.");

  // A second module, where it is used, whose faults are told.
  const Setting ampere(driver, "FAKE_CUDA_CAPABILITY", 80);
  CHECK(open().ok() && driver.calls_of("cuModuleLoadData") == 1);
  setenv(op.variable, "triton", 1);
  driver.reset();
  CHECK(open().ok() && driver.calls_of("cuModuleLoadData") == 2 && driver.calls_of("cuModuleUnload") == 2);
  int load = 1;
  for (int loads = 0; loads < 2; ++load) loads += std::strcmp(driver.call(load), "cuModuleLoadData") == 0;
  {
    const Setting setting(driver, "FAKE_CUDA_FAIL_AT", load - 1), error(driver, "FAKE_CUDA_ERROR", 209);
    expect(open(), "cannot load Triton's kernels: CUDA_ERROR_NO_BINARY_FOR_GPU");
  }
  {
    const Setting setting(driver, "FAKE_CUDA_FAIL_AT", load), error(driver, "FAKE_CUDA_ERROR", 500);
    expect(open(), "cannot find Triton's kernel: CUDA_ERROR_NOT_FOUND");
  }
  unsetenv(op.variable);
}

// A child of fork() calls nothing of the driver, whatever it destroys.
void a_child_leaves_the_driver_alone(const FakeDriver& driver) {
  std::shared_ptr<ts::Backend> gpu;
  CHECK(open_gpu(gpu).ok());
  if (!gpu) return;
  const Cloud cloud(20, -1, 2);
  auto frame = std::make_unique<CloudFrame>(*gpu, cloud,
                                            ts::Canvas{16, 16, ts::Format::kRgba8, ts::Precision::kFast, false, false});
  CHECK(frame->draw().ok() && !gpu->forked());
  const pid_t child = fork();
  if (child == 0) {
    const int calls = driver.calls();
    bool right = gpu->forked() && frame->draw().code() == ts::StatusCode::kDeviceError;
    frame.reset();
    right = right && driver.calls() == calls;
    _exit(right ? 0 : 1);
  }
  int result = 1;
  CHECK(child > 0 && waitpid(child, &result, 0) == child && WIFEXITED(result) && WEXITSTATUS(result) == 0);
  CHECK(frame->draw().ok());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FAKE_DRIVER PARTIAL_DRIVER\n", argv[0]);
    return 2;
  }
  const FakeDriver driver(argv[1]);
  libraries_that_are_no_driver(argv[1], argv[2]);
  drivers_that_do_not_serve(driver);
  the_oldest_driver_that_serves();
  kernels_that_do_not_load(driver);
  devices_are_told_apart(driver);
  what_it_multiplies_at_most(driver);
  which_kernel_computes(driver, ts::cuda::kDeformLayers, "3 frames", 3);
  which_kernel_computes(driver, ts::cuda::kEncodeRows, "6 towers", 6);
  a_child_leaves_the_driver_alone(driver);
  CHECK_MESSAGE(driver.left() == 0, std::to_string(driver.left()) + " things of the driver were not given back");
  return report("test_cuda_open");
}
