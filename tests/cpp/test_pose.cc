// pose, deform, Avatar and Plate from inside: what they refuse, what a refusal leaves untouched, and that a frame
// allocates nothing. Their numbers are tested from Python (tests/ops). Argument: an avatar file, written by
// test_avatar_file.
#include <algorithm>
#include <atomic>
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
#include "engine/avatar.h"
#include "engine/plate.h"
#include "ops/deform.h"

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

struct Fixture {
  std::unique_ptr<ts::Avatar> avatar;
  const ts::KernelTable* kernels = nullptr;
  ts::ThreadPool pool{2};

  explicit Fixture(const char* path) {
    const ts::Status loaded = ts::Avatar::load(path, avatar), found = ts::find_kernels(nullptr, &kernels);
    CHECK_MESSAGE(loaded.ok(), loaded.message());
    CHECK_MESSAGE(found.ok(), found.message());
  }
  ts::Status pose(const std::vector<ts_control>& controls) {
    return avatar->pose(controls.data(), static_cast<uint32_t>(controls.size()), *kernels, pool);
  }
};

void wrong_controls_leave_the_last_frame(Fixture& f) {
  const float expr[3] = {0.25f, 1, 0}, other[3] = {1, 2, 3}, bad[3] = {0, std::numeric_limits<float>::quiet_NaN(), 0};
  CHECK(f.pose({{"expr", expr, 3}}).ok());
  const std::vector<float> mean(f.avatar->mean_w(), f.avatar->mean_w() + 3 * f.avatar->file().n);
  expect(f.pose({{"expr", other, 3}, {"expr", other, 3}}), "\"expr\" must be given once");
  expect(f.pose({{"expr", other, 3}, {"nose", other, 3}}), "\"nose\" is not an input of this avatar; it has expr [3]");
  expect(f.pose({{nullptr, other, 3}}), "name must be a text; got NULL");
  expect(f.pose({{"expr", nullptr, 3}}), "\"expr\" must point to 3 numbers; got NULL");
  expect(f.pose({{"expr", other, 2}}), "\"expr\" must have 3 numbers; got 2");
  expect(f.pose({{"translation", other, 3}, {"expr", bad, 3}}), "\"expr\" must be finite; number 1");
  expect(f.avatar->pose(nullptr, 1, *f.kernels, f.pool), "controls must point to n_controls=1 entries; got NULL");
  for (size_t i = 0; i < mean.size(); ++i) CHECK(f.avatar->mean_w()[i] == mean[i]);
}

void a_frame_allocates_nothing(Fixture& f) {
  const float expr[3] = {0.25f, 1, 0}, jaw[6] = {0.1f, 0, 0, 0, 0.2f, 0}, shift[3] = {0, 0.01f, 0};
  const std::vector<ts_control> controls = {{"expr", expr, 3}, {"jaw_pose", jaw, 6}, {"eye_shift", shift, 3}};
  const uint64_t resident = f.avatar->resident_bytes();
  CHECK(resident > 0);
  const int before = n_allocations;
  bool posed = true;
  for (int i = 0; i < 100; ++i) posed = f.pose(controls).ok() && posed;
  const int allocated = n_allocations - before;  // CHECK itself allocates
  CHECK(posed);
  CHECK(allocated == 0);
  CHECK(f.avatar->resident_bytes() == resident);
}

void wrong_sizes_are_refused(Fixture& f) {
  const float room[3 * 64] = {};
  expect(f.avatar->check_vertices(room, 5), "n_vertices must be 6, as this avatar has; got 5");
  expect(f.avatar->check_vertices(nullptr, 6), "vertices must point to [6,3] floats; got NULL");
  ts_gaussians out{};
  out.n = 10;
  expect(f.avatar->check_gaussians(out), "n must be n_source=12 of this avatar; got 10");
  out.n = 12;
  CHECK(f.avatar->check_gaussians(out).ok());
  CHECK(f.avatar->gaussians_in_source_order(out).ok());  // every array left out
}

// Messages are for people and for Python: UTF-8 without control characters, whatever a file calls its inputs.
void messages_are_printable_text() {
  const float value[1] = {0};
  const ts_control unknown = {"nose", value, 1};
  ts::AvatarFile file;
  file.inputs.emplace_back();
  file.inputs[0].name = "\x1B[2J";
  expect(ts::Control(file).resolve(&unknown, 1), "it has \\x1B[2J [0]");
  for (int shift = 0; shift < 2; ++shift) {  // one of the two has a character across the end of the message
    std::string name(static_cast<size_t>(shift), 'x');
    for (int i = 0; i < 2000; ++i) name += "\xC3\xA9";
    file.inputs[0].name = name;
    const ts::Status status = ts::Control(file).resolve(&unknown, 1);
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
  const ts::AvatarFile& file = f.avatar->file();
  std::ifstream in(copy, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const size_t at = bytes.find(
      std::string(reinterpret_cast<const char*>(file.source_index), static_cast<size_t>(file.n) * sizeof(uint32_t)));
  if (!CHECK(at != bytes.npos)) return;
  std::vector<float> opacity(static_cast<size_t>(file.source_count));
  ts_gaussians out{};
  out.n = file.source_count;
  out.opacity = opacity.data();
  CHECK(f.avatar->gaussians_in_source_order(out).ok());
  std::fstream edit(copy, std::ios::binary | std::ios::in | std::ios::out);
  edit.seekp(static_cast<std::streamoff>(at)).write("\xFF\xFF\xFF\x7F", 4).flush();
  const ts::Status status = f.avatar->gaussians_in_source_order(out);
  CHECK(status.code() == ts::StatusCode::kAvatarInvalid);
  CHECK_MESSAGE(contains(status.message(), "below n_source=12, as it was when the avatar was loaded"),
                status.message());
  std::filesystem::remove(copy);
}

void a_plate_survives_a_failed_allocation(Fixture& f) {
  const ts::AvatarFile& file = f.avatar->file();
  ts::Plate plate;
  const auto all_200 = [&](int width, int height) {
    const uint8_t* pixels = plate.at(file, width, height);
    return pixels && std::all_of(pixels, pixels + 3 * width * height, [](uint8_t c) { return c == 200; });
  };
  CHECK(plate.at(file, file.width, file.height) == file.plate);
  CHECK(all_200(4, 3));
  CHECK(plate.at(file, 4, 3) == plate.at(file, 4, 3));
  bool failed = false;
  try {
    plate.at(file, 1 << 30, 1 << 30);
  } catch (const std::bad_alloc&) {
    failed = true;
  }
  CHECK(failed);
  CHECK(all_200(4, 3));  // not the memory that the failure gave up
  CHECK(all_200(50, 20));
}

void pose_checks_its_arguments(Fixture& f) {
  const auto pose = [&](const ts::PoseArgs& args) { return ts::pose_cpu(args, *f.kernels, f.pool); };
  CHECK(pose({}).ok());  // nothing to do
  ts::PoseArgs args;
  args.binding.n = -1;
  expect(pose(args), "counts must be >= 0; got v=0 s=0 j=0 n=-1");
  args = {};
  args.binding.n = 1;
  expect(pose(args), "binding.local and mean_w must point to [n] rows; got NULL");
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
  args.binding.follow = ts::PoseFollow::kVertexFrame;
  expect(pose(args), "vertex frames need joints; got j=0");
}

void deform_passes_rows_through() {
  std::vector<float> mean = {1, 2, 3, 4, 5, 6}, quat = {1, 0, 0, 0, 0, 1, 0, 0}, scale = {7, 8, 9, 10, 11, 12};
  std::vector<float> mean_out(6), quat_out(8), scale_out(6);
  const ts::DeformRows in = {mean.data(), quat.data(), scale.data()};
  CHECK(ts::deform_cpu({2, 0, in, {mean_out.data(), quat_out.data(), scale_out.data()}}).ok());
  CHECK(mean_out == mean && quat_out == quat && scale_out == scale);
  CHECK(ts::deform_cpu({2, 0, in, in}).ok());
  CHECK(mean_out == mean && quat_out == quat && scale_out == scale);
  CHECK(ts::deform_cpu({0, 0, {}, {}}).ok());
  expect(ts::deform_cpu({2, 1, in, in}), "must have 0 stages (the identity); got 1");
  expect(ts::deform_cpu({-1, 0, in, in}), "n must be >= 0; got -1");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s AVATAR\n", argv[0]);
    return 2;
  }
  Fixture fixture(argv[1]);
  if (fixture.avatar && fixture.kernels) {
    wrong_controls_leave_the_last_frame(fixture);
    a_frame_allocates_nothing(fixture);
    wrong_sizes_are_refused(fixture);
    pose_checks_its_arguments(fixture);
    a_plate_survives_a_failed_allocation(fixture);
    a_file_edited_in_place_writes_nowhere_else(argv[1]);
  }
  messages_are_printable_text();
  deform_passes_rows_through();
  return ts_test::report("test_pose");
}
