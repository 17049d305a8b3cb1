// SPDX-License-Identifier: Apache-2.0
// Pictures and Gaussians that stay on the device, among other work that goes on there. Arguments: the fake driver, which
// does a stream's work as late as it may; an avatar file with a deform program.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cpp/check.h"
#include "cuda/backend.h"
#include "cuda/driver.h"
#include "engine/renderer.h"
#include "fallback_backend.h"
#include "simt/cuda_test.h"

using namespace ts_test;
using ts::Canvas;
using ts::DeviceDelivery;
using ts::Format;
using ts::Precision;
using ts::StatusCode;
using ts::cuda::CUstream;

namespace {

void expect_ok(const ts::Status& status) { CHECK_MESSAGE(status.ok(), status.message()); }

void expect_refused(const ts::Status& status, const char* why) {
  CHECK_MESSAGE(status.code() == StatusCode::kInvalidArgument && contains(status.message(), why), status.message());
}

// What a program that works on the GPU itself has: its primary context, a stream, an event, memory.
struct Program {
  explicit Program(int device = 0) : ordinal(device) {
    expect_ok(ts::cuda::Driver::load(driver));
    ts::cuda::CUcontext context;
    CHECK(driver.cuDevicePrimaryCtxRetain(&context, device) == 0 && driver.cuCtxPushCurrent_v2(context) == 0);
    CHECK(driver.cuStreamCreate(&stream, 1) == 0 && driver.cuEventCreate(&event, 2) == 0);
    CHECK(driver.cuMemAlloc_v2(&memory, kBytes) == 0);
  }
  ~Program() {
    driver.cuMemFree_v2(memory), driver.cuEventDestroy_v2(event), driver.cuStreamDestroy_v2(stream);
    ts::cuda::CUcontext context;
    driver.cuCtxPopCurrent_v2(&context), driver.cuDevicePrimaryCtxRelease_v2(ordinal);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  template <class T = void>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(memory + offset);
  }
  // Copies in a stream's order.
  void read(const void* from, void* to, size_t bytes, CUstream in) const {
    CHECK(driver.cuMemcpyDtoHAsync_v2(to, reinterpret_cast<ts::cuda::CUdeviceptr>(from), bytes, in) == 0);
  }

  static constexpr size_t kBytes = 1 << 20;
  const int ordinal;
  ts::cuda::Driver driver;
  CUstream stream = nullptr;
  ts::cuda::CUevent event = nullptr;
  ts::cuda::CUdeviceptr memory = 0;
};

void pictures(const FakeDriver& driver, ts::Backend& gpu) {
  const Cloud cloud(150, -1, 13);
  const Canvas canvas{24, 20, Format::kRgba8, Precision::kFast, false, false};
  const Program program;
  for (const bool default_stream : {false, true}) {
    CloudFrame frame(gpu, cloud, canvas), other(gpu, cloud, canvas);
    expect_ok(frame.draw());
    const Pixels expected = frame.pixels;
    DeviceDelivery delivery;
    delivery.stream = default_stream ? nullptr : program.stream;
    delivery.event = program.event;
    ts::DrawCall calls[2] = {frame.call(), other.call()};
    frame.pixels = Pixels(canvas);
    for (ts::DrawCall& call : calls) call.on_device = &delivery;
    const auto place = [](int i) { return 8192u * static_cast<unsigned>(i); };
    for (int i = 0; i < 2; ++i) calls[i].image.data = program.at(place(i));
    frame.receipt.n_visible = 12345;
    const int ran = driver.ran();
    expect_ok(gpu.draw(calls, 1));  // by its own graph
    CHECK(driver.ran() == ran);     // nobody has waited
    expect_ok(gpu.draw(calls, 1));
    expect_ok(gpu.draw(calls, 2));  // and in another's
    expect_ok(gpu.draw(calls, 2));
    CHECK(frame.receipt.n_visible == 12345);
    // The program's stream comes after the pictures.
    for (int i = 0; i < 2; ++i) {
      Pixels got(canvas);
      program.read(program.at(place(i)), got.bytes.data(), got.bytes.size(), static_cast<CUstream>(delivery.stream));
      CHECK(difference(got, expected) == 0);
    }
    CHECK(program.driver.cuEventSynchronize(program.event) == 0);
    expect_ok(frame.draw());  // and the frame is as good as before
    CHECK(frame.pixels == expected);
    expect_ok(gpu.draw(calls, 2));  // in flight when the frames end
  }
}

// A background that is the caller's again when the call returns, from memory that the GPU copies by itself.
void over_a_picture(ts::Backend& gpu) {
  const Cloud cloud(30, -1, 19);
  const Program program;
  void* memory = nullptr;
  CHECK(program.driver.cuMemHostAlloc(&memory, 3 * 16 * 16 * sizeof(float), 0) == 0);
  auto* const pixels = static_cast<float*>(memory);
  std::fill_n(pixels, 3 * 16 * 16, 0.5f);
  CloudFrame frame(gpu, cloud, {16, 16, Format::kRgba8, Precision::kFast, false, false});
  frame.background.image_f32 = pixels;
  expect_ok(frame.draw());
  const Pixels expected = frame.pixels;
  const DeviceDelivery delivery{program.stream, nullptr};
  ts::DrawCall call = frame.call();
  call.on_device = &delivery, call.image.data = program.at(0);
  expect_ok(gpu.draw(&call, 1));
  std::fill_n(pixels, 3 * 16 * 16, 0.0f);
  Pixels got(expected.canvas);
  program.read(program.at(0), got.bytes.data(), got.bytes.size(), program.stream);
  CHECK(difference(got, expected) == 0);
  CHECK(program.driver.cuMemFreeHost(memory) == 0);
}

void every_format_and_plane(ts::Backend& gpu) {
  const Cloud cloud(150, -1, 14);
  const Program program;
  for (const Format format : {Format::kRgbF32, Format::kRgba8, Format::kRgb8, Format::kNv12}) {
    const Canvas canvas{format == Format::kNv12 ? 26 : 25, 18, format, Precision::kReference, true, true};
    CloudFrame frame(gpu, cloud, canvas);
    expect_ok(frame.draw());
    const Pixels expected = frame.pixels;
    const DeviceDelivery delivery{program.stream, nullptr};
    ts::DrawCall call = frame.call();
    call.on_device = &delivery;
    // Packed, unlike the expected.
    call.image.stride_bytes = ts::row_bytes(format, canvas.width);
    call.image.data = program.at(0);
    call.image.alpha = program.at<float>(32768), call.image.depth = program.at<float>(49152);
    expect_ok(gpu.draw(&call, 1));
    Pixels got(canvas);
    std::vector<unsigned char> packed(static_cast<size_t>(call.image.stride_bytes * got.rows()));
    program.read(call.image.data, packed.data(), packed.size(), program.stream);
    for (int64_t row = 0; row < got.rows(); ++row)
      std::memcpy(got.bytes.data() + row * got.stride_bytes, packed.data() + row * call.image.stride_bytes,
                  static_cast<size_t>(call.image.stride_bytes));
    program.read(call.image.alpha, got.alpha.data(), got.alpha.size() * sizeof(float), program.stream);
    program.read(call.image.depth, got.depth.data(), got.depth.size() * sizeof(float), program.stream);
    CHECK(difference(got, expected) == 0 && plane_difference(got, expected) == 0);
  }
}

// Memory of the backend's, for programs that have none.
void memory_of_its_own(ts::Backend& gpu) {
  const Cloud cloud(90, -1, 15);
  const Canvas canvas{16, 16, Format::kRgba8, Precision::kFast, false, false};
  const Program program;
  CloudFrame frame(gpu, cloud, canvas);
  expect_ok(frame.draw());
  const Pixels expected = frame.pixels;
  std::unique_ptr<ts::DeviceMemory> memory;
  expect_ok(gpu.make_memory(expected.bytes.size(), memory));
  if (!memory) return;
  CHECK(memory->ordinal() == 0 && memory->address() && memory->event());
  unsigned char fresh[4];
  expect_ok(memory->read(0, fresh, sizeof fresh));  // before anything was delivered
  const DeviceDelivery delivery{program.stream, memory->event()};
  ts::DrawCall call = frame.call();
  call.on_device = &delivery;
  call.image.data = memory->address();
  expect_ok(gpu.draw(&call, 1));
  Pixels got(canvas);
  expect_ok(memory->read(0, got.bytes.data(), got.bytes.size()));
  CHECK(difference(got, expected) == 0);
  // A stream that nobody told of the picture.
  CUstream other = nullptr;
  CHECK(program.driver.cuStreamCreate(&other, 1) == 0);
  expect_ok(gpu.draw(&call, 1));
  expect_ok(memory->hold_back(other));
  got = Pixels(canvas);
  program.read(memory->address(), got.bytes.data(), got.bytes.size(), other);
  CHECK(difference(got, expected) == 0);
  expect_refused(memory->hold_back(reinterpret_cast<void*>(0x7770)), "stream must be a CUDA stream of cuda:0");
  expect_ok(gpu.draw(&call, 1));
  memory.reset();  // while the picture is drawn into it
  CHECK(program.driver.cuStreamDestroy_v2(other) == 0);
  expect_ok(frame.draw());
  CHECK(frame.pixels == expected);
}

void gaussians(const FakeDriver& driver, const std::shared_ptr<ts::Backend>& gpu, const char* avatar) {
  const Program program;
  std::shared_ptr<const ts::Model> model;
  std::unique_ptr<ts::Frame> frame;
  expect_ok(ts::Model::load(avatar, gpu, model));
  if (!model) return;
  expect_ok(ts::Frame::make(model, {16, 16, Format::kRgba8, Precision::kFast, false, false}, frame));
  ts::FrameControl control;
  ts::Camera camera = model->file().camera;
  expect_ok(frame->control().set(nullptr, camera, control));
  ts::GaussianView shown;
  expect_ok(gpu->gaussians(frame->backend_frame(), control, shown));
  const auto n = static_cast<size_t>(shown.n), colors = static_cast<size_t>(ts::color_stride(shown));
  CHECK_MESSAGE(n > 1 && (9 + 4 + colors) * n * sizeof(float) < Program::kBytes, std::to_string(n));
  const std::vector<float> mean(shown.mean, shown.mean + 3 * n), quat(shown.quat, shown.quat + 4 * n),
      opacity(shown.opacity, shown.opacity + n), color(shown.color, shown.color + colors * n);
  ts::GaussianDelivery to;
  to.rows.mean = program.at<float>(0), to.rows.quat = to.rows.mean + 3 * n;
  to.rows.opacity = to.rows.quat + 4 * n, to.rows.color = to.rows.opacity + n;  // scale is not wanted
  to.how = {program.stream, program.event};
  const int ran = driver.ran();
  for (int turn = 0; turn < 2; ++turn) expect_ok(ts::deliver_gaussians(*frame, nullptr, to));
  CHECK(driver.ran() == ran);
  std::vector<float> got(n * (3 + 4 + 1 + colors)), want;
  for (const auto* rows : {&mean, &quat, &opacity, &color}) want.insert(want.end(), rows->begin(), rows->end());
  program.read(program.at(0), got.data(), got.size() * sizeof(float), program.stream);
  CHECK(got == want);
  to.rows.mean = got.data();
  expect_refused(ts::deliver_gaussians(*frame, nullptr, to), "Gaussians: each array must be");
  to.rows.mean = nullptr, to.how.stream = reinterpret_cast<void*>(0x7770);
  expect_refused(ts::deliver_gaussians(*frame, nullptr, to), "stream must be a CUDA stream");
  to.how.stream = nullptr;
  expect_ok(ts::deliver_gaussians(*frame, nullptr, to));  // in flight when the frame ends
}

// A caller's mistake costs nobody the GPU.
void mistakes(const FakeDriver& driver, const std::shared_ptr<ts::Backend>& cpu) {
  const Setting two_gpus(driver, "FAKE_CUDA_DEVICES", 2);
  const Cloud cloud(40, -1, 16);
  std::unique_ptr<ts::Backend> alone;
  expect_ok(ts::open_cuda(0, cpu, alone));
  if (!alone) return;
  const std::unique_ptr<ts::Backend> gpu = ts::with_fallback(std::move(alone), cpu);
  const Program program, elsewhere(1), here;  // `here` makes the first GPU's context current again
  const DeviceDelivery good{program.stream, nullptr}, bad{reinterpret_cast<void*>(0x7770), nullptr},
      foreign{elsewhere.stream, nullptr}, bad_event{program.stream, reinterpret_cast<void*>(0x7770)};
  std::vector<unsigned char> of_the_host(4096);
  const auto refuse = [&](Format format, const DeviceDelivery& delivery, void* data, int64_t stride, const char* why) {
    CloudFrame frame(*gpu, cloud, {16, 16, format, Precision::kFast, true, true});
    ts::DrawCall call = frame.call();
    call.on_device = &delivery;
    call.image.data = data, call.image.stride_bytes = stride;
    call.image.alpha = call.image.depth = nullptr;
    expect_refused(gpu->draw(&call, 1), why);
    CHECK(std::string(gpu->info().device) == "cuda:0");
    call.image.data = program.at(0), call.image.stride_bytes = 192, call.on_device = &good;
    for (float** plane : {&call.image.alpha, &call.image.depth}) {
      float unreachable = 0;
      *plane = &unreachable;
      expect_refused(gpu->draw(&call, 1), plane == &call.image.alpha ? "image: alpha must be" : "image: depth must be");
      *plane = nullptr;
    }
    expect_ok(gpu->draw(&call, 1));
  };
  refuse(Format::kRgba8, bad, program.at(0), 64, "stream must be a CUDA stream of cuda:0 (Fake GPU)");
  refuse(Format::kRgba8, foreign, program.at(0), 64, "stream must be");
  refuse(Format::kRgba8, bad_event, program.at(0), 64, "event must be a CUDA event of cuda:0 (Fake GPU)");
  CloudFrame beside(*gpu, cloud, {16, 16, Format::kRgba8, Precision::kFast, false, false});
  ts::DrawCall call = beside.call();
  call.on_device = &good, call.image.data = program.at(0);
  ts::cuda::CUgraph recorded = nullptr;
  CHECK(program.driver.cuStreamBeginCapture_v2(program.stream, ts::cuda::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) == 0);
  expect_refused(gpu->draw(&call, 1), "and record no graph");
  expect_refused(gpu->deliver_gaussians(*beside.frame, {}, {{}, good}), "and record no graph");
  std::unique_ptr<ts::DeviceMemory> none;
  expect_refused(gpu->make_memory(64, none), "while a CUDA graph is recorded");
  CHECK(program.driver.cuStreamEndCapture(program.stream, &recorded) == 0);
  expect_ok(gpu->draw(&call, 1));
  program.driver.cuGraphDestroy(recorded);
  refuse(Format::kRgba8, good, of_the_host.data(), 64, "image: data must be 1024 bytes in the memory of cuda:0");
  refuse(Format::kRgba8, good, elsewhere.at(0), 64, "image: data must be");
  refuse(Format::kRgba8, good, program.at(Program::kBytes - 1020), 64, "is not in it");
  refuse(Format::kRgba8, good, program.at(2), 64, "image: data must be aligned to 4 bytes");
  refuse(Format::kRgba8, good, program.at(0), 66, "image: stride_bytes must be a multiple of 4 on a GPU; got 66");
  refuse(Format::kRgbF32, good, program.at(1), 192, "aligned to 4");
  refuse(Format::kRgba8, good, program.at(0), int64_t{1} << 60, "image: stride_bytes must be at most");
  refuse(Format::kRgb8, good, program.at(Program::kBytes - 767), 48, "is not in it");
  std::unique_ptr<ts::DeviceMemory> memory;
  CHECK(gpu->make_memory(uint64_t{1} << 39, memory).code() == StatusCode::kDeviceError && !memory);
  CHECK(std::string(gpu->info().device) == "cuda:0");
}

// The picture cannot stay on a GPU that is lost, and the next call says so too.
void a_lost_gpu(const FakeDriver& driver, const std::shared_ptr<ts::Backend>& cpu) {
  const Cloud cloud(40, -1, 17);
  const Program program;
  std::unique_ptr<ts::Backend> alone;
  expect_ok(ts::open_cuda(0, cpu, alone));
  if (!alone) return;
  const std::unique_ptr<ts::Backend> gpu = ts::with_fallback(std::move(alone), cpu);
  CloudFrame frame(*gpu, cloud, {16, 16, Format::kRgba8, Precision::kFast, false, false});
  const DeviceDelivery delivery{program.stream, nullptr};
  ts::DrawCall call = frame.call();
  call.on_device = &delivery;
  call.image.data = program.at(0);
  std::unique_ptr<ts::DeviceMemory> memory;
  expect_ok(gpu->make_memory(64, memory));
  const Setting lost(driver, "FAKE_CUDA_LOST_AT", 1);
  for (int turn = 0; turn < 2; ++turn) {
    for (const ts::Status& status :
         {gpu->draw(&call, 1), gpu->make_memory(64, memory), gpu->deliver_gaussians(*frame.frame, {}, {})}) {
      CHECK(status.code() == StatusCode::kDeviceError);
      CHECK_MESSAGE(contains(status.message(), "nothing can stay on that") && contains(status.message(), "was lost"),
                    status.message());
    }
  }
  char byte;
  CHECK(memory->read(0, &byte, 1).code() == StatusCode::kDeviceError);
  expect_ok(frame.draw());
  CHECK(std::string(gpu->info().device) == "cpu");
}

void the_cpu_has_none(ts::Backend& cpu) {
  const Cloud cloud(20, -1, 18);
  CloudFrame frame(cpu, cloud, {16, 16, Format::kRgba8, Precision::kFast, false, false});
  ts::DrawCall call = frame.call();
  const DeviceDelivery delivery;
  call.on_device = &delivery;
  expect_refused(cpu.draw(&call, 1), "no memory of its own that pictures could stay in. Leave it out");
  std::unique_ptr<ts::DeviceMemory> memory;
  expect_refused(cpu.make_memory(10, memory), "on_device: the CPU draws here");
  expect_refused(cpu.deliver_gaussians(*frame.frame, {}, {}), "that Gaussians could stay in");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FAKE_DRIVER AVATAR\n", argv[0]);
    return 2;
  }
  const FakeDriver driver(argv[1]);
  const std::shared_ptr<ts::Backend> cpu = open_cpu_backend();
  std::shared_ptr<ts::Backend> gpu;
  expect_ok(open_gpu(gpu));
  if (gpu) {
    pictures(driver, *gpu);
    over_a_picture(*gpu);
    every_format_and_plane(*gpu);
    memory_of_its_own(*gpu);
    gaussians(driver, gpu, argv[2]);
    gpu.reset();
    mistakes(driver, cpu);
    a_lost_gpu(driver, cpu);
  }
  the_cpu_has_none(*cpu);
  CHECK_MESSAGE(driver.left() == 0, std::to_string(driver.left()) + " things of the driver were not given back");
  return report("test_cuda_delivery");
}
