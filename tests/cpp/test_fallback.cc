// SPDX-License-Identifier: Apache-2.0
// A GPU that fails in each of its calls, or while several threads draw: the CPU does that very call and all later ones,
// with the same models and frames; other errors are passed on. Both devices are played by a backend that writes who it is.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "fallback_backend.h"

using ts::Status;
using ts::StatusCode;

namespace {

// Of both devices, from any thread.
struct Log {
  std::atomic<int> models{0}, frames{0};  // alive
  std::atomic<int> strangers{0};          // models and frames that were given to the other device
};

struct PlayedModel final : ts::BackendModel {
  PlayedModel(Log& to, char who, const ts::ModelView& of) : log(to), device(who), n_control(of.n_control) {
    ++log.models;
  }
  ~PlayedModel() override { --log.models; }
  uint64_t bytes() const override { return 1000; }
  Log& log;
  const char device;
  const int64_t n_control;
};

struct PlayedFrame final : ts::BackendFrame {
  PlayedFrame(std::shared_ptr<const PlayedModel> of, const ts::Canvas& its)
      : model(std::move(of)), canvas(its), log(model->log) {
    ++log.frames;
  }
  ~PlayedFrame() override { --log.frames; }
  uint64_t bytes() const override { return 10; }
  const std::shared_ptr<const PlayedModel> model;
  const ts::Canvas canvas;
  Log& log;
  float position[4] = {};
};

// Draws its device's letter into the first byte of a picture, and checks that models and frames are its own.
class Played final : public ts::Backend {
 public:
  Played(Log& log, char device) : log_(log), device_(device) {}

  ts::BackendInfo info() const override {
    return device_ == 'G' ? ts::BackendInfo{"cuda:0", "sm_75", 2, 7, "Played GPU", nullptr}
                          : ts::BackendInfo{"cpu", "avx2", 2, 3, nullptr, nullptr};
  }
  Status load(const ts::ModelView& view, std::shared_ptr<const ts::BackendModel>& model) override {
    TS_RETURN_IF_ERROR(next());
    model = std::make_shared<PlayedModel>(log_, device_, view);
    return {};
  }
  Status make_frame(std::shared_ptr<const ts::BackendModel> model, const ts::Canvas& canvas,
                    std::unique_ptr<ts::BackendFrame>& frame) override {
    TS_RETURN_IF_ERROR(next());
    auto own = std::static_pointer_cast<const PlayedModel>(std::move(model));
    log_.strangers += !own || own->device != device_;
    frame = std::make_unique<PlayedFrame>(std::move(own), canvas);
    return {};
  }
  Status draw(const ts::DrawCall* calls, size_t n) override {
    for (size_t i = 0; i < n; ++i) {
      const auto* frame = static_cast<PlayedFrame*>(calls[i].frame);
      log_.strangers += !frame || frame->model->device != device_ || frame->canvas.width != calls[i].image.width;
      calls[i].receipt->blend_us += 1;
      TS_RETURN_IF_ERROR(next());  // a batch fails on the way
      *static_cast<char*>(calls[i].image.data) = device_;
      calls[i].receipt->n_visible = static_cast<uint32_t>(frame->model->n_control);
    }
    return {};
  }
  Status gaussians(ts::BackendFrame& frame, const ts::FrameControl&, ts::GaussianView& view) override {
    log_.strangers += static_cast<PlayedFrame&>(frame).model->device != device_;
    view.n = device_;
    return next();
  }
  Status vertices(ts::BackendFrame& frame, const ts::FrameControl&, const float*& position) override {
    auto& own = static_cast<PlayedFrame&>(frame);
    log_.strangers += own.model->device != device_;
    own.position[0] = static_cast<float>(device_), position = own.position;
    return next();
  }
  void condition(const ts::ConditionProgram&, const float*, float* value) const override {
    *value = static_cast<float>(device_);
  }
  ts::Peak measure_peak() override { return {static_cast<double>(device_), 0}; }
  Status rasterize(const ts::RasterizeArgs& args, ts::Receipt& receipt) override {
    receipt.blend_us += 1;
    TS_RETURN_IF_ERROR(next());
    *static_cast<char*>(args.image.data) = device_;
    return {};
  }
  std::unique_ptr<ts::EncodeStream> make_encode_stream(std::shared_ptr<const ts::EncodeModel>) override {
    return nullptr;
  }
  Status encode(const ts::EncodeCall*, size_t) override { return {}; }

  std::atomic<int> left{1 << 30};  // calls, and pictures of a draw, before one fails
  StatusCode code = StatusCode::kDeviceError;

 private:
  Status next() { return left-- > 0 ? Status() : Status(code, "cuda:0 (Played GPU) was lost."); }
  Log& log_;
  const char device_;
};

struct Pair {
  Log log;
  Played* gpu = nullptr;
  std::unique_ptr<ts::Backend> both;
  Pair() {
    auto played = std::make_unique<Played>(log, 'G');
    gpu = played.get();
    both = ts::with_fallback(std::move(played), std::make_shared<Played>(log, 'C'));
  }
};

struct Picture {
  char pixel = ' ';
  ts::Receipt receipt;
  ts::DrawCall of(ts::BackendFrame* frame) {
    ts::DrawCall call;
    call.frame = frame;
    call.image.width = 16;
    call.image.data = &pixel;
    call.receipt = &receipt;
    return call;
  }
};

ts::Canvas canvas() {
  ts::Canvas canvas;
  canvas.width = canvas.height = 16;
  return canvas;
}

// Every kind of call, once; who answered, a letter each: a batch of three, rasterize, gaussians, vertices.
std::string play(ts::Backend& both) {
  ts::ModelView view;
  view.n_control = 5;
  std::shared_ptr<const ts::BackendModel> model;
  CHECK(both.load(view, model).ok());
  std::unique_ptr<ts::BackendFrame> frames[3];
  for (auto& frame : frames) CHECK(both.make_frame(model, canvas(), frame).ok());
  Picture pictures[3], loose;
  ts::DrawCall calls[3];
  for (int i = 0; i < 3; ++i) {
    calls[i] = pictures[i].of(frames[i].get());
    pictures[i].receipt.total_us = 100;  // what the caller had counted
  }
  CHECK(both.draw(calls, 3).ok());
  std::string who;
  for (const Picture& picture : pictures) {
    who += picture.pixel;
    CHECK(picture.receipt.blend_us == 1 && picture.receipt.total_us == 100 && picture.receipt.n_visible == 5);
  }
  ts::RasterizeArgs args;
  args.image.data = &loose.pixel;
  CHECK(both.rasterize(args, loose.receipt).ok());
  CHECK(loose.receipt.blend_us == 1);
  ts::GaussianView gaussians;
  CHECK(both.gaussians(*frames[1], {}, gaussians).ok());
  const float* position = nullptr;
  CHECK(both.vertices(*frames[2], {}, position).ok());
  return who + loose.pixel + static_cast<char>(gaussians.n) + static_cast<char>(position[0]);
}

constexpr int kCalls = 10;  // of play(): load, three frames, three pictures, rasterize, gaussians, vertices

void a_failure_at_any_call() {
  for (int before = 0; before <= kCalls; ++before) {
    Pair pair;
    pair.gpu->left = before;
    const std::string who = play(*pair.both);
    // A batch that failed on its way is drawn anew as a whole.
    const std::string want = before < 7    ? "CCCCCC"
                             : before == 7 ? "GGGCCC"
                             : before == 8 ? "GGGGCC"
                             : before == 9 ? "GGGGGC"
                                           : "GGGGGG";
    CHECK_MESSAGE(who == want, std::to_string(before) + ": " + who);
    const ts::BackendInfo info = pair.both->info();
    if (before == kCalls) {
      CHECK(std::string(info.device) == "cuda:0" && std::string(info.name) == "Played GPU" && !info.note);
      CHECK(pair.both->measure_peak().fp32 == 'G');
    } else {
      CHECK(std::string(info.device) == "cpu" && !info.name && info.scratch_bytes == 3);
      CHECK(std::string(info.note) == "cuda:0 (Played GPU) was lost.");
      CHECK(pair.both->measure_peak().fp32 == 'C');
      pair.gpu->left = 1000;  // it is not asked again
      CHECK(play(*pair.both) == "CCCCCC");
    }
    CHECK(pair.log.models == 0 && pair.log.frames == 0 && pair.log.strangers == 0);
  }
}

void other_errors_are_passed_on() {
  for (const StatusCode code : {StatusCode::kInvalidArgument, StatusCode::kOutOfMemory, StatusCode::kInternal}) {
    Pair pair;
    pair.gpu->left = 0, pair.gpu->code = code;
    std::shared_ptr<const ts::BackendModel> model;
    CHECK(pair.both->load({}, model).code() == code);
    CHECK(std::string(pair.both->info().device) == "cuda:0");
  }
}

void memory_of_the_gpu_is_given_back() {
  Pair pair;
  std::shared_ptr<const ts::BackendModel> model;
  CHECK(pair.both->load({}, model).ok());
  std::unique_ptr<ts::BackendFrame> frame;
  CHECK(pair.both->make_frame(model, canvas(), frame).ok());
  CHECK(model->bytes() == 1000 && frame->bytes() == 10);
  CHECK(pair.log.models == 1 && pair.log.frames == 1);  // no twins yet
  pair.gpu->left = 0;
  Picture picture;
  const ts::DrawCall call = picture.of(frame.get());
  CHECK(pair.both->draw(&call, 1).ok() && picture.pixel == 'C');
  CHECK(model->bytes() == 2000 && frame->bytes() == 10);
  CHECK(pair.log.models == 2 && pair.log.frames == 1);
  CHECK(pair.both->draw(nullptr, 0).ok());
}

void threads_that_draw_when_it_fails() {
  Pair pair;
  std::shared_ptr<const ts::BackendModel> model;
  CHECK(pair.both->load({}, model).ok());
  pair.gpu->left = 400;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        std::unique_ptr<ts::BackendFrame> frame;
        wrong += !pair.both->make_frame(model, canvas(), frame).ok();
        bool failed = false;
        for (int k = 0; k < 20; ++k) {
          Picture picture;
          const ts::DrawCall call = picture.of(frame.get());
          wrong += !pair.both->draw(&call, 1).ok();
          // Never back to the GPU.
          wrong += picture.pixel != 'C' && (picture.pixel != 'G' || failed);
          failed = failed || picture.pixel == 'C';
          wrong += pair.both->info().device == nullptr;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0 && pair.log.strangers == 0);
  CHECK(std::string(pair.both->info().device) == "cpu");
}

}  // namespace

int main() {
  a_failure_at_any_call();
  other_errors_are_passed_on();
  memory_of_the_gpu_is_given_back();
  threads_that_draw_when_it_fails();
  return ts_test::report("test_fallback");
}
