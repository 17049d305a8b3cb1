// SPDX-License-Identifier: Apache-2.0
// The device's own rates, and how long each kernel of a draw takes: its graph piece by piece, an event between two of
// them. A kernel that only multiplies goes before, so that the queue is full when the first piece begins, and no time is
// that of a host which was too slow. What lies between two events with nothing between them is taken off.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "cpu/backend.h"
#include "cuda/batch.h"
#include "cuda/device.h"
#include "cuda/frame.h"
#include "cuda/model.h"
#include "cuda/peak.h"
#include "gpu_bench.h"
#include "pieces.h"

namespace ts_bench {
namespace {

using namespace ts::cuda;
using ts::Status;
using ts::StatusCode;

constexpr auto kClockRate = static_cast<CUdevice_attribute>(13);  // CU_DEVICE_ATTRIBUTE_CLOCK_RATE, kHz

// What the product does not need of the driver.
struct Clock {
  CUresult (*cuEventElapsedTime)(float* ms, CUevent begin, CUevent end) = nullptr;
  CUresult (*cuMemcpyDtoDAsync_v2)(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) = nullptr;

  Status find() {
    const char* chosen = std::getenv("TALKSPLAT_LIBCUDA");
    void* library = dlopen(chosen ? chosen : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library) {
      cuEventElapsedTime = reinterpret_cast<decltype(cuEventElapsedTime)>(dlsym(library, "cuEventElapsedTime"));
      cuMemcpyDtoDAsync_v2 = reinterpret_cast<decltype(cuMemcpyDtoDAsync_v2)>(dlsym(library, "cuMemcpyDtoDAsync_v2"));
    }
    if (cuEventElapsedTime && cuMemcpyDtoDAsync_v2) return {};
    return ts::error(StatusCode::kDeviceError,
                     "gpu_bench: the driver has no cuEventElapsedTime or no cuMemcpyDtoDAsync_v2. Update it.");
  }
};

// Events of a stream with clocks in them.
class Marks {
 public:
  Marks(const Device& device, const Clock& clock, size_t n) : device_(device), clock_(clock), events_(n) {}
  ~Marks() {
    for (CUevent event : events_)
      if (event) device_.driver().cuEventDestroy_v2(event);
  }
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;

  Status make() {
    for (CUevent& event : events_)
      TS_RETURN_IF_ERROR(device_.check(device_.driver().cuEventCreate(&event, 0), "make an event"));
    return {};
  }
  CUevent operator[](size_t i) const { return events_[i]; }
  Status us_between(size_t begin, size_t end, double& us) const {
    float ms = 0;
    TS_RETURN_IF_ERROR(
        device_.check(clock_.cuEventElapsedTime(&ms, events_[begin], events_[end]), "tell the time between events"));
    us = 1e3 * static_cast<double>(ms);
    return {};
  }

 private:
  const Device& device_;
  const Clock& clock_;
  std::vector<CUevent> events_;
};

// The backend of a GPU, but for what is not measured here; its device and the one batch that it draws with can be seen.
class OpenBackend final : public ts::Backend {
 public:
  OpenBackend(Device& device, std::unique_ptr<ts::Backend> cpu) : device_(device), cpu_(std::move(cpu)) {}

  ts::BackendInfo info() const override { return {device_.id(), device_.isa(), 1, 0, device_.name()}; }
  Status load(const ts::ModelView& view, std::shared_ptr<const ts::BackendModel>& model) override {
    std::shared_ptr<const CudaModel> made;
    TS_RETURN_IF_ERROR(CudaModel::make(device_, view, made));
    model = std::move(made);
    view_ = view;
    return {};
  }
  Status make_frame(std::shared_ptr<const ts::BackendModel> model, const ts::Canvas& canvas,
                    std::unique_ptr<ts::BackendFrame>& frame) override {
    std::unique_ptr<CudaFrame> made;
    TS_RETURN_IF_ERROR(CudaFrame::make(device_, *cpu_, std::static_pointer_cast<const CudaModel>(std::move(model)),
                                       canvas, UINT32_MAX, made));
    extents_.fast = made->extents().fast;
    extents_.add(made->extents());
    frame = std::move(made);
    return {};
  }
  // All frames that were made.
  Status make_batch() { return Batch::make(device_, extents_, true, batch_); }
  Status draw(const ts::DrawCall* calls, size_t n) override {
    std::vector<const ts::DrawCall*> pointers;
    for (size_t i = 0; i < n; ++i) pointers.push_back(&calls[i]);
    control_ = calls[0].control;
    return batch_->draw(pointers.data(), n);
  }
  void condition(const ts::ConditionProgram& program, const float* control, float* value) const override {
    cpu_->condition(program, control, value);
  }

  Status gaussians(ts::BackendFrame&, const ts::FrameControl&, ts::GaussianView&) override { return not_here(); }
  Status vertices(ts::BackendFrame&, const ts::FrameControl&, const float*&) override { return not_here(); }
  ts::Peak measure_peak() override { return {}; }
  Status rasterize(const ts::RasterizeArgs&, ts::Receipt&) override { return not_here(); }
  std::unique_ptr<ts::EncodeStream> make_encode_stream(std::shared_ptr<const ts::EncodeModel>) override {
    return nullptr;
  }
  Status encode(const ts::EncodeCall*, size_t) override { return not_here(); }

  const ts::ModelView& view() const { return view_; }
  const ts::FrameControl& control() const { return control_; }
  const Extents& extents() const { return extents_; }

 private:
  static Status not_here() { return ts::error(StatusCode::kInternal, "gpu_bench draws frames, and nothing else."); }

  Device& device_;
  const std::unique_ptr<ts::Backend> cpu_;
  ts::ModelView view_;
  ts::FrameControl control_;
  Extents extents_;
  std::unique_ptr<Batch> batch_;
};

// A buffer of the device.
class Memory {
 public:
  explicit Memory(const Device& device) : device_(device) {}
  ~Memory() {
    if (address) device_.driver().cuMemFree_v2(address);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  Status make(size_t bytes) {
    return device_.check_memory(device_.driver().cuMemAlloc_v2(&address, bytes), bytes, "a measurement");
  }
  CUdeviceptr address = 0;

 private:
  const Device& device_;
};

// Keeps the stream busy for some milliseconds.
Status hold(const Stream& stream, const Memory& sums, int turns) {
  if (turns == 0) return {};
  PeakArgs args{turns, reinterpret_cast<float*>(sums.address)};
  return stream.launch(stream.device().kernels().peak_fma_kernel, 1, 1, kPeakThreads, args);
}

// us[i]: times of piece i; empty_us: of nothing.
Status time_pieces(const NoteTaker& notes, const Pieces& pieces, const Device& device, const Options& options,
                   std::vector<std::vector<double>>& us, std::vector<double>& empty_us) {
  Clock clock;
  TS_RETURN_IF_ERROR(clock.find());
  Stream stream(device);
  TS_RETURN_IF_ERROR(stream.make());
  Memory sums(device);
  TS_RETURN_IF_ERROR(sums.make(kPeakThreads * sizeof(float)));
  Marks marks(device, clock, pieces.size() + 2);
  TS_RETURN_IF_ERROR(marks.make());
  us.resize(pieces.size());
  for (int turn = 0; turn < options.repeats + 3; ++turn) {  // the first three warm the caches up
    TS_RETURN_IF_ERROR(hold(stream, sums, options.hold_turns));
    TS_RETURN_IF_ERROR(stream.record(marks[0]));
    TS_RETURN_IF_ERROR(stream.record(marks[1]));
    for (size_t i = 0; i < pieces.size(); ++i) {
      TS_RETURN_IF_ERROR(device.check(notes.redo(pieces[i], stream.get()), "run a kernel once more"));
      TS_RETURN_IF_ERROR(stream.record(marks[i + 2]));
    }
    TS_RETURN_IF_ERROR(stream.finish());
    if (turn < 3) continue;
    double between = 0;
    TS_RETURN_IF_ERROR(marks.us_between(0, 1, between));
    empty_us.push_back(between);
    for (size_t i = 0; i < pieces.size(); ++i) {
      TS_RETURN_IF_ERROR(marks.us_between(i + 1, i + 2, between));
      us[i].push_back(between);
    }
  }
  return {};
}

// What the bytes that kernels move are counted from: of one frame.
void print_counts(const OpenBackend& backend, const ts::Receipt& receipt, const Options& options) {
  const ts::PoseMesh& mesh = backend.view().mesh;
  const int64_t blocks = ts::pose_blocks(mesh.v);
  int64_t used = 0;
  for (int64_t e = 0; blocks > 0 && e < mesh.shape_start[blocks]; ++e)
    used += backend.control().pose.weight[mesh.shape[e]] != 0.0f;
  const int64_t skins = blocks > 0 ? mesh.skin_start[blocks] : 0;
  std::printf("\"counts\": {\"gaussians\": %lld, \"visible\": %lld, \"instances\": %lld, \"dropped\": %lld, ",
              static_cast<long long>(backend.view().binding.n), static_cast<long long>(receipt.n_visible),
              static_cast<long long>(receipt.n_instances), static_cast<long long>(receipt.n_dropped));
  std::printf("\"vertex_blocks\": %lld, \"shape_entries\": %lld, \"skin_entries\": %lld, \"triangles\": %lld, ",
              static_cast<long long>(blocks), static_cast<long long>(used), static_cast<long long>(skins),
              static_cast<long long>(backend.view().binding.n_triangles));
  const ts::GaussianView& gaussians = backend.view().gaussians;
  std::printf("\"follow\": %d, \"color_floats\": %lld, \"tiles\": %lld, \"width\": %d, \"height\": %d, \"fast\": %s}",
              static_cast<int>(backend.view().binding.follow), static_cast<long long>(ts::color_stride(gaussians)),
              static_cast<long long>(backend.extents().tiles), options.width, options.height,
              backend.extents().fast ? "true" : "false");
}

}  // namespace

Status measure_kernels(const Options& options) {
  std::unique_ptr<Device> device;
  TS_RETURN_IF_ERROR(Device::open(0, device));
  const Current current(*device);
  TS_RETURN_IF_ERROR(current.status());
  std::unique_ptr<ts::Backend> cpu;
  TS_RETURN_IF_ERROR(ts::open_cpu(1, nullptr, cpu));
  const auto backend = std::make_shared<OpenBackend>(*device, std::move(cpu));
  Scene scene;
  TS_RETURN_IF_ERROR(scene.make(options, backend));
  const NoteTaker notes(*device);
  TS_RETURN_IF_ERROR(backend->make_batch());
  // A batch has two graphs, which it uses in turns: after two draws both have jobs.
  for (size_t turn = 0; turn < 2; ++turn) TS_RETURN_IF_ERROR(scene.draw(0, scene.size(), turn));

  const Pieces& pieces = notes.graphs().front();
  std::vector<std::vector<double>> us;
  std::vector<double> empty_us;
  TS_RETURN_IF_ERROR(time_pieces(notes, pieces, *device, options, us, empty_us));
  const double empty = percentile(empty_us, 0.5);
  std::printf("{\"batch\": %d, \"repeats\": %d, \"between_events_us\": %.3f, \"pieces\": [", options.batch,
              options.repeats, empty);
  for (size_t i = 0; i < pieces.size(); ++i) {
    std::printf(
        "%s{\"name\": \"%s\", \"grid\": [%u, %u], \"threads\": %u, \"bytes\": %zu, \"us\": %.3f, \"p99_us\": %.3f}",
        i == 0 ? "" : ", ", pieces[i].name, pieces[i].grid_x, pieces[i].grid_y, pieces[i].threads, pieces[i].bytes,
        std::max(percentile(us[i], 0.5) - empty, 0.0), percentile(us[i], 0.99));
  }
  std::printf("], ");
  print_counts(*backend, scene.receipt(0), options);
  std::printf("}\n");
  return {};
}

Status measure_device(const Options& options) {
  std::unique_ptr<Device> device;
  TS_RETURN_IF_ERROR(Device::open(0, device));
  ts::Peak peak;
  TS_RETURN_IF_ERROR(measure_peak(*device, peak));
  const Current current(*device);
  TS_RETURN_IF_ERROR(current.status());
  Clock clock;
  TS_RETURN_IF_ERROR(clock.find());
  Stream stream(*device);
  TS_RETURN_IF_ERROR(stream.make());
  Memory from(*device), to(*device), sums(*device);
  const auto bytes = static_cast<size_t>(options.copy_bytes);
  TS_RETURN_IF_ERROR(from.make(bytes));
  TS_RETURN_IF_ERROR(to.make(bytes));
  TS_RETURN_IF_ERROR(sums.make(kPeakThreads * sizeof(float)));
  Marks marks(*device, clock, 2);
  TS_RETURN_IF_ERROR(marks.make());
  std::vector<double> us;
  for (int turn = 0; turn < options.repeats + 3; ++turn) {
    TS_RETURN_IF_ERROR(hold(stream, sums, options.hold_turns));
    TS_RETURN_IF_ERROR(stream.record(marks[0]));
    TS_RETURN_IF_ERROR(
        device->check(clock.cuMemcpyDtoDAsync_v2(to.address, from.address, bytes, stream.get()), "copy"));
    TS_RETURN_IF_ERROR(stream.record(marks[1]));
    TS_RETURN_IF_ERROR(stream.finish());
    us.emplace_back();
    TS_RETURN_IF_ERROR(marks.us_between(0, 1, us.back()));
  }
  us.erase(us.begin(), us.begin() + 3);
  int clock_khz = 0;  // stays 0 where the driver does not tell
  static_cast<void>(device->driver().cuDeviceGetAttribute(&clock_khz, kClockRate, 0));
  size_t free_bytes = 0, all_bytes = 0;
  TS_RETURN_IF_ERROR(device->check(device->driver().cuMemGetInfo_v2(&free_bytes, &all_bytes), "tell its memory"));
  // A copy reads and writes.
  std::printf(
      "{\"name\": \"%s\", \"isa\": \"%s\", \"multiprocessors\": %d, \"clock_mhz\": %d, \"memory_bytes\": %zu, "
      "\"driver_cuda\": %d, "
      "\"copy_gb_per_s\": %.1f, \"fp32_gflops\": %.0f, \"half_matrix_gflops\": %.0f}\n",
      device->name(), device->isa(), device->multiprocessors(), clock_khz / 1000, all_bytes, device->driver().version,
      2e-3 * static_cast<double>(bytes) / percentile(us, 0.5), peak.fp32, peak.bf16);
  return {};
}

}  // namespace ts_bench
