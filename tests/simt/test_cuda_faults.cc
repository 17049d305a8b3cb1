// SPDX-License-Identifier: Apache-2.0
// What csrc/cuda does when the driver fails, at each of its calls in turn: an error that says so, nothing that is not given
// back, and a new engine that works. Argument: the fake driver. What kernels compute is not looked at.
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cpp/check.h"
#include "simt/cuda_test.h"

using namespace ts_test;

namespace {

const ts::Canvas kCanvas{17, 10, ts::Format::kRgba8, ts::Precision::kFast, true, false};

// A tower without layers.
std::shared_ptr<const ts::EncodeModel> least_voice() {
  ts::MelParams mel;
  mel.n_mels = 1;
  ts::TowerWeights tower;
  tower.inputs = 2, tower.width = tower.heads = tower.window = tower.taps = tower.hidden = tower.outputs = 1;
  tower.stem = {{0.5f, 0.5f}, {0}};
  tower.head = {{1}, {0}};
  tower.sigmoid = {false};
  return std::make_shared<ts::EncodeModel>(mel, std::vector<ts::TowerWeights>{tower});
}

// Everything that a backend does, until something fails.
ts::Status do_everything(const Cloud& cloud, const std::vector<float>& picture,
                         const std::shared_ptr<const ts::EncodeModel>& voice) {
  std::shared_ptr<ts::Backend> gpu;
  TS_RETURN_IF_ERROR(open_gpu(gpu));
  {
    CloudFrame first(*gpu, cloud, kCanvas), second(*gpu, cloud, kCanvas);
    TS_RETURN_IF_ERROR(first.made);
    TS_RETURN_IF_ERROR(second.made);
    first.background.image_f32 = picture.data();
    std::unique_ptr<ts::DeviceMemory> memory;
    TS_RETURN_IF_ERROR(gpu->make_memory(4096, memory));
    const ts::DeviceDelivery delivery{nullptr, memory->event()};
    ts::DrawCall stays = first.call();
    stays.on_device = &delivery;
    stays.image.data = memory->address(), stays.image.alpha = nullptr;
    TS_RETURN_IF_ERROR(gpu->draw(&stays, 1));
    ts::GaussianDelivery gaussians;
    gaussians.rows.mean = static_cast<float*>(memory->address()), gaussians.how = delivery;
    TS_RETURN_IF_ERROR(gpu->deliver_gaussians(*second.frame, {}, gaussians));
    TS_RETURN_IF_ERROR(memory->hold_back(nullptr));
    float at[3];
    TS_RETURN_IF_ERROR(memory->read(0, at, sizeof at));
    // The frames are waited for.
    TS_RETURN_IF_ERROR(first.draw());
    const ts::DrawCall calls[2] = {first.call(), second.call()};
    TS_RETURN_IF_ERROR(gpu->draw(calls, 2));
    ts::GaussianView view;
    TS_RETURN_IF_ERROR(gpu->gaussians(*first.frame, {}, view));
    const float* position = nullptr;
    TS_RETURN_IF_ERROR(gpu->vertices(*first.frame, {}, position));
    ts::RasterizeArgs args;
    Pixels pixels(kCanvas);
    ts::Receipt receipt;
    args.gaussians = cloud.gaussians();
    args.camera = camera_of(kCanvas.width, kCanvas.height);
    args.background.image_f32 = picture.data();
    args.image = pixels.image();
    TS_RETURN_IF_ERROR(gpu->rasterize(args, receipt));
    const auto stream = gpu->make_encode_stream(voice);
    const std::vector<float> input(static_cast<size_t>(2 * voice->n_inputs()));
    std::vector<float> channel(static_cast<size_t>(2 * voice->n_channels)),
        feature(static_cast<size_t>(2 * voice->n_features));
    const ts::EncodeCall steps{stream.get(), 2, input.data(), channel.data(), feature.data()};
    TS_RETURN_IF_ERROR(gpu->encode(&steps, 1));
  }
  return {};
}

struct Everything {
  const FakeDriver& driver;
  const Cloud cloud{40, -1, 1};
  const std::vector<float> picture = std::vector<float>(3 * 17 * 10, 0.5f);
  const std::shared_ptr<const ts::EncodeModel> voice = least_voice();

  ts::Status run() const { return do_everything(cloud, picture, voice); }
  void works_again() const {
    const ts::Status status = run();
    CHECK_MESSAGE(status.ok(), status.message());
  }
  void nothing_is_left(const std::string& when) const {
    CHECK_MESSAGE(driver.left() == 0, std::to_string(driver.left()) + " things were not given back, " + when);
  }
};

using Calls = std::vector<std::string>;

// Calls that give something back, of whose failure there is nobody to tell; or that prepare it.
bool gives_back(const Calls& calls, size_t i) {
  static const std::set<std::string> kinds = {
      "cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2", "cuModuleUnload",    "cuMemFree_v2",
      "cuMemFreeHost",      "cuStreamDestroy_v2",           "cuEventDestroy_v2", "cuGraphDestroy",
      "cuGraphExecDestroy"};
  if (i >= calls.size()) return false;
  if (calls[i] == "cuCtxPushCurrent_v2" || calls[i] == "cuStreamSynchronize" || calls[i] == "cuCtxSynchronize")
    return gives_back(calls, i + 1);
  return kinds.count(calls[i]) > 0;
}

void each_call_fails_in_turn(const Everything& everything) {
  const FakeDriver& driver = everything.driver;
  driver.reset();
  everything.works_again();
  everything.nothing_is_left("when nothing fails");
  Calls names = {""};
  for (int i = 1; driver.call(i); ++i) names.emplace_back(driver.call(i));
  CHECK(names.size() > 150);
  for (const int code : {1, 719}) {
    const Setting error(driver, "FAKE_CUDA_ERROR", code);
    for (size_t i = 1; i < names.size(); ++i) {
      const std::string at = names[i] + ", call " + std::to_string(i) + ", with " + std::to_string(code);
      {
        const Setting setting(driver, "FAKE_CUDA_FAIL_AT", static_cast<int>(i));
        const ts::Status status = everything.run();
        if (status.ok()) {
          CHECK_MESSAGE(gives_back(names, i), "nobody noticed: " + at);
        } else {
          // Of what a caller hands over the driver may say that there is no such thing.
          const bool callers = code == 1 && contains(status.message(), "must be");
          CHECK_MESSAGE(status.code() == (callers ? ts::StatusCode::kInvalidArgument : ts::StatusCode::kDeviceError),
                        at + ": " + status.message());
          CHECK_MESSAGE(contains(status.message(), "cuda") && (callers || contains(status.message(), "device=\"cpu\"")),
                        at + ": " + status.message());
        }
        // Without its context, which goes soon, nothing can be given back by itself.
        if (names[i] != "cuCtxPushCurrent_v2") everything.nothing_is_left("after " + at);
      }
    }
  }
  everything.works_again();
}

void each_allocation_fails_in_turn(const Everything& everything) {
  const FakeDriver& driver = everything.driver;
  driver.reset();
  everything.works_again();
  const int allocations = driver.allocations();
  CHECK(allocations > 15);
  for (int i = 1; i <= allocations; ++i) {
    {
      const Setting setting(driver, "FAKE_CUDA_OUT_OF_MEMORY_AT", i);
      const ts::Status status = everything.run();
      CHECK_MESSAGE(status.code() == ts::StatusCode::kDeviceError &&
                        contains(status.message(), "cuda:0 (Fake GPU) is out of memory: ") &&
                        contains(status.message(), " bytes; ") && contains(status.message(), " of 6442450944 are free"),
                    "allocation " + std::to_string(i) + ": " + status.message());
    }
    everything.nothing_is_left("after allocation " + std::to_string(i));
  }
}

void too_large_for_the_memory(const FakeDriver& driver) {
  const Setting setting(driver, "FAKE_CUDA_MEMORY", 4 << 20);
  std::shared_ptr<ts::Backend> gpu;
  CHECK(open_gpu(gpu).ok());
  if (!gpu) return;
  const Cloud cloud(100, -1, 2);
  ts::Canvas canvas = kCanvas;
  canvas.width = canvas.height = 4096;
  const CloudFrame large(*gpu, cloud, canvas);
  CHECK_MESSAGE(contains(large.made.message(), "out of memory: a frame needs ") &&
                    contains(large.made.message(), "Make the picture or the batch smaller"),
                large.made.message());
  CloudFrame small(*gpu, cloud, kCanvas);
  CHECK_MESSAGE(small.draw().ok(), small.made.message());
}

void it_is_lost_at_each_call_in_turn(const Everything& everything) {
  const FakeDriver& driver = everything.driver;
  driver.reset();
  everything.works_again();
  const int calls = driver.calls();
  for (int i = 1; i <= calls; ++i) {
    const std::string at = "call " + std::to_string(i);
    {
      const Setting setting(driver, "FAKE_CUDA_LOST_AT", i);
      const ts::Status status = everything.run();
      CHECK_MESSAGE(status.ok() || (status.code() == ts::StatusCode::kDeviceError &&
                                    contains(status.message(), "was lost: CUDA_ERROR_LAUNCH_FAILED") &&
                                    contains(status.message(), "Make a new engine")),
                    at + ": " + status.message());
    }
    everything.nothing_is_left("after it was lost at " + at);
  }
}

// It stays lost, for everything, until there is a new engine.
void lost_until_there_is_a_new_engine(const Everything& everything) {
  const FakeDriver& driver = everything.driver;
  {
    std::shared_ptr<ts::Backend> gpu;
    CHECK(open_gpu(gpu).ok());
    if (!gpu) return;
    CloudFrame frame(*gpu, everything.cloud, kCanvas), other(*gpu, everything.cloud, kCanvas);
    CHECK(frame.draw().ok());
    {
      const Setting setting(driver, "FAKE_CUDA_LOST_AT", 1);
      CHECK(!frame.draw().ok());
    }
    const ts::DrawCall calls[2] = {frame.call(), other.call()};
    ts::GaussianView view;
    const float* position = nullptr;
    ts::RasterizeArgs args;
    Pixels pixels(kCanvas);
    args.camera = camera_of(kCanvas.width, kCanvas.height);
    args.image = pixels.image();
    ts::Receipt receipt;
    const CloudFrame third(*gpu, everything.cloud, kCanvas);
    const auto stream = gpu->make_encode_stream(everything.voice);
    float two[2] = {}, channel = 0, feature = 0;
    const ts::EncodeCall steps{stream.get(), 1, two, &channel, &feature};
    for (const ts::Status& status :
         {frame.draw(), gpu->draw(calls, 2), gpu->gaussians(*frame.frame, {}, view), third.made,
          gpu->vertices(*other.frame, {}, position), gpu->rasterize(args, receipt), gpu->encode(&steps, 1)}) {
      CHECK_MESSAGE(contains(status.message(), "cuda:0 (Fake GPU) was lost: CUDA_ERROR_LAUNCH_FAILED"),
                    status.message());
    }
  }
  everything.nothing_is_left("after a device that was lost");
  everything.works_again();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FAKE_DRIVER\n", argv[0]);
    return 2;
  }
  const FakeDriver driver(argv[1]);
  const Setting setting(driver, "FAKE_CUDA_KERNELS", 0);
  const Everything everything{driver};
  each_call_fails_in_turn(everything);
  each_allocation_fails_in_turn(everything);
  too_large_for_the_memory(driver);
  it_is_lost_at_each_call_in_turn(everything);
  lost_until_there_is_a_new_engine(everything);
  return report("test_cuda_faults");
}
