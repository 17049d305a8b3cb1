// SPDX-License-Identifier: Apache-2.0
// Whole frames through csrc/cuda over the fake driver, beside the CPU's. Arguments: the fake driver; avatar files.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "cpp/check.h"
#include "cpp/sample_deform.h"
#include "engine/renderer.h"
#include "simt/cuda_test.h"

using namespace ts_test;
using ts::Canvas;
using ts::Format;
using ts::Precision;

static const FakeDriver* allocating_driver = nullptr;  // whose own allocations do not count
static std::atomic<int> n_allocations{0};

__attribute__((noinline)) void* operator new(size_t size, const std::nothrow_t&) noexcept {
  if (allocating_driver && !allocating_driver->inside()) ++n_allocations;
  return std::malloc(size ? size : 1);
}
__attribute__((noinline)) void* operator new(size_t size) {
  if (void* p = operator new(size, std::nothrow)) return p;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* p) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace {

constexpr Format kFormats[] = {Format::kRgbF32, Format::kRgba8, Format::kRgb8, Format::kNv12};
constexpr Precision kPrecisions[] = {Precision::kReference, Precision::kFast};

// How far the GPU's picture may be from the CPU's reference, in 1/255: both are within 2e-5 of float64, or the GPU's fast
// one within 1.5/255; 8-bit codes of numbers that differ so little are at most one apart, or two.
double allowed(Precision precision, Format format) {
  const bool floats = format == Format::kRgbF32;
  return precision == Precision::kReference ? (floats ? 4e-5 * 255 : 1) : (floats ? 1.5 + 2e-5 * 255 : 2);
}

void expect_ok(const ts::Status& status) { CHECK_MESSAGE(status.ok(), status.message()); }

// The GPU counts pairs whose mask of blocks is empty too, one in thousands.
void expect_same_work(const ts::Receipt& gpu, const ts::Receipt& cpu) {
  CHECK(gpu.n_gaussians == cpu.n_gaussians && gpu.n_visible == cpu.n_visible && gpu.n_dropped == 0);
  CHECK_MESSAGE(gpu.n_instances >= cpu.n_instances && gpu.n_instances <= cpu.n_instances + 2 + cpu.n_instances / 100,
                std::to_string(gpu.n_instances) + " pairs, on the CPU " + std::to_string(cpu.n_instances));
}

// A background of each kind for pictures of this size.
struct Backgrounds {
  explicit Backgrounds(const Canvas& canvas) {
    const size_t n = 3 * static_cast<size_t>(canvas.width) * static_cast<size_t>(canvas.height);
    for (size_t i = 0; i < n; ++i) {
      floats.push_back(static_cast<float>(i % 97) / 96);
      bytes.push_back(static_cast<uint8_t>(i * 7));
    }
    kinds[1].color = color;
    kinds[2].image_f32 = floats.data();
    kinds[3].image_u8 = bytes.data();
    kinds[4].image_u8 = bytes.data(), kinds[4].constant = true;
  }
  const float color[3] = {0.25f, 0.5f, 1.0f};
  std::vector<float> floats;
  std::vector<uint8_t> bytes;
  ts::Background kinds[5];
};

void pictures_are_those_of_the_cpu(ts::Backend& cpu, ts::Backend& gpu) {
  const Cloud clouds[] = {Cloud{300, -1, 1}, Cloud{257, 2, 2}};
  for (const Cloud& cloud : clouds) {
    for (const Precision precision : kPrecisions) {
      for (const Format format : kFormats) {
        const Canvas canvas{38, 26, format, precision, true, true};
        CloudFrame ours(gpu, cloud, canvas), theirs(cpu, cloud, canvas);
        const Backgrounds backgrounds(canvas);
        for (const ts::Background& background : backgrounds.kinds) {
          ours.background = theirs.background = background;
          expect_ok(ours.draw());
          expect_ok(theirs.draw());
          const double apart = difference(ours.pixels, theirs.pixels);
          CHECK_MESSAGE(apart <= allowed(precision, format),
                        "format " + std::to_string(static_cast<int>(format)) + ": " + std::to_string(apart) + "/255");
          CHECK(ours.pixels.gaps_are_untouched());
          CHECK(plane_difference(ours.pixels, theirs.pixels) <= (precision == Precision::kReference ? 1e-4 : 3e-2));
          expect_same_work(ours.receipt, theirs.receipt);
          CHECK(ours.receipt.n_visible > 100 && ours.receipt.total_us > 0);
        }
      }
    }
  }
}

void small_and_empty_pictures(ts::Backend& cpu, ts::Backend& gpu) {
  for (const int64_t n : {0, 1, 33}) {
    const Cloud cloud(n, -1, 3);
    for (const int side : {1, 16, 17}) {
      const Canvas canvas{side, side + 2, Format::kRgba8, Precision::kReference, false, false};
      CloudFrame ours(gpu, cloud, canvas), theirs(cpu, cloud, canvas);
      expect_ok(ours.draw());
      expect_ok(theirs.draw());
      CHECK(difference(ours.pixels, theirs.pixels) <= 1);
      CHECK(ours.receipt.n_visible == theirs.receipt.n_visible);
    }
  }
}

void loose_gaussians(ts::Backend& cpu, ts::Backend& gpu) {
  // The memory grows, and is used again by what needs less.
  for (const int64_t n : {40, 700, 0, 300}) {
    const Cloud cloud(n, n == 300 ? 3 : -1, 4);
    for (const Precision precision : kPrecisions) {
      const Canvas canvas{n == 700 ? 50 : 33, 20, Format::kRgbF32, precision, true, n != 40};
      const Backgrounds backgrounds(canvas);
      Pixels pictures[2] = {Pixels(canvas), Pixels(canvas)};
      ts::Receipt receipts[2];
      for (int i = 0; i < 2; ++i) {
        ts::RasterizeArgs args;
        args.gaussians = cloud.gaussians();
        args.camera = camera_of(canvas.width, canvas.height);
        args.background = backgrounds.kinds[n == 40 ? 1 : 2];
        args.precision = i ? Precision::kReference : precision;
        args.image = pictures[i].image();
        expect_ok((i ? cpu : gpu).rasterize(args, receipts[i]));
      }
      CHECK(difference(pictures[0], pictures[1]) <= allowed(precision, canvas.format));
      CHECK(plane_difference(pictures[0], pictures[1]) <= (precision == Precision::kReference ? 1e-4 : 3e-2));
      expect_same_work(receipts[0], receipts[1]);
      CHECK(receipts[0].n_gaussians == n && receipts[0].total_us > 0);
    }
  }
  ts::RasterizeArgs args;
  ts::Receipt receipt;
  args.dilation = -1;
  CHECK(gpu.rasterize(args, receipt).code() == ts::StatusCode::kInvalidArgument);
}

// ---- avatars ----

struct Loaded {
  Loaded(const char* path, std::shared_ptr<ts::Backend> backend) {
    expect_ok(ts::Model::load(path, std::move(backend), model));
  }
  std::unique_ptr<ts::Frame> frame(const Canvas& canvas) const {
    std::unique_ptr<ts::Frame> made;
    expect_ok(ts::Frame::make(model, canvas, made));
    return made;
  }
  std::shared_ptr<const ts::Model> model;
};

// Not its neutral control: numbers of a fixed pattern, small enough that every rig can follow.
std::vector<float> control_of(const ts::Model& model, int variant) {
  std::vector<float> control(model.layout().neutral(), model.layout().neutral() + model.layout().size());
  for (size_t i = 0; i < control.size(); ++i)
    control[i] += 0.02f * static_cast<float>((i * 5 + static_cast<size_t>(variant) * 3) % 7) * (i % 2 ? -1.0f : 1.0f);
  return control;
}

ts::Status render(ts::Frame& frame, const std::vector<float>& control, Pixels& pixels, ts::Receipt& receipt) {
  ts::RenderJob job;
  job.frame = &frame;
  job.control = control.data();
  job.image = pixels.image();
  job.receipt = &receipt;
  return ts::render(&job, 1);
}

void avatars_look_the_same(const std::vector<const char*>& paths, const std::shared_ptr<ts::Backend>& cpu,
                           const std::shared_ptr<ts::Backend>& gpu) {
  for (const char* path : paths) {
    const Loaded ours(path, gpu), theirs(path, cpu);
    if (!ours.model || !theirs.model) continue;
    for (const Precision precision : kPrecisions) {
      const Canvas canvas{64, 48, Format::kRgbF32, precision, true, true};
      Canvas reference = canvas;
      reference.precision = Precision::kReference;
      const auto a = ours.frame(canvas), b = theirs.frame(reference);
      if (!a || !b) continue;
      CHECK(a->bytes() > 0 && ours.model->resident_bytes() > 0);
      for (int variant = 0; variant < 2; ++variant) {
        const std::vector<float> control = control_of(*ours.model, variant);
        Pixels x(canvas), y(reference);
        ts::Receipt p, q;
        expect_ok(render(*a, control, x, p));
        expect_ok(render(*b, control, y, q));
        const double apart = difference(x, y);
        CHECK_MESSAGE(apart <= allowed(precision, canvas.format),
                      std::string(path) + ": " + std::to_string(apart) + "/255");
        // A network in halves moves Gaussians a little, some of them in or out of a tile.
        if (precision == Precision::kReference || ours.model->file().program.branches.empty()) expect_same_work(p, q);
      }
    }
  }
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(double{a[i]} - b[i]));
  return a.size() == b.size() ? largest : 1e30;
}

void what_a_frame_can_be_asked_for(const std::vector<const char*>& paths, const std::shared_ptr<ts::Backend>& cpu,
                                   const std::shared_ptr<ts::Backend>& gpu) {
  for (const char* path : paths) {
    std::vector<float> shown[2][6];
    for (int i = 0; i < 2; ++i) {
      const Loaded loaded(path, i ? cpu : gpu);
      if (!loaded.model) return;
      const ts::AvatarFile& file = loaded.model->file();
      const auto frame = loaded.frame({32, 32, Format::kRgba8, Precision::kReference, false, false});
      if (!frame) return;
      const auto n = static_cast<size_t>(file.source_count);
      std::vector<float>* to = shown[i];
      const size_t columns[] = {3, 4, 3, 1, static_cast<size_t>(ts::color_stride(file.gaussians))};
      for (int c = 0; c < 5; ++c) to[c].resize(columns[c] * n);
      to[5].resize(3 * static_cast<size_t>(file.v));
      const std::vector<float> control = control_of(*loaded.model, 1);
      for (int again = 0; again < 2; ++again) {
        expect_ok(ts::read_gaussians(*frame, control.data(),
                                     {to[0].data(), to[1].data(), to[2].data(), to[3].data(), to[4].data()}));
        expect_ok(ts::read_vertices(*frame, control.data(), to[5].data()));
      }
    }
    for (int c = 0; c < 6; ++c) {
      const double apart = largest_difference(shown[0][c], shown[1][c]);
      CHECK_MESSAGE(apart <= 2e-5, std::string(path) + ", rows " + std::to_string(c) + ": " + std::to_string(apart));
    }
  }
}

// ---- several at once ----

void batches_are_single_draws(const FakeDriver& driver, ts::Backend& gpu) {
  const Cloud clouds[] = {Cloud{300, -1, 5}, Cloud{40, 1, 6}, Cloud{0, -1, 7}};
  for (const size_t n : {2u, 3u, 16u, 70u}) {
    std::vector<std::unique_ptr<CloudFrame>> frames;
    std::vector<Pixels> lone;
    std::vector<ts::Receipt> receipts;
    for (size_t i = 0; i < n; ++i) {
      const int side = n == 70 ? 16 : 20 + 7 * static_cast<int>(i % 3);
      const Canvas canvas{side,       24,   kFormats[i % 4], i % 5 ? Precision::kFast : Precision::kReference,
                          i % 2 == 0, false};
      if (canvas.format == Format::kNv12 && side % 2) continue;
      frames.push_back(std::make_unique<CloudFrame>(gpu, clouds[n == 70 ? 1 : i % 3], canvas));
      expect_ok(frames.back()->draw());
      lone.push_back(frames.back()->pixels);
      receipts.push_back(frames.back()->receipt);
    }
    for (int again = 0; again < 2; ++again) {
      std::vector<ts::DrawCall> calls;
      for (const auto& frame : frames) {
        frame->pixels = Pixels(frame->pixels.canvas);
        calls.push_back(frame->call());
      }
      const int allocated = driver.allocations();
      expect_ok(gpu.draw(calls.data(), calls.size()));
      CHECK((driver.allocations() == allocated) ==
            (again == 1 || n == 2));  // a batch is kept; two of two precisions are none
      for (size_t i = 0; i < frames.size(); ++i) {
        CHECK(frames[i]->pixels == lone[i]);
        CHECK(frames[i]->receipt.n_instances == receipts[i].n_instances);
      }
    }
  }
  expect_ok(gpu.draw(nullptr, 0));
}

// Rigs, networks of two kinds and pictures of one size and another in one graph.
void batches_of_avatars(const std::vector<const char*>& paths, const std::shared_ptr<ts::Backend>& gpu) {
  for (const Precision precision : kPrecisions) {
    std::vector<std::unique_ptr<ts::Frame>> frames;
    std::vector<std::vector<float>> controls;
    std::vector<Pixels> lone, together;
    for (const char* path : paths) {
      const Loaded loaded(path, gpu);
      if (!loaded.model) return;
      for (int variant = 0; variant < 2; ++variant) {
        frames.push_back(loaded.frame({variant ? 40 : 33, 24, Format::kRgba8, precision, false, false}));
        if (!frames.back()) return;
        controls.push_back(control_of(*loaded.model, variant));
        lone.emplace_back(frames.back()->canvas());
        ts::Receipt receipt;
        expect_ok(render(*frames.back(), controls.back(), lone.back(), receipt));
      }
    }
    std::vector<ts::RenderJob> jobs(frames.size());
    std::vector<ts::Receipt> receipts(frames.size());
    together.reserve(frames.size());
    for (size_t i = 0; i < frames.size(); ++i) {
      together.emplace_back(frames[i]->canvas());
      jobs[i].frame = frames[i].get();
      jobs[i].control = controls[i].data();
      jobs[i].image = together[i].image();
      jobs[i].receipt = &receipts[i];
    }
    expect_ok(ts::render(jobs.data(), jobs.size()));
    for (size_t i = 0; i < frames.size(); ++i) CHECK_MESSAGE(together[i] == lone[i], "avatar " + std::to_string(i / 2));
  }
}

// Where layers and rows are two kernels, networks in fast precision make the same picture, to the bit here: what stands in
// for Triton's kernel adds in the same order. sm_90 leaves draws of three frames and more to it (simt/fake_triton.cc).
void networks_by_two_kernels(const FakeDriver& driver, const std::vector<const char*>& paths) {
  const auto draw = [&](int capability, const char* pinned, size_t n, std::vector<Pixels>& pictures) {
    const Setting setting(driver, "FAKE_CUDA_CAPABILITY", capability);
    if (pinned) setenv("TALKSPLAT_DEFORM", pinned, 1);
    std::shared_ptr<ts::Backend> gpu;
    expect_ok(open_gpu(gpu));
    unsetenv("TALKSPLAT_DEFORM");
    int ran = 0;
    for (const char* path : paths) {
      const Loaded loaded(path, gpu);
      if (!loaded.model) return 0;
      std::vector<std::unique_ptr<ts::Frame>> frames;
      std::vector<std::vector<float>> controls;
      const size_t first = pictures.size();
      std::vector<ts::RenderJob> jobs(n);
      std::vector<ts::Receipt> receipts(n);
      pictures.reserve(first + n);
      for (size_t i = 0; i < n; ++i) {
        frames.push_back(loaded.frame({40, 24, Format::kRgba8, Precision::kFast, false, false}));
        if (!frames.back()) return 0;
        controls.push_back(control_of(*loaded.model, static_cast<int>(i)));
        pictures.emplace_back(frames.back()->canvas());
      }
      for (size_t i = 0; i < n; ++i) {
        jobs[i].frame = frames[i].get();
        jobs[i].control = controls[i].data();
        jobs[i].image = pictures[first + i].image();
        jobs[i].receipt = &receipts[i];
      }
      const int before = driver.ran();
      expect_ok(ts::render(jobs.data(), n));
      ran += driver.ran() - before;
    }
    return ran;
  };
  for (const size_t n : {2u, 3u}) {
    std::vector<Pixels> by_cuda, by_triton, by_measure;
    const int kernels = draw(80, "cuda", n, by_cuda);
    const int more = draw(80, "triton", n, by_triton) - kernels;
    CHECK_MESSAGE(more > 0, "Triton's kernel did not run");
    CHECK(draw(90, nullptr, n, by_measure) - kernels == (n < 3 ? 0 : more));
    CHECK(by_cuda == by_triton && by_cuda == by_measure);
  }
}

void the_same_bits_in_every_order(const FakeDriver& driver, ts::Backend& gpu) {
  const Cloud cloud(600, -1, 8);
  for (const Precision precision : kPrecisions) {
    CloudFrame frame(gpu, cloud, {48, 32, Format::kRgbF32, precision, true, true});
    std::vector<Pixels> drawn;
    for (int order = 0; order < 3; ++order) {
      const Setting setting(driver, "FAKE_CUDA_ORDER", order);
      expect_ok(frame.draw());
      drawn.push_back(frame.pixels);
    }
    CHECK(drawn[0] == drawn[1] && drawn[0] == drawn[2]);
  }
}

void two_threads(ts::Backend& gpu) {
  const Cloud cloud(200, -1, 9);
  const Canvas canvas{32, 32, Format::kRgba8, Precision::kFast, false, false};
  CloudFrame frames[2] = {{gpu, cloud, canvas}, {gpu, cloud, canvas}};
  expect_ok(frames[0].draw());
  const Pixels expected = frames[0].pixels;
  bool same[2] = {true, true};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        frames[t].pixels = Pixels(canvas);
        CloudFrame other(gpu, cloud, canvas);  // is made while the other thread draws
        same[t] = frames[t].draw().ok() && frames[t].pixels == expected && other.made.ok() && same[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(same[0] && same[1]);
}

void a_warm_draw_allocates_nothing(const FakeDriver& driver, ts::Backend& gpu) {
  const Cloud cloud(100, -1, 10);
  const Canvas canvas{32, 32, Format::kRgba8, Precision::kFast, true, false};
  const Backgrounds backgrounds(canvas);
  CloudFrame first(gpu, cloud, canvas), second(gpu, cloud, canvas);
  first.background = backgrounds.kinds[2], second.background = backgrounds.kinds[4];
  const ts::DrawCall calls[2] = {first.call(), second.call()};
  for (const size_t n : {1u, 2u}) {
    bool drawn = gpu.draw(calls, n).ok() && gpu.draw(calls, n).ok();
    const int on_device = driver.allocations(), copies = driver.calls_of("cuMemcpyHtoDAsync_v2");
    allocating_driver = &driver;
    n_allocations = 0;
    for (int i = 0; i < 4; ++i) drawn = gpu.draw(calls, n).ok() && drawn;
    const int on_host = n_allocations;
    allocating_driver = nullptr;
    CHECK(drawn);
    CHECK_MESSAGE(on_host == 0, std::to_string(on_host) + " allocations on the host");
    CHECK(driver.allocations() == on_device);
    // Beside the graph, the first frame's picture each time, and never the second's, which is constant.
    CHECK(driver.calls_of("cuMemcpyHtoDAsync_v2") - copies == 4);
  }
}

// ---- limits ----

// The farthest are left out: what is drawn is the picture of the others.
void too_many_pairs() {
  std::shared_ptr<ts::Backend> roomy, narrow;
  constexpr uint32_t kPairs = 1200;
  expect_ok(open_gpu(roomy));
  expect_ok(open_gpu(narrow, kPairs));
  if (!roomy || !narrow) return;
  Cloud cloud(1500, -1, 11, 0.4f);
  for (float& opacity : cloud.opacity) opacity = std::max(opacity, 0.1f);
  const Canvas canvas{48, 48, Format::kRgbF32, Precision::kReference, false, false};
  CloudFrame cut(*narrow, cloud, canvas), whole(*roomy, cloud, canvas);
  expect_ok(cut.draw());
  expect_ok(whole.draw());
  CHECK(whole.receipt.n_dropped == 0 && whole.receipt.n_instances > kPairs);
  CHECK(cut.receipt.n_instances == whole.receipt.n_instances && cut.receipt.n_visible == whole.receipt.n_visible);
  CHECK(cut.receipt.n_dropped > 0 && cut.receipt.n_dropped < cut.receipt.n_visible);
  CHECK(!(cut.pixels == whole.pixels));
  // The same by hand.
  std::vector<size_t> order(cloud.opacity.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return cloud.mean[3 * a + 2] < cloud.mean[3 * b + 2]; });
  CHECK(whole.receipt.n_visible == cloud.opacity.size());
  for (uint64_t i = 0; i < cut.receipt.n_dropped; ++i) cloud.opacity[order[order.size() - 1 - i]] = 0;
  CloudFrame by_hand(*roomy, cloud, canvas);
  expect_ok(by_hand.draw());
  CHECK(by_hand.receipt.n_visible == cut.receipt.n_visible - cut.receipt.n_dropped);
  CHECK(by_hand.pixels == cut.pixels);
}

void what_a_draw_refuses(ts::Backend& gpu) {
  const Cloud cloud(10, -1, 12);
  CloudFrame frame(gpu, cloud, {16, 16, Format::kRgba8, Precision::kFast, false, false});
  ts::DrawCall call = frame.call();
  call.dilation = 0;
  CHECK(gpu.draw(&call, 1).code() == ts::StatusCode::kInvalidArgument);
  call = frame.call();
  call.camera.fx = -1;
  CHECK(gpu.draw(&call, 1).code() == ts::StatusCode::kInvalidArgument);
  const float not_finite[3] = {0, 0, NAN};
  call = frame.call();
  call.background.color = not_finite;
  CHECK(gpu.draw(&call, 1).code() == ts::StatusCode::kInvalidArgument);
  expect_ok(frame.draw());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s FAKE_DRIVER AVATAR...\n", argv[0]);
    return 2;
  }
  const FakeDriver driver(argv[1]);
  std::vector<const char*> avatars(argv + 2, argv + argc);
  // A network whose colours are spherical harmonics, and enough Gaussians for several warps of it.
  const char* const seen = "test_cuda_frames.tsplat";
  SampleDeform sample(70, 40);
  sample.add_to_sh();
  const std::vector<uint8_t> file = sample.file();
  std::ofstream(seen, std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<long>(file.size()));
  avatars.push_back(seen);
  {
    const std::shared_ptr<ts::Backend> cpu = open_cpu_backend();
    std::shared_ptr<ts::Backend> gpu;
    expect_ok(open_gpu(gpu));
    if (gpu) {
      pictures_are_those_of_the_cpu(*cpu, *gpu);
      small_and_empty_pictures(*cpu, *gpu);
      loose_gaussians(*cpu, *gpu);
      avatars_look_the_same(avatars, cpu, gpu);
      what_a_frame_can_be_asked_for(avatars, cpu, gpu);
      batches_are_single_draws(driver, *gpu);
      batches_of_avatars(avatars, gpu);
      the_same_bits_in_every_order(driver, *gpu);
      two_threads(*gpu);
      a_warm_draw_allocates_nothing(driver, *gpu);
      what_a_draw_refuses(*gpu);
    }
    networks_by_two_kernels(driver, avatars);
    too_many_pairs();
  }
  CHECK_MESSAGE(driver.left() == 0, std::to_string(driver.left()) + " things of the driver were not given back");
  return report("test_cuda_frames");
}
