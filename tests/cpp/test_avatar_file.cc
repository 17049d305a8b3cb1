// SPDX-License-Identifier: Apache-2.0
// The reader of .tsplat files: a good file arrives whole, and whatever is wrong with a bad one is named.
// `test_avatar_file --write FILE` writes the sample avatar instead, for other tests.
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "check.h"
#include "engine/avatar_file.h"
#include "reader_test.h"
#include "sample_avatar.h"

using ts::AvatarFile;
using ts::Status;
using ts::StatusCode;
using ts_test::Bytes;
using ts_test::expect;
using ts_test::kInf;
using ts_test::kNan;
using ts_test::safetensors_file;
using ts_test::SampleAvatar;
using ts_test::SampleAvatarOfFormat1;
using ts_test::write;

namespace {

using Break = ts_test::Break<SampleAvatar>;

Status parse(const Bytes& file) {
  AvatarFile avatar;
  return ts::parse_avatar_file(file.data(), file.size(), avatar);
}

void expect_invalid(const Bytes& file, const std::string& part) {
  expect(parse(file), StatusCode::kAvatarInvalid, part);
}

// ---- files that must load ----

void loads_everything() {
  const Bytes file = SampleAvatar().file();
  AvatarFile a;
  const Status status = ts::parse_avatar_file(file.data(), file.size(), a);
  if (!CHECK_MESSAGE(status.ok(), status.message())) return;
  CHECK(a.gaussians.n == 10 && a.v == 6 && a.f == 4 && a.s == 20 && a.j == 3 && a.z == 27 && a.k == 2);
  CHECK(a.format == 2 && a.name == "sample" && a.fps == 25 && a.width == 8 && a.height == 6 &&
        a.gaussians.sh_degree == 1 && a.source_count == 12);
  CHECK(a.camera.cam_from_world[11] == 4 && a.camera.fx == 12 && a.camera.fy == 12.5f && a.camera.cx == 4);
  CHECK(a.camera.cy == 3 && a.camera.near_plane == 0.2f);
  CHECK(a.has_background_color && a.background_color[0] == 0.25f && a.background_color[2] == 1);
  CHECK(a.rig == ts::RigKind::kFlame && a.binding == ts::BindingKind::kTriangle);
  CHECK(a.scale_rule == ts::ScaleRule::kInverseLength);
  CHECK(a.pose_shape_first == 2 && a.pose_shape_joints == std::vector<int>({1, 2}));
  if (CHECK(a.inputs.size() == 4)) {
    CHECK(a.inputs[0].names == std::vector<std::string>({"smile", "frown", "wink"}) && a.inputs[1].names.empty());
    CHECK(a.inputs[0].name == "expr" && a.inputs[0].index == std::vector<int>({0, 1, -1}));
    CHECK(a.inputs[0].target == ts::InputTarget::kBlendshape && a.inputs[0].default_value[0] == 0.5f);
    CHECK(a.inputs[1].target == ts::InputTarget::kJointRotation && a.inputs[1].index == std::vector<int>({1, 0}));
    CHECK(a.inputs[1].size == 6 && a.inputs[1].default_value == std::vector<float>(6, 0.0f));
    CHECK(a.inputs[2].target == ts::InputTarget::kJointTranslation && a.inputs[2].index == std::vector<int>({2}));
    CHECK(a.inputs[3].target == ts::InputTarget::kTranslation && a.inputs[3].default_value[1] == 0.125f);
  }
  CHECK(a.gaussians.quat[4] == 0.6f && a.gaussians.quat[6] == 0.8f && a.gaussians.opacity[9] == 0.9f &&
        a.gaussians.color[119] == 0.25f);
  CHECK(a.source_index[0] == 11 && a.binding_index[9] == 1 && a.vertex[17] == -0.25f && a.triangle[11] == 4);
  CHECK(a.shape_start[20] == 27 && a.shape_vertex[8] == 4 && a.shape_delta[80] == 0.125f);
  CHECK(a.joint_parent[0] == -1 && a.joint_rest_local[12 + 7] == 1 && a.joint_inverse_bind[24 + 7] == -2);
  CHECK(a.joint_shape_delta[179] == 0.0625f && a.skin_joint[2] == 1 && a.skin_weight[11] == 0.25f);
  CHECK(a.plate[143] == 200 && a.file_bytes == file.size() && a.manifest == SampleAvatar().manifest);

  const SampleAvatar sample;
  CHECK(a.tensors.size() == sample.tensors.size());
  for (const ts::SafetensorsTensor& tensor : a.tensors) {
    const auto it = sample.tensors.find(tensor.name);
    if (!CHECK(it != sample.tensors.end())) continue;
    CHECK(static_cast<size_t>(tensor.ndim) == it->second.shape.size());
    for (size_t i = 0; i < 4; ++i) CHECK(tensor.shape[i] == (i < it->second.shape.size() ? it->second.shape[i] : 0));
    CHECK(std::memcmp(tensor.data, it->second.bytes.data(), it->second.bytes.size()) == 0);
  }
}

void drop_joints(SampleAvatar& s) {
  for (const char* name : {"parent", "rest_local", "inverse_bind", "shape_delta"}) {
    s.drop(std::string("rig/joint/") + name);
  }
}

// The inputs from `first` up to, without, `last`.
void drop_inputs(SampleAvatar& s, const std::string& first, const std::string& last) {
  const size_t begin = s.manifest.find("{\"name\": \"" + first + "\""),
               end = s.manifest.find("{\"name\": \"" + last + "\"");
  s.manifest.erase(begin, end - begin);
}

void make_static(SampleAvatar& s) {
  for (auto it = s.tensors.begin(); it != s.tensors.end();) {
    const std::string& name = it->first;
    const bool rigged = name.rfind("rig/", 0) == 0 || name.rfind("binding/", 0) == 0 || name.rfind("clip/", 0) == 0;
    it = rigged ? s.tensors.erase(it) : std::next(it);
  }
  s.replace(R"("kind": "flame", "pose_shapes": {"first": 2, "joints": [1, 2]})",
            R"("kind": "none", "pose_shapes": null)");
  s.replace(R"("kind": "triangle", "scale_rule": "inverse_length", "rotate": true)", R"("kind": "static")");
  drop_inputs(s, "expr", "translation");
  s.replace(R"({"name": "talk", "fps": 30, "frames": 5, "inputs": ["expr", "jaw_pose"]})", "");
}

void make_empty(SampleAvatar& s) {
  make_static(s);
  s.replace("\"source_count\": 12", "\"source_count\": 0");
  for (auto& [name, tensor] : s.tensors) {
    if (name.rfind("gaussians/", 0) != 0) continue;
    tensor.shape[0] = 0;
    tensor.bytes.clear();
  }
}

void loads_format_1() {
  const Bytes file = SampleAvatarOfFormat1().file();
  AvatarFile a;
  const Status status = ts::parse_avatar_file(file.data(), file.size(), a);
  CHECK_MESSAGE(status.ok(), status.message());
  CHECK(a.format == 1 && a.gaussians.n == 10 && a.inputs.size() == 4);

  const std::pair<const char*, ts_test::Break<SampleAvatarOfFormat1>> cases[] = {
      {"manifest: motion is missing", [](auto& s) { s.replace("\"motion\": {", "\"motions\": {"); }},
      {"manifest: motion.clips[0].frames must be an integer",
       [](auto& s) { s.replace("\"frames\": 5", "\"frames\": 0"); }},
      {"tensor \"motion/talk/expr\" is missing", [](auto& s) { s.drop("motion/talk/expr"); }},
      {"tensor \"motion/talk/expr\" row 4 has nan", [](auto& s) { s.set("motion/talk/expr", 14, kNan); }},
  };
  ts_test::expect_each<SampleAvatarOfFormat1>(cases, expect_invalid);
}

void loads_variants() {
  const std::pair<const char*, Break> variants[] = {
      {"static", make_static},
      {"no Gaussians", make_empty},
      {"rgb",
       [](SampleAvatar& s) {
         s.replace("\"sh1\"", "\"rgb\"");
         s.drop("gaussians/sh");
         s.add("gaussians/color", "F32", {10, 3});
       }},
      {"sh3",
       [](SampleAvatar& s) {
         s.replace("\"sh1\"", "\"sh3\"");
         s.add("gaussians/sh", "F32", {10, 16, 3});
       }},
      {"vertex binding without triangles",
       [](SampleAvatar& s) {
         s.replace("\"triangle\", \"scale_rule\": \"inverse_length\"", "\"vertex\"");
         s.drop("rig/triangle");
       }},
      {"no joints",
       [](SampleAvatar& s) {
         drop_joints(s);
         for (const char* name : {"joint", "weight"}) s.drop(std::string("rig/skin/") + name);
         s.replace(R"({"first": 2, "joints": [1, 2]})", "null");
         drop_inputs(s, "jaw_pose", "translation");
         s.replace(", \"jaw_pose\"]", "]");
         s.drop("clip/talk/jaw_pose");
       }},
      {"a turned camera",
       [](SampleAvatar& s) { s.replace("[1,0,0,0, 0,1,0,0, 0,0,1,4,", "[0.6,0.8,0,0, -0.8,0.6004,0,0, 0,0,1,4,"); }},
      {"transparent", [](SampleAvatar& s) { s.replace("[0.25, 0.5, 1]", "null"); }},
      {"no plate", [](SampleAvatar& s) { s.drop("plate/background"); }},
      {"quaternion inside the tolerance", [](SampleAvatar& s) { s.set("gaussians/quat", 0, 1.0009f); }},
      {"opacity of -0", [](SampleAvatar& s) { s.set("gaussians/opacity", 0, -0.0f); }},
      {"an empty shape",
       [](SampleAvatar& s) {
         s.set<uint32_t>("rig/blendshape/start", 1, 0);
         s.set<uint32_t>("rig/blendshape/start", 2, 6);
         s.set<uint32_t>("rig/blendshape/start", 3, 9);
         s.set<uint32_t>("rig/blendshape/vertex", 6, 0);
       }},
      {"encoder", [](SampleAvatar& s) { s.replace("null, \"look_ahead_ms\": 0", "\"mel\", \"look_ahead_ms\": 80"); }},
  };
  for (const auto& [what, change] : variants) {
    SampleAvatar sample;
    change(sample);
    const Status status = parse(sample.file());
    CHECK_MESSAGE(status.ok(), std::string(what) + ": " + status.message());
  }
}

// ---- files ----

void files() {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "talksplat_test_XXXXXX").string();
  if (!CHECK(mkdtemp(pattern.data()))) return;
  const std::string folder = pattern, path = folder + "/a.tsplat";
  AvatarFile avatar;
  const auto read = [&](const std::string& p) { return ts::read_avatar_file(p.c_str(), avatar); };

  expect(read(path), StatusCode::kAvatarNotFound, path + ": no such file");
  expect(read("no/such/avatar.tsplat"), StatusCode::kAvatarNotFound, "looked from " + fs::current_path().string());
  expect(read(folder + "/\xFF"), StatusCode::kAvatarNotFound, folder + "/\\xFF: no such file");  // Python wants UTF-8
  expect(read(folder), StatusCode::kAvatarInvalid, "is a directory");
  if (CHECK(mkfifo((folder + "/pipe").c_str(), 0600) == 0)) {
    expect(read(folder + "/pipe"), StatusCode::kAvatarInvalid, "pipe");  // and does not hang
  }
  write(path, {});
  expect(read(path), StatusCode::kAvatarInvalid, "the file is empty");
  if (geteuid() != 0) {  // root reads everything
    fs::permissions(path, fs::perms::none);
    expect(read(path), StatusCode::kAvatarNotFound, "not allowed to read");
    fs::permissions(path, fs::perms::owner_all);
  }
  const Bytes good = SampleAvatar().file();
  write(path, good);
  Status status = read(path);
  CHECK_MESSAGE(status.ok(), status.message());
  CHECK(avatar.mapping != nullptr && avatar.gaussians.opacity[9] == 0.9f);

  const std::string broken = folder + "/broken.tsplat";
  write(broken, {'n', 'o'});
  expect(read(broken), StatusCode::kAvatarInvalid, broken + ": not a safetensors file");
  CHECK(avatar.gaussians.opacity[9] == 0.9f);  // a failed read leaves the avatar as it was
  fs::remove_all(folder);
}

// ---- the container ----

void containers() {
  const Bytes good = SampleAvatar().file();
  const auto with_length = [&](uint64_t length) {
    Bytes file = good;
    std::memcpy(file.data(), &length, 8);
    return file;
  };
  expect_invalid({}, "too few");
  expect_invalid({1, 2, 3}, "too few");
  expect_invalid(with_length(0), "not valid JSON");
  expect_invalid(with_length(~uint64_t{0}), "18446744073709551615 bytes; at most 16777216");
  expect_invalid(with_length(good.size() - 7), "cut short");
  expect_invalid(Bytes(good.begin(), good.begin() + 100), "cut short");
  expect_invalid(Bytes(good.begin(), good.end() - 1), "cut short");
  Bytes longer = good;
  longer.push_back(0);
  expect_invalid(longer, "1 bytes after its last tensor");
  const std::string zip = std::string("PK\x03\x04") + std::string(60, 'x'), ply = "ply\nformat ascii 1.0\n";
  expect_invalid(Bytes(zip.begin(), zip.end()), "zip archive");
  expect_invalid(Bytes(ply.begin(), ply.end()), "PLY file");
  for (const char* begin : {"fLaC", "RIFF....WAVE", "....ftyp"}) {
    const std::string sound = begin + std::string(60, 'x');
    expect_invalid(Bytes(sound.begin(), sound.end()), "it is something to say: talksplat render AVATAR AUDIO");
  }

  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const Bytes eight(8), sixteen(16);
  const struct {
    std::string header;
    Bytes data;
    const char* part;
  } cases[] = {
      {"{" + a + "}", eight, "no \"talksplat\" manifest"},
      {R"({"__metadata__":{"talksplat":"{"}})", {}, "manifest: not valid JSON"},
      {R"({"__metadata__":{"talksplat":"[]"}})", {}, "manifest: must be an object"},
      {R"({"__metadata__":{"talksplat":1}})", {}, "__metadata__ \"talksplat\" must be a text; it is a number"},
      {R"({"__metadata__":[]})", {}, "__metadata__ must be an object"},
      {"[1]", {}, "header must be an object; it is a list"},
      {"{" + a + "," + a + "}", eight, "has the key \"a\" twice"},
      {R"({"a":7})", {}, "tensor \"a\" must be an object"},
      {R"({"":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})", {}, "empty name"},
      {R"({"a":{"shape":[2],"data_offsets":[0,8]}})", eight, "tensor \"a\": dtype"},
      {R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", eight, "tensor \"a\" has dtype \"F64\""},
      {R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", eight, "tensor \"a\": shape must be a list"},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", eight, "tensor \"a\": shape must hold"},
      {R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}})", eight, "tensor \"a\": shape must hold"},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,2],"data_offsets":[0,8]}})", eight, "5 dimensions"},
      {R"({"a":{"dtype":"F32","shape":[2147483648,2147483648,2147483648],"data_offsets":[0,8]}})", eight, "too large"},
      {R"({"a":{"dtype":"F32","shape":[0,9007199254740992,9007199254740992],"data_offsets":[0,0]}})", {}, "too large"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", eight, "which takes 12 bytes"},
      {R"({"a":{"dtype":"F32","shape":[2]}})", eight, "tensor \"a\": data_offsets must be two integers"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", eight, "tensor \"a\": data_offsets must be two"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e300]}})", eight,
       "tensor \"a\": data_offsets must be two"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", eight, "outside the file's 8 bytes"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", eight, "tensor \"a\": data_offsets [8,0)"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", eight, "outside the file's 8 bytes"},
      {"{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", sixteen, "\"a\" and \"b\" overlap"},
      {"{" + a + R"(,"b":{"dtype":"U8","shape":[4],"data_offsets":[12,16]}})", sixteen, "[8,12) of the data belong"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
       Bytes(5), "tensor \"b\" begins at byte"},
  };
  for (const auto& [header, data, part] : cases) expect_invalid(safetensors_file(header, data), part);
}

// ---- one thing wrong inside ----

void manifests() {
  const ts_test::Edit cases[] = {
      {"\"format\": 2", "\"format\": 3", "made by a newer talksplat"},
      {"\"format\": 2", "\"format\": 0", "format must be an integer from 1"},
      {"\"format\": 2, ", "", "format is missing"},
      {"\"name\": \"sample\"", "\"name\": 5", "name must be a text; got 5"},
      {"\"mesh\"", "\"magic\"", "method must be one of \"lam\""},
      {"\"fps\": 25", "\"fps\": 0", "fps must be above 0"},
      {"\"fps\": 25", "\"fps\": 1000.5", "fps must be above 0 and at most 1000; got 1000.5"},
      {"\"fps\": 25", "\"fps\": null", "fps must be a number"},
      {"{\"width\": 8, \"height\": 6}", "[8, 6]", "canvas must be an object; got a list of 2"},
      {"\"width\": 8", "\"width\": 8193", "canvas.width must be an integer from 1 to 8192; got 8193"},
      {"\"height\": 6", "\"height\": 5.5", "canvas.height"},
      {"\"width\": 8", "\"width\": 9", "\"plate/background\" must be [6,9,3] U8; got [6,8,3] U8"},
      {"0,0,1,4, 0,0,0,1]", "0,0,1,4, 0,0,0]", "camera.cam_from_world must have 16 entries; got a list of 15"},
      {"0,0,1,4, 0,0,0,1]", "0,0,1,4, 0,0,0,2]", "camera.cam_from_world must have the last row"},
      {"[1,0,0,0, 0,1,0,0, 0,0,1,4,", "[0.6,0.8,0,0, -0.8,0.602,0,0, 0,0,1,4,",
       "camera.cam_from_world must have a rotation as its 3x3 part"},
      {"[1,0,0,0, 0,1,0,0, 0,0,1,4,", "[2,0,0,0, 0,2,0,0, 0,0,2,4,", "camera.cam_from_world must have a rotation"},
      {"[1,0,0,0, 0,1,0,0, 0,0,1,4,", "[1,0,0,0, 0,1,0,0, 0,0,-1,4,", "camera.cam_from_world must have a rotation"},
      {"0,0,1,4,", "0,0,\"1\",4,", "camera.cam_from_world[10] must be a number"},
      {"\"fx\": 12,", "\"fx\": 1e39,", "camera.fx must be a number that a 32-bit float can hold"},
      {"\"fx\": 12,", "\"fx\": -12,", "camera.fx must be above 0"},
      {"\"fy\": 12.5", "\"fy\": 1e-60", "camera.fy must be above 0"},
      {"\"cx\": 4, ", "", "camera.cx is missing"},
      {"\"near\": 0.2", "\"near\": 0", "camera.near must be above 0"},
      {"[0.25, 0.5, 1]", "[0.25, 0.5]", "background must have 3 entries"},
      {"[0.25, 0.5, 1]", "[0.25, 0.5, 1.1]", "background[2] must be from 0 to 1; got 1.1"},
      {"\"sh1\"", "\"sh4\"", "color must be one of"},
      {"\"sh1\"", "\"sh2\"",
       "\"gaussians/sh\" must be [N,9,3] F32 with N = 10 (from gaussians/mean); got [10,4,3] F32"},
      {"\"sh1\"", "\"rgb\"", "tensor \"gaussians/color\" is missing"},
      {"\"source_count\": 12", "\"source_count\": 9", "source_count must be at least N = 10"},
      {"\"source_count\": 12", "\"source_count\": 11", "\"gaussians/source_index\" row 0 has 11"},
      {"\"source_count\": 12", "\"source_count\": 16777216", "source_count must be an integer from 0 to 16777215"},
      {"\"flame\"", "\"smpl\"", "rig.kind must be one of"},
      {"\"flame\"", "\"none\"", "rig.kind must be \"none\" exactly where binding.kind is \"static\""},
      {", \"pose_shapes\": {\"first\": 2, \"joints\": [1, 2]}", "", "rig.pose_shapes is missing"},
      {"\"first\": 2", "\"first\": 3", "rig.pose_shapes needs shapes 3 to 20, but the rig has 20"},
      {"\"first\": 2", "\"first\": -1", "rig.pose_shapes.first"},
      {"\"joints\": [1, 2]}", "\"joints\": [1, 3]}", "rig.pose_shapes.joints[1] is 3, but the rig has 3 joints"},
      {"\"triangle\"", "\"glue\"", "binding.kind must be one of"},
      {"\"triangle\"", "\"static\"", "rig.kind must be \"none\" exactly where binding.kind is \"static\""},
      {"\"inverse_length\"", "\"area\"", "binding.scale_rule must be one of"},
      {"\"triangle\", \"scale_rule\": \"inverse_length\", \"rotate\": true", "\"vertex\", \"rotate\": 1",
       "binding.rotate must be true or false"},
      {"\"name\": \"jaw_pose\"", "\"name\": \"expr\"", "inputs[1].name must be unique"},
      {"\"name\": \"eye_shift\"", "\"name\": \"\"", "inputs[2].name must not be empty"},
      {"\"name\": \"eye_shift\"", "\"name\": \"a/b\"", "inputs[2].name must not contain '/'"},
      {"\"size\": 6", "\"size\": 5", "inputs[1].size must be three times the number of its joints, 2; got 5"},
      {"\"size\": 3, \"target\": \"blendshape\"", "\"size\": 2, \"target\": \"blendshape\"",
       "inputs[0].names must have 2"},
      {"\"size\": 3, \"target\": \"translation\"", "\"size\": 4, \"target\": \"translation\"",
       "inputs[3].size must be 3"},
      {"\"size\": 3, \"target\": \"translation\"", "\"size\": 0, \"target\": \"translation\"",
       "inputs[3].size must be an"},
      {"\"target\": \"translation\"", "\"target\": \"dance\"", "inputs[3].target must be one of"},
      {"\"shapes\": [0, 1, -1]", "\"shapes\": [0, 20, -1]", "inputs[0].shapes[1] is 20, but the rig has 20 shapes"},
      {"\"shapes\": [0, 1, -1]", "\"shapes\": [0, 1, -2]", "inputs[0].shapes[2] must be an integer from -1"},
      {"\"shapes\": [0, 1, -1]", "\"shapes\": [0, 1]", "inputs[0].shapes must have 3 entries"},
      {"\"wink\"]", "7]", "inputs[0].names[2] must be a text"},
      {"\"wink\"]", "\"smile\"]", "inputs[0].names[2] must be unique among the names; got \"smile\""},
      {"\"target\": \"blendshape\",", "\"target\": \"blendshape\", \"joints\": [0],",
       "inputs[0].joints must be absent for this target; got a list of 1"},
      {"\"joints\": [1, 0]", "\"joints\": [1, 0], \"names\": null", "inputs[1].names must be absent for this target"},
      {"\"joints\": [2]", "\"joints\": [2], \"shapes\": [0]", "inputs[2].shapes must be absent for this target"},
      {"\"target\": \"translation\"", "\"target\": \"translation\", \"joints\": [0]",
       "inputs[3].joints must be absent for this target"},
      {"\"joints\": [1, 0]", "\"joints\": [1, 3]", "inputs[1].joints[1] is 3, but the rig has 3 joints"},
      {"\"joints\": [1, 0]", "\"joints\": [1, -1]", "inputs[1].joints[1] must be an integer from 0"},
      {"[0.5, 0, 0]", "[0.5, 0]", "inputs[0].default must have 3 entries"},
      {"[0.5, 0, 0]", "[0.5, 0, 1e39]", "inputs[0].default[2]"},
      {"\"stages\": []", "\"stages\": [{\"kind\": \"linear\"}]", "deform.stages must have 0 entries"},
      {"\"stages\": []", "\"stages\": {}", "deform.stages must be a list"},
      {"\"look_ahead_ms\": 0", "\"look_ahead_ms\": 10", "look_ahead_ms must be 0 where encoder is null"},
      {"\"encoder\": null", "\"encoder\": []", "encoder must be null or a text"},
      {"\"name\": \"talk\"", "\"name\": \"a/talk\"", "manifest: clips[0].name must not contain '/'"},
      {"\"name\": \"talk\"", "\"name\": \"walk\"", "tensor \"clip/walk/expr\" is missing"},
      {"\"fps\": 30", "\"fps\": 1001", "manifest: clips[0].fps"},
      {"\"frames\": 5", "\"frames\": 6", "\"clip/talk/expr\" must be [6,3] F32; got [5,3] F32"},
      {"\"frames\": 5", "\"frames\": 0", "manifest: clips[0].frames"},
      {"[\"expr\", \"jaw_pose\"]", "[\"expr\", \"nose\"]", "manifest: clips[0].inputs[1] must be the name of an input"},
      {"[\"expr\", \"jaw_pose\"]", "[\"expr\", \"expr\"]", "manifest: clips[0].inputs[1] must be listed once"},
      {"[{\"name\": \"talk\"", "[{\"name\": \"talk\", \"fps\": 30, \"frames\": 5, \"inputs\": []}, {\"name\": \"talk\"",
       "manifest: clips[1].name must be unique"},
      {"\"clips\": [", "\"motion\": null, \"clips\": [",
       "motion must be absent; recorded motion is in clips; got null"},
      {"\"clips\": [", "\"clip\": [", "manifest: clips is missing"},
      {"\"licence\": \"not stated\", ", "", "licence is missing"},
      {"\"subject_consent\": \"not stated\"", "\"subject_consent\": true", "subject_consent must be a text; got true"},
      {"\"tool\": \"tests\", ", "", "provenance.tool is missing"},
      {"\"name\": \"a.ply\"", "\"name\": null", "provenance.files[0].name must be a text; got null"},
      {"\"bytes\": 3", "\"bytes\": -3", "provenance.files[0].bytes"},
      {"\"0123456789abcdef0", "\"x123456789abcdef0", "provenance.files[0].sha256 must be 64"},
  };
  ts_test::expect_each<SampleAvatar>(cases, expect_invalid);
}

std::string nulls(int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += "null,";
  return out;
}

void tensors() {
  const std::pair<const char*, Break> cases[] = {
      {"tensor \"gaussians/mean\" is missing", [](auto& s) { s.drop("gaussians/mean"); }},
      {"\"gaussians/mean\" must be [N,3] F32; got [10,3] U32",
       [](auto& s) { s.add("gaussians/mean", "U32", {10, 3}); }},
      {"\"gaussians/mean\" must be [N,3] F32; got [30] F32", [](auto& s) { s.add("gaussians/mean", "F32", {30}); }},
      {"\"gaussians/mean\" must be [N,3] F32; got [10,4] F32",
       [](auto& s) { s.add("gaussians/mean", "F32", {10, 4}); }},
      {"\"gaussians/quat\" must be [N,4] F32 with N = 9", [](auto& s) { s.add("gaussians/mean", "F32", {9, 3}); }},
      {"\"gaussians/mean\" row 3 has inf", [](auto& s) { s.set("gaussians/mean", 10, kInf); }},
      {"\"gaussians/mean\" row 9 has nan", [](auto& s) { s.set("gaussians/mean", 29, kNan); }},
      {"\"gaussians/quat\" row 2 has norm 1.00", [](auto& s) { s.set("gaussians/quat", 8, 1.0011f); }},
      {"\"gaussians/quat\" row 0 has norm 0", [](auto& s) { s.set("gaussians/quat", 0, 0.0f); }},
      {"\"gaussians/quat\" row 1 has norm nan", [](auto& s) { s.set("gaussians/quat", 4, kNan); }},
      {"\"gaussians/scale\" row 1 has -1e-30", [](auto& s) { s.set("gaussians/scale", 5, -1e-30f); }},
      {"\"gaussians/scale\" row 0 has inf", [](auto& s) { s.set("gaussians/scale", 0, kInf); }},
      {"\"gaussians/opacity\" row 4 has 1.5", [](auto& s) { s.set("gaussians/opacity", 4, 1.5f); }},
      {"\"gaussians/opacity\" row 4 has -0.5", [](auto& s) { s.set("gaussians/opacity", 4, -0.5f); }},
      {"\"gaussians/opacity\" row 0 has nan", [](auto& s) { s.set("gaussians/opacity", 0, kNan); }},
      {"\"gaussians/sh\" row 9 has -inf", [](auto& s) { s.set("gaussians/sh", 119, -kInf); }},
      {"\"gaussians/color\" must be absent", [](auto& s) { s.add("gaussians/color", "F32", {10, 3}); }},
      {"\"gaussians/sh\" must be absent where color is \"rgb\"",
       [](auto& s) {
         s.replace("\"sh1\"", "\"rgb\"");
         s.add("gaussians/color", "F32", {10, 3});
       }},
      {"\"gaussians/source_index\" row 9 has 11 a second time",
       [](auto& s) { s.template set<uint32_t>("gaussians/source_index", 9, 11); }},
      {"\"gaussians/source_index\" row 0 has 4294967295",
       [](auto& s) { s.template set<uint32_t>("gaussians/source_index", 0, ~0u); }},
      {"tensor \"binding/index\" is missing", [](auto& s) { s.drop("binding/index"); }},
      {"\"binding/index\" row 2 has 4; it must be below 4, the number of triangles",
       [](auto& s) { s.template set<uint32_t>("binding/index", 2, 4); }},
      {"below 6, the number of vertices",
       [](auto& s) {
         s.replace("\"triangle\", \"scale_rule\": \"inverse_length\"", "\"vertex\"");
         s.template set<uint32_t>("binding/index", 2, 6);
       }},
      {"tensor \"binding/index\" must be absent where binding.kind is \"static\"",
       [](auto& s) {
         make_static(s);
         s.add("binding/index", "U32", {10});
       }},
      {"tensor \"rig/vertex\" is missing", [](auto& s) { s.drop("rig/vertex"); }},
      {"\"rig/vertex\" row 5 has nan", [](auto& s) { s.set("rig/vertex", 15, kNan); }},
      {"tensor \"rig/triangle\" is missing", [](auto& s) { s.drop("rig/triangle"); }},
      {"\"rig/triangle\" row 1 has 6; it must be below 6",
       [](auto& s) { s.template set<uint32_t>("rig/triangle", 5, 6); }},
      {"tensor \"rig/blendshape/start\" is missing", [](auto& s) { s.drop("rig/blendshape/start"); }},
      {"\"rig/blendshape/start\" is [0] U32, but S must be from 0 to 4096",
       [](auto& s) { s.add("rig/blendshape/start", "U32", {0}); }},
      {"\"rig/blendshape/start\" is [4098] U32, but S", [](auto& s) { s.add("rig/blendshape/start", "U32", {4098}); }},
      {"\"rig/blendshape/start\" must begin with 0 and end with Z = 27; got 0 and 28",
       [](auto& s) { s.template set<uint32_t>("rig/blendshape/start", 20, 28); }},
      {"must begin with 0", [](auto& s) { s.template set<uint32_t>("rig/blendshape/start", 0, 1); }},
      {"\"rig/blendshape/start\" row 2 has 5 after 6",
       [](auto& s) { s.template set<uint32_t>("rig/blendshape/start", 2, 5); }},
      {"\"rig/blendshape/start\" row 6 has 13 after 4000000000",
       [](auto& s) { s.template set<uint32_t>("rig/blendshape/start", 5, 4000000000u); }},
      {"\"rig/blendshape/vertex\" row 26 has 6",
       [](auto& s) { s.template set<uint32_t>("rig/blendshape/vertex", 26, 6); }},
      {"\"rig/blendshape/vertex\" row 3 has 2 after 2; vertices must increase inside shape 0",
       [](auto& s) { s.template set<uint32_t>("rig/blendshape/vertex", 3, 2); }},
      {"\"rig/blendshape/delta\" must be [Z,3] F32 with Z = 27",
       [](auto& s) { s.add("rig/blendshape/delta", "F32", {28, 3}); }},
      {"\"rig/blendshape/delta\" row 26 has nan", [](auto& s) { s.set("rig/blendshape/delta", 80, kNan); }},
      {"\"rig/joint/parent\" row 0 has 0", [](auto& s) { s.template set<int32_t>("rig/joint/parent", 0, 0); }},
      {"\"rig/joint/parent\" row 1 has 2", [](auto& s) { s.template set<int32_t>("rig/joint/parent", 1, 2); }},
      {"\"rig/joint/parent\" row 2 has -2", [](auto& s) { s.template set<int32_t>("rig/joint/parent", 2, -2); }},
      {"\"rig/joint/parent\" is [4097] I32, but J", [](auto& s) { s.add("rig/joint/parent", "I32", {4097}); }},
      {"tensor \"rig/joint/inverse_bind\" is missing", [](auto& s) { s.drop("rig/joint/inverse_bind"); }},
      {"\"rig/joint/inverse_bind\" row 2 has inf", [](auto& s) { s.set("rig/joint/inverse_bind", 24, kInf); }},
      {"\"rig/joint/rest_local\" row 0 has nan", [](auto& s) { s.set("rig/joint/rest_local", 3, kNan); }},
      {"\"rig/joint/rest_local\" row 1 must have the identity",
       [](auto& s) { s.set("rig/joint/rest_local", 12 + 1, 1e-6f); }},
      {"\"rig/joint/shape_delta\" must be [S,J,3] F32 with S = 20",
       [](auto& s) { s.add("rig/joint/shape_delta", "F32", {19, 3, 3}); }},
      {"\"rig/joint/shape_delta\" row 1 has nan", [](auto& s) { s.set("rig/joint/shape_delta", 9, kNan); }},
      {"\"rig/skin/joint\" must be absent where the rig has no joints", drop_joints},
      {"\"rig/joint/shape_delta\" must be absent where the rig has no blendshapes",
       [](auto& s) {
         for (const char* name : {"start", "vertex", "delta"}) s.drop(std::string("rig/blendshape/") + name);
       }},
      {"tensor \"rig/skin/weight\" is missing", [](auto& s) { s.drop("rig/skin/weight"); }},
      {"\"rig/skin/joint\" row 5 has 3; it must be below 3",
       [](auto& s) { s.template set<uint16_t>("rig/skin/joint", 11, 3); }},
      {"\"rig/skin/joint\" is [6,9] U16, but K must be from 1 to 8",
       [](auto& s) { s.add("rig/skin/joint", "U16", {6, 9}); }},
      {"\"rig/skin/weight\" row 0 has -0.25", [](auto& s) { s.set("rig/skin/weight", 1, -0.25f); }},
      {"\"rig/skin/weight\" row 3 sums to 1.25", [](auto& s) { s.set("rig/skin/weight", 7, 0.5f); }},
      {"\"rig/skin/weight\" row 3 has nan", [](auto& s) { s.set("rig/skin/weight", 7, kNan); }},
      {"\"plate/background\" must be [6,8,3] U8; got [6,8,4] U8",
       [](auto& s) { s.add("plate/background", "U8", {6, 8, 4}); }},
      {"tensor \"clip/talk/jaw_pose\" is missing", [](auto& s) { s.drop("clip/talk/jaw_pose"); }},
      {"\"clip/talk/jaw_pose\" row 4 has nan", [](auto& s) { s.set("clip/talk/jaw_pose", 29, kNan); }},
      {"inputs must have at most 256 entries",
       [](auto& s) { s.replace("\"inputs\": [\n", "\"inputs\": [" + nulls(257)); }},
      {"manifest: clips must have at most 1024 entries",
       [](auto& s) { s.replace("\"clips\": [", "\"clips\": [" + nulls(1025)); }},
      {"tensor \"extra\" is none of this avatar's; its manifest asks for 21 others",
       [](auto& s) { s.add("extra", "F32", {1}); }},
      {"tensor \"clip/other/expr\" is none of this avatar's", [](auto& s) { s.add("clip/other/expr", "F32", {5, 3}); }},
      {"tensor \"motion/talk/expr\" is none of this avatar's",
       [](auto& s) { s.add("motion/talk/expr", "F32", {5, 3}); }},
      {"tensor \"clip/talk/jaw_pose\" is none of this avatar's",
       [](auto& s) { s.replace("[\"expr\", \"jaw_pose\"]", "[\"expr\"]"); }},
      {"tensor \"rig/extra\" is none of this avatar's", [](auto& s) { s.add("rig/extra", "U8", {1}); }},
      {"tensor \"rig/extra\" must be absent where rig.kind is \"none\"",
       [](auto& s) {
         make_static(s);
         s.add("rig/extra", "U8", {1});
       }},
  };
  ts_test::expect_each<SampleAvatar>(cases, expect_invalid);
}

}  // namespace

int main(int argc, char** argv) {
  if (const int status = ts_test::write_if_asked<SampleAvatar>(argc, argv); status >= 0) return status;
  loads_everything();
  loads_format_1();
  loads_variants();
  files();
  containers();
  manifests();
  tensors();
  return ts_test::report("test_avatar_file");
}
