// SPDX-License-Identifier: Apache-2.0
// Frames, Plate and pose from inside: what they refuse, what a refusal leaves untouched, that a frame allocates
// nothing, and that several are drawn in one call. Their numbers are tested from Python (tests/ops). Argument: an
// avatar file, written by test_avatar_file.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <new>
#include <vector>

#include "check.h"
#include "core/text.h"
#include "core/thread_pool.h"
#include "cpu/kernel_table.h"
#include "cpu/pose.h"
#include "engine/plate.h"
#include "engine/renderer.h"

using ts_test::contains;

// Memory that is not there is a null pointer under AddressSanitizer too.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}

static std::atomic<int> n_allocations{0};

void* operator new(size_t size) {
  ++n_allocations;
  if (void* p = std::malloc(size ? size : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace {

void expect(const ts::Status& status, const char* part) {
  CHECK_MESSAGE(status.code() == ts::StatusCode::kInvalidArgument, std::string("expected an error: ") + part);
  CHECK_MESSAGE(contains(status.message(), part), std::string("expected: ") + part + "\n  got: " + status.message());
}

constexpr int kSide = 32;

// The sample's control: expr [3], then jaw_pose [6], eye_shift [3], translation [3].
std::vector<float> control_of(const ts::Model& model, const char* name, std::vector<float> values) {
  std::vector<float> control(model.layout().neutral(), model.layout().neutral() + model.layout().size());
  size_t input = 0;
  CHECK(model.layout().find(name, input).ok());
  std::copy(values.begin(), values.end(), control.begin() + model.layout().offset(input));
  return control;
}

struct Fixture {
  std::shared_ptr<ts::Backend> backend;
  std::shared_ptr<const ts::Model> model;
  std::unique_ptr<ts::Frame> frame;
  std::vector<uint8_t> pixels = std::vector<uint8_t>(4 * kSide * kSide);
  ts::Receipt receipt;

  explicit Fixture(const char* path) {
    ts::Status made = ts::open_backend({"cpu", 2, nullptr}, backend);
    if (made.ok()) made = ts::Model::load(path, backend, model);
    if (made.ok()) frame = make_frame();
    CHECK_MESSAGE(made.ok(), made.message());
  }
  std::unique_ptr<ts::Frame> make_frame() {
    std::unique_ptr<ts::Frame> made;
    const ts::Status status =
        ts::Frame::make(model, {kSide, kSide, ts::Format::kRgba8, ts::Precision::kReference, false, false}, made);
    CHECK_MESSAGE(status.ok(), status.message());
    return made;
  }
  ts::RenderJob job(const float* control = nullptr) {
    ts::RenderJob job;
    job.frame = frame.get();
    job.control = control;
    job.image = {kSide, kSide, ts::Format::kRgba8, 4 * kSide, pixels.data(), nullptr, nullptr};
    job.receipt = &receipt;
    return job;
  }
  ts::Status render(const float* control) {
    const ts::RenderJob one = job(control);
    return ts::render(&one, 1);
  }
};

void wrong_controls_leave_the_last_picture(Fixture& f) {
  const std::vector<float> good = control_of(*f.model, "expr", {0.25f, 1, 0});
  CHECK(f.render(good.data()).ok());
  const std::vector<uint8_t> before = f.pixels;
  std::vector<float> bad = control_of(*f.model, "expr", {0, std::numeric_limits<float>::quiet_NaN(), 0});
  expect(f.render(bad.data()), "\"expr\" must be finite; number 1");
  bad = control_of(*f.model, "translation", {0, 0, std::numeric_limits<float>::infinity()});
  expect(f.render(bad.data()), "\"translation\" must be finite; number 2");
  size_t input = 0;
  expect(f.model->layout().find("nose", input), "\"nose\" is not an input of this avatar; it has expr [3]");
  CHECK(f.pixels == before);
}

void a_frame_allocates_nothing(Fixture& f) {
  const std::vector<float> control = control_of(*f.model, "jaw_pose", {0.1f, 0, 0, 0, 0.2f, 0});
  const uint64_t model_bytes = f.model->resident_bytes(), frame_bytes = f.frame->bytes();
  CHECK(model_bytes > 0 && frame_bytes > 0);
  bool drawn = f.render(control.data()).ok();  // the scratch grows
  const int before = n_allocations;
  for (int i = 0; i < 100; ++i) drawn = f.render(control.data()).ok() && drawn;
  const int allocated = n_allocations - before;  // CHECK itself allocates
  CHECK(drawn);
  CHECK(allocated == 0);
  CHECK(f.model->resident_bytes() == model_bytes && f.frame->bytes() == frame_bytes);
}

// Each as a lone one, and the receipts are their own.
void several_frames_in_one_call(Fixture& f) {
  const std::vector<float> controls[2] = {control_of(*f.model, "expr", {1, 0, 0}),
                                          control_of(*f.model, "translation", {0.05f, 0, 0})};
  std::vector<uint8_t> lone[2], together[2] = {f.pixels, f.pixels};
  for (int i = 0; i < 2; ++i) {
    CHECK(f.render(controls[i].data()).ok());
    lone[i] = f.pixels;
  }
  CHECK(lone[0] != lone[1]);
  const std::unique_ptr<ts::Frame> other = f.make_frame();
  ts::Receipt receipts[2];
  ts::RenderJob jobs[2] = {f.job(controls[0].data()), f.job(controls[1].data())};
  jobs[1].frame = other.get();
  for (int i = 0; i < 2; ++i) jobs[i].image.data = together[i].data(), jobs[i].receipt = &receipts[i];
  CHECK(ts::render(jobs, 2).ok());
  for (int i = 0; i < 2; ++i) {
    CHECK(together[i] == lone[i]);
    CHECK(receipts[i].n_gaussians == f.model->file().gaussians.n && receipts[i].total_us >= receipts[i].blend_us);
  }
  CHECK(ts::render(nullptr, 0).ok());
}

void images_must_be_of_the_canvas(Fixture& f) {
  ts::RenderJob job = f.job();
  job.image.width = kSide / 2;
  expect(ts::render(&job, 1), "must be those of the frame, 32x32; got 16x32. Make another frame");
  job = f.job();
  job.image.format = ts::Format::kRgb8;
  expect(ts::render(&job, 1), "format must be that of the frame, 1; got 2");
  float plane[kSide * kSide];
  job = f.job();
  job.image.alpha = plane;
  expect(ts::render(&job, 1), "alpha must be NULL: the frame was made without it");
  job = f.job();
  job.image.depth = plane;
  expect(ts::render(&job, 1), "depth must be NULL: the frame was made without it");
  std::unique_ptr<ts::Frame> none;
  expect(ts::Frame::make(f.model, {7, 8, ts::Format::kNv12, ts::Precision::kFast, false, false}, none), "even");
  CHECK(!none);
}

void planes_that_the_canvas_has(Fixture& f) {
  std::unique_ptr<ts::Frame> frame;
  CHECK(
      ts::Frame::make(f.model, {kSide, kSide, ts::Format::kRgba8, ts::Precision::kReference, true, true}, frame).ok());
  std::vector<float> alpha(kSide * kSide, -1.0f), depth(kSide * kSide, -1.0f);
  const ts::Background nothing;
  ts::RenderJob job = f.job();
  job.frame = frame.get();
  job.background = &nothing;
  job.image.alpha = alpha.data(), job.image.depth = depth.data();
  CHECK(ts::render(&job, 1).ok());
  for (size_t i = 0; i < alpha.size(); ++i) {
    const float coverage = static_cast<float>(f.pixels[4 * i + 3]) / 255;
    if (!CHECK(std::abs(alpha[i] - coverage) <= 0.51f / 255 && (depth[i] > 0) == (alpha[i] > 0))) break;
  }
  CHECK(*std::max_element(alpha.begin(), alpha.end()) > 0.5f);
}

// Messages are for people and for Python: UTF-8 without control characters, whatever a file calls its inputs.
void messages_are_printable_text() {
  std::vector<ts::AvatarInput> inputs(1);
  size_t input = 0;
  inputs[0].name = "\x1B[2J";
  expect(ts::ControlLayout(inputs).find("nose", input), "it has \\x1B[2J [0]");
  for (int shift = 0; shift < 2; ++shift) {  // one of the two has a character across the end of the message
    std::string name(static_cast<size_t>(shift), 'x');
    for (int i = 0; i < 2000; ++i) name += "\xC3\xA9";
    inputs[0].name = name;
    const ts::Status status = ts::ControlLayout(inputs).find("nose", input);
    std::string_view rest = status.message();
    CHECK(rest.size() > 1000);
    while (const size_t length = ts::utf8_length(rest)) rest.remove_prefix(length);
    CHECK(rest.empty());
  }
}

void a_file_edited_in_place_writes_nowhere_else(const char* path) {
  const std::string copy = std::string(path) + ".edited";
  std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
  Fixture f(copy.c_str());
  const ts::AvatarFile& file = f.model->file();
  std::ifstream in(copy, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(file.source_index),
                                           static_cast<size_t>(file.gaussians.n) * sizeof(uint32_t)));
  if (!CHECK(at != bytes.npos)) return;
  std::vector<float> opacity(static_cast<size_t>(file.source_count));
  ts::GaussianRows rows;
  CHECK(ts::read_gaussians(*f.frame, nullptr, rows).ok());  // every array left out
  rows.opacity = opacity.data();
  CHECK(ts::read_gaussians(*f.frame, nullptr, rows).ok());
  std::fstream edit(copy, std::ios::binary | std::ios::in | std::ios::out);
  edit.seekp(static_cast<std::streamoff>(at)).write("\xFF\xFF\xFF\x7F", 4).flush();
  const ts::Status status = ts::read_gaussians(*f.frame, nullptr, rows);
  CHECK(status.code() == ts::StatusCode::kAvatarInvalid);
  CHECK_MESSAGE(contains(status.message(), "below n_source=12, as it was when the avatar was loaded"),
                status.message());
  std::filesystem::remove(copy);
}

void plates_have_the_size_of_the_canvas(Fixture& f) {
  const ts::AvatarFile& file = f.model->file();
  const auto all_200 = [&](int width, int height) {
    ts::Plate plate(file, width, height);
    return std::all_of(plate.pixels(), plate.pixels() + 3 * width * height, [](uint8_t c) { return c == 200; });
  };
  CHECK(ts::Plate(file, file.width, file.height).pixels() == file.plate);
  CHECK(all_200(4, 3));
  CHECK(all_200(50, 20));
  CHECK(ts::Plate({}, 4, 3).pixels() == nullptr);
  bool failed = false;
  try {
    ts::Plate(file, 1 << 30, 1 << 30).pixels();
  } catch (const std::bad_alloc&) {
    failed = true;
  }
  CHECK(failed);
}

// A plate that gets darker to its sides, with grain: beside it the shades go on, and the grain does not.
void what_is_beside_a_plate_is_soft() {
  constexpr int kSize = 96, kWide = 320, kFirst = (kWide - kSize) / 2;
  std::vector<uint8_t> plate;
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x)
      for (int c = 0; c < 3; ++c)
        plate.push_back(static_cast<uint8_t>(200 - std::abs(x - kSize / 2) - y / 2 + 40 * ((x * 7 + y * 5) % 2)));
  ts::AvatarFile file;
  file.plate = plate.data(), file.width = file.height = kSize;
  ts::Plate wide(file, kWide, kSize);
  const uint8_t* const pixels = wide.pixels();
  const auto at = [&](int x, int y) { return int{pixels[3 * (y * kWide + x)]}; };
  const auto mean = [&](int x) {
    double sum = 0;
    for (int y = 0; y < kSize; ++y) sum += at(x, y);
    return sum / kSize;
  };
  for (int y = 0; y < kSize; ++y)
    CHECK(std::equal(&plate[3 * y * kSize], &plate[3 * y * kSize] + 3 * kSize, pixels + 3 * (y * kWide + kFirst)));
  for (const int side : {-1, 1}) {
    const int edge = side < 0 ? kFirst : kFirst + kSize - 1, end = side < 0 ? 0 : kWide - 1;
    CHECK(std::abs(mean(edge + side) - mean(edge)) < 2 && mean(edge + 8 * side) < mean(edge));
    for (const int x : {edge + 24 * side, end})
      for (int y = 2; y < kSize; ++y) CHECK(std::abs(at(x, y) - at(x, y - 1)) <= 3);
    CHECK(at(edge + 24 * side, 4) > at(edge + 24 * side, kSize - 5) + 10);
  }
  ts::Plate tall(file, 20, kSize);  // has the middle alone
  CHECK(tall.pixels()[0] == plate[3 * (kSize / 2 - 10)]);
}

void a_plate_is_made_by_the_first_draw_over_it(Fixture& f) {
  const std::unique_ptr<ts::Frame> frame = f.make_frame();
  const uint64_t bytes = frame->bytes();
  const ts::Background nothing;
  ts::RenderJob job = f.job();
  job.frame = frame.get();
  job.background = &nothing;
  CHECK(ts::render(&job, 1).ok() && ts::read_gaussians(*frame, nullptr, {}).ok() && frame->bytes() == bytes);
  job.background = nullptr;
  CHECK(ts::render(&job, 1).ok() && frame->bytes() >= bytes + 3 * kSide * kSide);
}

void pose_checks_its_arguments() {
  const ts::KernelTable* kernels = nullptr;
  CHECK(ts::find_kernels(nullptr, &kernels).ok());
  ts::ThreadPool pool(2);
  const auto pose = [&](const ts::PoseArgs& args) { return ts::pose_cpu(args, *kernels, pool); };
  CHECK(pose({}).ok());  // nothing to do
  ts::PoseArgs args;
  args.binding.n = -1;
  expect(pose(args), "counts must be >= 0; got v=0 s=0 j=0 n=-1");
  args = {};
  args.binding.n = 1;
  expect(pose(args), "binding.local and rows.mean must point to [n] rows; got NULL");
  args = {};
  args.mesh.v = 1;
  expect(pose(args), "mesh.rest must point to");
  args = {};
  args.mesh.s = 9;
  expect(pose(args), "weight must point to [s]; got NULL");
  args.skeleton.n_pose_joints = 2;
  expect(pose(args), "2 pose joints need 9 shapes each from shape 0 on; the mesh has 9 shapes");
  args = {};
  args.skeleton.j = 1;
  expect(pose(args), "joint_* must point to [j,4] and [j,3]");
  args = {};
  args.binding.follow = ts::PoseFollow::kVertexAxes;
  expect(pose(args), "vertex axes need joints; got j=0");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s AVATAR\n", argv[0]);
    return 2;
  }
  Fixture fixture(argv[1]);
  if (fixture.frame) {
    wrong_controls_leave_the_last_picture(fixture);
    a_frame_allocates_nothing(fixture);
    several_frames_in_one_call(fixture);
    images_must_be_of_the_canvas(fixture);
    planes_that_the_canvas_has(fixture);
    what_is_beside_a_plate_is_soft();
    plates_have_the_size_of_the_canvas(fixture);
    a_plate_is_made_by_the_first_draw_over_it(fixture);
    a_file_edited_in_place_writes_nowhere_else(argv[1]);
  }
  pose_checks_its_arguments();
  messages_are_printable_text();
  return ts_test::report("test_frame");
}
