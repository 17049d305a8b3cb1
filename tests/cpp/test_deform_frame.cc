// SPDX-License-Identifier: Apache-2.0
// Frames of avatars with a deform program from inside: when they deform and when they need not, how `view` inputs turn
// the picture, and which camera the inputs that follow it get.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "check.h"
#include "engine/renderer.h"
#include "reader_test.h"
#include "sample_deform.h"

using ts_test::SampleDeform;

namespace {

constexpr int kWidth = 128, kHeight = 96;

struct Fixture {
  std::shared_ptr<ts::Backend> backend;
  std::shared_ptr<const ts::Model> model;
  std::unique_ptr<ts::Frame> frame;
  std::vector<float> pixels = std::vector<float>(3 * kWidth * kHeight), alpha = std::vector<float>(kWidth * kHeight);
  ts::Receipt receipt;

  explicit Fixture(const SampleDeform& sample) {
    std::string pattern = (std::filesystem::temp_directory_path() / "talksplat_test_XXXXXX").string();
    if (!CHECK(mkdtemp(pattern.data()))) return;
    ts_test::write(pattern + "/a.tsplat", sample.file());
    ts::Status made = ts::open_backend({"cpu", 1, nullptr}, backend);
    if (made.ok()) made = ts::Model::load((pattern + "/a.tsplat").c_str(), backend, model);
    if (made.ok()) frame = make_frame(ts::Precision::kReference);
    CHECK_MESSAGE(made.ok(), made.message());
    std::filesystem::remove_all(pattern);
  }
  std::unique_ptr<ts::Frame> make_frame(ts::Precision precision) {
    std::unique_ptr<ts::Frame> made;
    const ts::Status status =
        ts::Frame::make(model, {kWidth, kHeight, ts::Format::kRgbF32, precision, true, false}, made);
    CHECK_MESSAGE(status.ok(), status.message());
    return made;
  }
  int64_t offset(const char* input) const {
    size_t index = 0;
    CHECK(model->layout().find(input, index).ok());
    return model->layout().offset(index);
  }
  std::vector<float> neutral() const {
    return {model->layout().neutral(), model->layout().neutral() + model->layout().size()};
  }
  std::vector<float> control(const char* input, const std::vector<float>& values) const {
    std::vector<float> out = neutral();
    std::copy(values.begin(), values.end(), out.begin() + offset(input));
    return out;
  }
  // Over nothing.
  bool draw(const std::vector<float>& control, const ts::Camera* camera = nullptr, ts::Frame* on = nullptr) {
    const ts::Background nothing;
    receipt = {};
    ts::RenderJob job;
    job.frame = on ? on : frame.get();
    job.control = control.data();
    job.camera = camera;
    job.background = &nothing;
    job.image = {kWidth, kHeight, ts::Format::kRgbF32, 12 * kWidth, pixels.data(), alpha.data(), nullptr};
    job.receipt = &receipt;
    const ts::Status status = ts::render(&job, 1);
    return CHECK_MESSAGE(status.ok(), status.message());
  }
};

// ---- when a frame deforms ----

// What the time of a draw's deform tells: skipping takes a microsecond, and thousands of Gaussians take hundreds.
struct Watch {
  Fixture& f;
  float whole_us = 1e9f;  // the shortest of some that cannot be skipped
  std::string wrong;      // what was not as expected

  Watch(Fixture& of, const std::vector<float>& one, const std::vector<float>& other) : f(of) {
    for (int i = 0; i < 6; ++i) {
      f.draw(i % 2 ? other : one);  // ends with the other
      whole_us = std::min(whole_us, f.receipt.deform_us);
    }
  }
  void expect(bool deformed, const std::vector<float>& control, const char* what, const ts::Camera* camera = nullptr,
              ts::Frame* on = nullptr) {
    f.draw(control, camera, on);
    if ((f.receipt.deform_us > 0.25f * whole_us) == deformed) return;
    wrong += std::string(what) + ": deform took " + std::to_string(f.receipt.deform_us) + " us, and alone " +
             std::to_string(whole_us) + "; ";
  }
};

// Empty, or what was deformed that need not be, or the other way round, by the time that it took.
std::string deformed_wrongly(bool sh, bool follows) {
  SampleDeform sample(10000, 2000);
  if (sh) sample.add_to_sh();
  if (!follows) sample.replace(", \"follows\": \"camera\"", "");
  Fixture f(sample);
  if (!f.frame) return "no frame";
  const std::vector<float> still = f.neutral(), moved = f.control("au", {0, 1, 0});
  Watch watch(f, still, moved);
  CHECK(watch.whole_us > 50);
  watch.expect(true, still, "the first, after another");
  const std::vector<float> first = f.pixels;
  watch.expect(false, still, "the same again");
  CHECK(f.pixels == first);
  watch.expect(true, moved, "another");
  CHECK(f.pixels != first);
  watch.expect(true, still, "back");
  CHECK(f.pixels == first);

  // The camera: where the program follows it, or is seen from it.
  ts::Camera camera = f.model->file().camera;
  camera.fx = camera.fy = 200, camera.cx = kWidth / 2, camera.cy = kHeight / 2;
  watch.expect(false, still, "another focal length", &camera);
  camera.cam_from_world[3] = 0.25f;
  watch.expect(sh || follows, still, "a moved camera", &camera);
  watch.expect(false, still, "the moved camera again", &camera);

  // Inputs that reach Gaussians by another way than the program.
  watch.expect(true, f.control("translation", {0.5f, 0, 0}), "a translation", &camera);

  // Every frame has rows of its own.
  const std::unique_ptr<ts::Frame> other = f.make_frame(ts::Precision::kReference);
  watch.expect(true, still, "a new frame", nullptr, other.get());
  watch.expect(false, still, "the new frame again", nullptr, other.get());
  watch.expect(true, still, "the first frame, of another control");

  // What was read without a picture has coefficients, which is another thing.
  CHECK(ts::read_gaussians(*f.frame, still.data(), {}).ok());
  watch.expect(sh, still, "after the Gaussians were read");
  CHECK(f.pixels == first);

  // A refused control changes nothing.
  std::vector<float> bad = still;
  bad.back() = ts_test::kNan;
  CHECK(!ts::read_gaussians(*f.frame, bad.data(), {}).ok());
  watch.expect(false, still, "after a refused control");
  return watch.wrong;
}

// A busy machine may stop a draw that skips; in every one of five tries it does not stop the same.
void an_unchanged_control_is_deformed_once(bool sh, bool follows) {
  std::string wrong = deformed_wrongly(sh, follows);
  for (int again = 0; again < 4 && !wrong.empty(); ++again) wrong = deformed_wrongly(sh, follows);
  CHECK_MESSAGE(wrong.empty(), wrong);
}

// ---- view, and inputs that follow the camera ----

constexpr float kTurned[12] = {0.8f, 0, 0.6f, 0.1f, 0.36f, 0.8f, -0.48f, -0.2f, -0.48f, 0.6f, 0.64f, 4};  // rotations
constexpr float kOther[12] = {0, -1, 0, 0.05f, 1, 0, 0, 0.02f, 0, 0, 1, 5};
constexpr double kPivot[3] = {0, 0.125, 0.5}, kPoint[3] = {0.3, -0.2, 0.7};

// One small opaque Gaussian at kPoint, seen by a turned camera; its program adds nothing.
SampleDeform one_point() {
  SampleDeform s(1, 0);
  std::string camera;
  for (const float x : kTurned) camera += std::to_string(x) + ", ";
  s.replace("\"width\": 8, \"height\": 6", "\"width\": 128, \"height\": 96");
  s.replace("[1,0,0,0, 0,1,0,0, 0,0,1,4, ", "[" + camera);
  s.replace("\"fx\": 12, \"fy\": 12.5, \"cx\": 4, \"cy\": 3", "\"fx\": 200, \"fy\": 190, \"cx\": 60, \"cy\": 50");
  for (size_t i = 0; i < 3; ++i) s.set("gaussians/mean", i, static_cast<float>(kPoint[i]));
  s.add("deform/face/4/weight", "F32", {3, 5});
  s.add("deform/face/4/bias", "F32", {3});
  s.add("deform/face/5/weight", "F32", {3, 8});
  s.add("deform/face/7/weight", "F32", {1, 8});
  for (size_t i = 0; i < 3; ++i) s.set("deform/face/canonical/log_scale", i, -5.0f);
  s.set("deform/face/canonical/logit", 0, 8.0f);
  return s;
}

// out = m p + t of a 3x4 matrix.
void transform(const float* m, const double* p, double* out) {
  for (int i = 0; i < 3; ++i) out[i] = m[4 * i] * p[0] + m[4 * i + 1] * p[1] + m[4 * i + 2] * p[2] + m[4 * i + 3];
}

// Rodrigues' formula.
void rotate(const double* axis_angle, double* p) {
  const double angle =
      std::sqrt(axis_angle[0] * axis_angle[0] + axis_angle[1] * axis_angle[1] + axis_angle[2] * axis_angle[2]);
  if (angle == 0) return;
  const double k[3] = {axis_angle[0] / angle, axis_angle[1] / angle, axis_angle[2] / angle};
  const double across[3] = {k[1] * p[2] - k[2] * p[1], k[2] * p[0] - k[0] * p[2], k[0] * p[1] - k[1] * p[0]};
  const double along = k[0] * p[0] + k[1] * p[1] + k[2] * p[2];
  for (int i = 0; i < 3; ++i)
    p[i] = p[i] * std::cos(angle) + across[i] * std::sin(angle) + k[i] * along * (1 - std::cos(angle));
}

// kPoint turned about kPivot by value, in the axes of the canvas's camera as ARKit has them.
void turned_point(const std::vector<float>& value, double* out) {
  double pivot[3], p[3];
  transform(kTurned, kPivot, pivot);
  transform(kTurned, kPoint, p);
  for (int i = 0; i < 3; ++i) p[i] -= pivot[i];
  p[1] = -p[1], p[2] = -p[2];  // ARKit's y is up, its z to the viewer
  const double turn[3] = {value[0], value[1], value[2]};
  rotate(turn, p);
  p[1] = -p[1], p[2] = -p[2];
  for (int i = 0; i < 3; ++i) p[i] += pivot[i] - kTurned[4 * i + 3];
  for (int i = 0; i < 3; ++i) out[i] = kTurned[i] * p[0] + kTurned[4 + i] * p[1] + kTurned[8 + i] * p[2];
}

// Whether the picture's weight lies around the pixel of a point of the world, within a twentieth of a pixel.
bool seen_at(const Fixture& f, const double* point_w, const float* cam_from_world) {
  double p[3], sum = 0, x = 0, y = 0;
  transform(cam_from_world, point_w, p);
  for (int row = 0; row < kHeight; ++row) {
    for (int column = 0; column < kWidth; ++column) {
      const double a = f.alpha[static_cast<size_t>(row * kWidth + column)];
      sum += a, x += a * (column + 0.5), y += a * (row + 0.5);
    }
  }
  const double dx = x / sum - (200 * p[0] / p[2] + 60), dy = y / sum - (190 * p[1] / p[2] + 50);
  return CHECK_MESSAGE(std::abs(dx) < 0.05 && std::abs(dy) < 0.05,
                       "off by " + std::to_string(dx) + ", " + std::to_string(dy) + " px");
}

void view_turns_the_head_about_its_pivot() {
  Fixture f(one_point());
  if (!f.frame) return;
  ts::Camera other = f.model->file().camera;
  std::copy(kOther, kOther + 12, other.cam_from_world);
  const std::vector<float> turns[] = {{0, 0, 0},     {0.3f, 0, 0},         {0, 0.3f, 0}, {0, 0, 0.3f},
                                      {0, -0.7f, 0}, {0.2f, -0.3f, 0.25f}, {0, 0, 3}};
  for (const std::vector<float>& turn : turns) {
    double point[3];
    turned_point(turn, point);
    const std::vector<float> control = f.control("head", turn);
    f.draw(control);
    seen_at(f, point, kTurned);
    f.draw(control, &other);
    seen_at(f, point, kOther);
  }
  // A translation comes before the turn: the point moves, the pivot does not.
  std::vector<float> control = f.control("head", {0.4f, 0, 0});
  f.draw(control);
  const std::vector<float> before = f.alpha;
  control[static_cast<size_t>(f.offset("translation"))] = 0.1f;
  f.draw(control);
  CHECK(f.alpha != before);
}

struct Driven {
  ts::Control control;
  ts::Camera camera;
  ts::FrameControl out;

  Driven(const Fixture& f, const std::vector<float>& vector, const ts::Camera& from)
      : control(f.model->file(), f.model->layout()), camera(from) {
    const ts::Status status = control.set(vector.data(), camera, out);
    CHECK_MESSAGE(status.ok(), status.message());
  }
};

bool same_bits(const ts::Camera& a, const ts::Camera& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

void what_follows_gets_the_moved_camera() {
  Fixture f(one_point());
  if (!f.frame) return;
  ts::Camera camera = f.model->file().camera;
  camera.cam_from_world[0] = 0.79999995f;  // no matrix of whole numbers: its bits are to stay
  const int64_t at = f.offset("camera");
  const auto follows = [&](const Driven& d) {
    const float *m = d.camera.cam_from_world, *value = d.out.vector + at;
    bool equal = true;
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) equal = equal && value[3 * i + j] == m[4 * j + i];
      equal = equal && value[9 + i] == m[4 * i + 3];
    }
    return equal;
  };
  const Driven still(f, f.neutral(), camera);
  CHECK(same_bits(still.camera, camera) && follows(still));
  const Driven minus(f, f.control("head", {-0.0f, 0, -0.0f}), camera);
  CHECK(same_bits(minus.camera, camera));
  const Driven turned(f, f.control("head", {0.1f, 0.2f, 0.3f}), camera);
  CHECK(!same_bits(turned.camera, camera) && follows(turned));
  CHECK(turned.camera.fx == camera.fx && turned.camera.cy == camera.cy && turned.camera.cam_from_world[15] == 1);

  // Eleven zeros are a value, if a strange one.
  std::vector<float> given = f.control("camera", std::vector<float>(12, 0.0f));
  given[static_cast<size_t>(at + 11)] = 1e-30f;
  const Driven own(f, given, camera);
  CHECK(std::memcmp(own.out.vector, given.data(), given.size() * sizeof(float)) == 0);

  // Everything else is as it was given.
  const Driven talks(f, f.control("au", {0.5f, -1, 2}), camera);
  const std::vector<float> au(talks.out.vector + f.offset("au"), talks.out.vector + f.offset("au") + 3);
  CHECK(au == std::vector<float>({0.5f, -1, 2}) && talks.out.n == f.model->layout().size());
}

// A turn of many revolutions about a pivot at the end of the world: refused, or drawn; never a crash.
void strange_turns() {
  SampleDeform sample(5, 4);
  sample.replace("[0, 0.125, 0.5]", "[1e38, -3e38, 1e30]");
  Fixture f(sample);
  if (!f.frame) return;
  for (const float huge : {1e-40f, 1e5f, 3e38f}) {
    const std::vector<float> control = f.control("head", {huge, -huge, huge});
    ts::RenderJob job;
    job.frame = f.frame.get();
    job.control = control.data();
    job.image = {kWidth, kHeight, ts::Format::kRgbF32, 12 * kWidth, f.pixels.data(), nullptr, nullptr};
    job.receipt = &f.receipt;
    const ts::Status status = ts::render(&job, 1);
    CHECK(status.ok() || status.code() == ts::StatusCode::kInvalidArgument);
    CHECK(!status.ok() || std::all_of(f.pixels.begin(), f.pixels.end(), [](float x) { return std::isfinite(x); }));
  }
}

// A program of constants alone, in an avatar of no inputs.
void a_program_without_inputs() {
  SampleDeform s(5, 4);
  const size_t inputs = s.manifest.find("\"inputs\": ["), deform = s.manifest.find("\"deform\": {"),
               stages = s.manifest.find("\"branches\": [");
  s.manifest =
      s.manifest.substr(0, inputs) + "\"inputs\": [], \"deform\": {\"condition\": [], " + s.manifest.substr(stages);
  CHECK(deform < stages);
  s.replace("\"gain\": \"gain\", \"frame\": \"token\", ", "");
  s.replace("\"frame\": \"sound\", ", "");
  s.replace(
      "{\"kind\": \"attention\", \"in\": \"h\", \"tokens\": [\"token\", \"null\"], \"heads\": 2, \"plus\": \"h\", ",
      "{\"kind\": \"linear\", \"plus\": \"h\", \"activation\": \"none\", ");
  s.replace("\"encoder\": \"hubert\", \"look_ahead_ms\": 80", "\"encoder\": null, \"look_ahead_ms\": 0");
  s.replace("{\"name\": \"talk\", \"fps\": 30, \"frames\": 2, \"inputs\": [\"au\"]}", "");
  for (auto it = s.tensors.begin(); it != s.tensors.end();) {
    const bool gone = it->first.rfind("deform/condition/", 0) == 0 || it->first.rfind("deform/face/1/", 0) == 0 ||
                      it->first.rfind("clip/", 0) == 0;
    it = gone ? s.tensors.erase(it) : std::next(it);
  }
  Fixture f(s);
  if (!f.frame) return;
  f.draw({});
  const std::vector<float> first = f.pixels;
  f.draw({});
  CHECK(f.pixels == first && *std::max_element(f.alpha.begin(), f.alpha.end()) > 0.1f);
}

// One value as what is multiplied and what is added, in place of which nothing may be written.
void one_value_in_two_roles() {
  SampleDeform s(50, 0), twice(50, 0);
  s.replace("\"in\": \"normed\", \"activation\"", "\"in\": \"normed\", \"plus\": \"copy\", \"activation\"");
  s.replace("{\"kind\": \"linear\", \"in\": \"normed\"",
            "{\"kind\": \"linear\", \"plus\": \"normed\", \"activation\": \"none\", \"out\": \"copy\"}, "
            "{\"kind\": \"linear\", \"in\": \"normed\"");
  twice.replace("\"in\": \"normed\", \"activation\"", "\"in\": \"normed\", \"plus\": \"normed\", \"activation\"");
  twice.replace("{\"kind\": \"linear\", \"in\": \"normed\"",
                "{\"kind\": \"linear\", \"plus\": \"normed\", \"activation\": \"none\", \"out\": \"copy\"}, "
                "{\"kind\": \"linear\", \"in\": \"normed\"");
  for (SampleDeform* of : {&s, &twice}) {
    // Nobody else reads it after, so that its place is free; two read the result, so that it is not fused.
    of->replace("{\"kind\": \"add\", \"in\": \"normed\", \"to\": \"log_scale\"}",
                "{\"kind\": \"add\", \"in\": \"small\", \"to\": \"log_scale\"}");
    of->replace("{\"kind\": \"add\", \"in\": \"normed\", \"to\": \"rotation\"}",
                "{\"kind\": \"add\", \"in\": \"small\", \"to\": \"rotation\"}");
    SampleDeform with = *of;
    for (int stage = 8; stage >= 3; --stage) {
      for (const char* name : {"weight", "bias"}) {
        auto tensor = with.tensors.extract("deform/face/" + std::to_string(stage) + "/" + name);
        if (tensor.empty()) continue;
        tensor.key() = "deform/face/" + std::to_string(stage + 1) + "/" + name;
        with.tensors.insert(std::move(tensor));
      }
    }
    for (const auto& [name, rows] : {std::pair("deform/face/4/weight", 8), std::pair("deform/face/5/weight", 3)}) {
      with.add(name, "F32", {rows, 8});
      for (size_t i = 0; i < static_cast<size_t>(8 * rows); ++i)
        with.set(name, i, 0.05f * static_cast<float>((i * 7) % 11) - 0.2f);
    }
    *of = with;
  }
  Fixture a(s), b(twice);
  if (!a.frame || !b.frame) return;
  const std::vector<float> control = a.control("au", {0.2f, 0.4f, 0.6f});
  for (const ts::Precision precision : {ts::Precision::kReference, ts::Precision::kFast}) {
    const std::unique_ptr<ts::Frame> of_a = a.make_frame(precision), of_b = b.make_frame(precision);
    a.draw(control, nullptr, of_a.get());
    b.draw(control, nullptr, of_b.get());
    CHECK(a.pixels == b.pixels && *std::max_element(a.alpha.begin(), a.alpha.end()) > 0.1f);
  }
}

}  // namespace

int main() {
  for (const bool sh : {false, true}) {
    for (const bool follows : {false, true}) an_unchanged_control_is_deformed_once(sh, follows);
  }
  view_turns_the_head_about_its_pivot();
  what_follows_gets_the_moved_camera();
  strange_turns();
  a_program_without_inputs();
  one_value_in_two_roles();
  return ts_test::report("test_deform_frame");
}
