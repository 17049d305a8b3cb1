// SPDX-License-Identifier: Apache-2.0
#include "engine/avatar_manifest.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "core/json.h"
#include "core/text.h"
#include "engine/deform_manifest.h"
#include "engine/manifest_node.h"

namespace ts {
namespace {

constexpr int64_t kFormat = 2;  // the newest; all before it are read too
constexpr int64_t kMaxInputSize = 65536;

using manifest::Node;

// Rows of the 3x3 part of a row-major 4x4 matrix orthonormal, and no mirror image.
bool is_rotation(const float* m) {
  constexpr double kTolerance = 1e-3;
  double r[3][3];
  for (int i = 0; i < 3; ++i) std::copy(m + 4 * i, m + 4 * i + 3, r[i]);
  const auto dot = [](const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; };
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j <= i; ++j) {
      if (!(std::abs(dot(r[i], r[j]) - (i == j)) <= kTolerance)) return false;
    }
  }
  const double normal[3] = {r[0][1] * r[1][2] - r[0][2] * r[1][1], r[0][2] * r[1][0] - r[0][0] * r[1][2],
                            r[0][0] * r[1][1] - r[0][1] * r[1][0]};
  return dot(normal, r[2]) > 0;
}

Status read_camera(const Node& node, Camera& camera) {
  const Node view = node.at("cam_from_world");
  TS_RETURN_IF_ERROR(view.numbers(16, camera.cam_from_world));
  const float* last = camera.cam_from_world + 12;
  TS_RETURN_IF_ERROR(
      view.require(last[0] == 0 && last[1] == 0 && last[2] == 0 && last[3] == 1, "have the last row 0 0 0 1"));
  TS_RETURN_IF_ERROR(view.require(is_rotation(camera.cam_from_world), "have a rotation as its 3x3 part"));
  for (const auto& [key, out] :
       {std::pair("fx", &camera.fx), std::pair("fy", &camera.fy), std::pair("near", &camera.near_plane)}) {
    TS_RETURN_IF_ERROR(node.at(key).number(*out));
    TS_RETURN_IF_ERROR(node.at(key).require(*out > 0, "be above 0"));
  }
  TS_RETURN_IF_ERROR(node.at("cx").number(camera.cx));
  return node.at("cy").number(camera.cy);
}

Status read_picture(const Node& root, AvatarFile& avatar) {
  TS_RETURN_IF_ERROR(root.at("fps").number(avatar.fps));
  TS_RETURN_IF_ERROR(root.at("fps").require(avatar.fps > 0 && avatar.fps <= 1000, "be above 0 and at most 1000"));
  TS_RETURN_IF_ERROR(root.at("canvas").at("width").integer(1, 8192, avatar.width));
  TS_RETURN_IF_ERROR(root.at("canvas").at("height").integer(1, 8192, avatar.height));
  TS_RETURN_IF_ERROR(read_camera(root.at("camera"), avatar.camera));

  const Node background = root.at("background");
  avatar.has_background_color = !background.null();
  if (avatar.has_background_color) {
    TS_RETURN_IF_ERROR(background.numbers(3, avatar.background_color.data()));
    for (size_t i = 0; i < 3; ++i) {
      const float c = avatar.background_color[i];
      TS_RETURN_IF_ERROR(background.at(i).require(c >= 0 && c <= 1, "be from 0 to 1"));
    }
  }
  int color = 0;
  TS_RETURN_IF_ERROR(root.at("color").choice({"rgb", "sh0", "sh1", "sh2", "sh3"}, color));
  avatar.gaussians.sh_degree = color - 1;
  avatar.gaussians.sh_stride = sh_coefficients(color - 1);
  return root.at("source_count").integer(0, kMaxRows, avatar.source_count);
}

Status read_rig(const Node& root, AvatarFile& avatar) {
  const Node rig = root.at("rig"), binding = root.at("binding");
  TS_RETURN_IF_ERROR(rig.at("kind").choice({"none", "arkit", "flame", "mesh"}, avatar.rig));
  TS_RETURN_IF_ERROR(binding.at("kind").choice({"static", "triangle", "vertex"}, avatar.binding));
  TS_RETURN_IF_ERROR(rig.at("kind").require((avatar.rig == RigKind::kNone) == (avatar.binding == BindingKind::kStatic),
                                            "be \"none\" exactly where binding.kind is \"static\""));
  if (avatar.binding == BindingKind::kTriangle) {
    TS_RETURN_IF_ERROR(binding.at("scale_rule").choice({"length", "inverse_length"}, avatar.scale_rule));
  }
  if (avatar.binding == BindingKind::kVertex) TS_RETURN_IF_ERROR(binding.at("rotate").boolean(avatar.rotate));

  const Node pose = rig.at("pose_shapes");
  if (pose.null()) return Status();
  TS_RETURN_IF_ERROR(pose.at("first").integer(0, kMaxShapes, avatar.pose_shape_first));
  return pose.at("joints").integers(-1, 0, kMaxJoints - 1, avatar.pose_shape_joints);
}

// A key of another target would be without effect.
Status check_target_keys(const Node& node, InputTarget target) {
  const bool shapes = target == InputTarget::kBlendshape, deform = target == InputTarget::kDeform;
  const bool joints = target == InputTarget::kJointRotation || target == InputTarget::kJointTranslation;
  const bool view = target == InputTarget::kView;
  for (const auto& [key, allowed] :
       {std::pair("pivot", view), std::pair("names", shapes || deform), std::pair("shapes", shapes),
        std::pair("joints", joints), std::pair("window", deform), std::pair("follows", deform)}) {
    if (!allowed && !node.at(key).absent()) return node.at(key).require(false, "be absent for this target");
  }
  return Status();
}

Status read_names(const Node& node, AvatarInput& input) {
  size_t count = 0;
  TS_RETURN_IF_ERROR(node.list(input.size, count));
  input.names.resize(count);
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < count; ++i) {
    TS_RETURN_IF_ERROR(node.at(i).name(input.names[i]));
    TS_RETURN_IF_ERROR(node.at(i).require(seen.insert(input.names[i]).second, "be unique among the names"));
  }
  return Status();
}

Status read_window(const Node& node, AvatarInput& input) {
  FeatureWindow& window = input.window;
  TS_RETURN_IF_ERROR(node.at("before").integer(0, kMaxInputSize, window.before));
  TS_RETURN_IF_ERROR(node.at("after").integer(0, kMaxInputSize, window.after));
  TS_RETURN_IF_ERROR(node.at("channels").integer(1, kMaxInputSize, window.channels));
  TS_RETURN_IF_ERROR(node.at("length").integer(1, kMaxInputSize, window.length));
  const int64_t frame = int64_t{window.channels} * window.length;
  return node.require(frame <= input.size && (int64_t{window.before} + 1 + window.after) * frame == input.size,
                      "have (before + 1 + after) channels length = size, " + std::to_string(input.size));
}

Status read_deform_input(const Node& node, AvatarInput& input) {
  if (!node.at("names").absent()) TS_RETURN_IF_ERROR(read_names(node.at("names"), input));
  if (!node.at("window").absent()) TS_RETURN_IF_ERROR(read_window(node.at("window"), input));
  const Node follows = node.at("follows");
  if (follows.absent()) return Status();
  int camera = 0;
  TS_RETURN_IF_ERROR(follows.choice({"camera"}, camera));
  input.follows_camera = true;
  return node.at("size").require(input.size == 12, "be 12 where the input follows the camera");
}

Status read_input(const Node& node, AvatarInput& input) {
  TS_RETURN_IF_ERROR(node.at("name").name(input.name));
  // clip/CLIP/INPUT must split in one way only.
  TS_RETURN_IF_ERROR(node.at("name").require(input.name.find('/') == std::string::npos, "not contain '/'"));
  TS_RETURN_IF_ERROR(node.at("size").integer(1, kMaxInputSize, input.size));
  TS_RETURN_IF_ERROR(node.at("target").choice(
      {"blendshape", "joint_rotation", "joint_translation", "translation", "deform", "view"}, input.target));
  TS_RETURN_IF_ERROR(check_target_keys(node, input.target));
  switch (input.target) {
    case InputTarget::kBlendshape:
      TS_RETURN_IF_ERROR(read_names(node.at("names"), input));
      TS_RETURN_IF_ERROR(node.at("shapes").integers(input.size, -1, kMaxShapes - 1, input.index));
      break;
    case InputTarget::kJointRotation:
    case InputTarget::kJointTranslation:
      TS_RETURN_IF_ERROR(node.at("joints").integers(-1, 0, kMaxJoints - 1, input.index));
      TS_RETURN_IF_ERROR(
          node.at("size").require(input.size == 3 * static_cast<int64_t>(input.index.size()),
                                  "be three times the number of its joints, " + std::to_string(input.index.size())));
      break;
    case InputTarget::kTranslation:
      TS_RETURN_IF_ERROR(node.at("size").require(input.size == 3, "be 3 for the target \"translation\""));
      break;
    case InputTarget::kDeform:
      TS_RETURN_IF_ERROR(read_deform_input(node, input));
      break;
    case InputTarget::kView:
      TS_RETURN_IF_ERROR(node.at("size").require(input.size == 3, "be 3 for the target \"view\""));
      TS_RETURN_IF_ERROR(node.at("pivot").numbers(3, input.pivot_w.data()));
  }
  // Only now is the size backed by lists of that length.
  input.default_value.assign(static_cast<size_t>(input.size), 0.0f);
  const Node value = node.at("default");
  return value.absent() ? Status() : value.numbers(input.size, input.default_value.data());
}

template <class T>
int index_of(const std::vector<T>& items, const std::string& name) {
  const auto it = std::find_if(items.begin(), items.end(), [&](const T& item) { return item.name == name; });
  return it == items.end() ? -1 : static_cast<int>(it - items.begin());
}

Status read_inputs(const Node& node, std::vector<AvatarInput>& inputs) {
  constexpr size_t kMaxInputs = 256;
  size_t count = 0;
  TS_RETURN_IF_ERROR(node.list(-1, count));
  TS_RETURN_IF_ERROR(node.require(count <= kMaxInputs, "have at most " + std::to_string(kMaxInputs) + " entries"));
  for (size_t i = 0; i < count; ++i) {
    AvatarInput input;
    TS_RETURN_IF_ERROR(read_input(node.at(i), input));
    TS_RETURN_IF_ERROR(node.at(i).at("name").require(index_of(inputs, input.name) < 0, "be unique among the inputs"));
    inputs.push_back(std::move(input));
  }
  return Status();
}

Status read_clip(const Node& node, const std::vector<AvatarInput>& inputs, MotionClip& clip) {
  TS_RETURN_IF_ERROR(node.at("name").name(clip.name));
  TS_RETURN_IF_ERROR(node.at("name").require(clip.name.find('/') == std::string::npos, "not contain '/'"));
  float fps = 0;
  TS_RETURN_IF_ERROR(node.at("fps").number(fps));
  TS_RETURN_IF_ERROR(node.at("fps").require(fps > 0 && fps <= 1000, "be above 0 and at most 1000"));
  TS_RETURN_IF_ERROR(node.at("frames").integer(1, kMaxRows, clip.frames));
  size_t count = 0;
  TS_RETURN_IF_ERROR(node.at("inputs").list(-1, count));
  for (size_t i = 0; i < count; ++i) {
    const Node entry = node.at("inputs").at(i);
    std::string name;
    TS_RETURN_IF_ERROR(entry.name(name));
    const int input = index_of(inputs, name);
    TS_RETURN_IF_ERROR(entry.require(input >= 0, "be the name of an input"));
    TS_RETURN_IF_ERROR(entry.require(std::count(clip.inputs.begin(), clip.inputs.end(), input) == 0, "be listed once"));
    clip.inputs.push_back(input);
  }
  return Status();
}

// place: where the clips' tensors are, "clip/".
Status read_clips(const Node& node, const char* place, const std::vector<AvatarInput>& inputs,
                  std::vector<MotionClip>& clips) {
  constexpr size_t kMaxClips = 1024;
  size_t count = 0;
  TS_RETURN_IF_ERROR(node.list(-1, count));
  TS_RETURN_IF_ERROR(node.require(count <= kMaxClips, "have at most " + std::to_string(kMaxClips) + " entries"));
  for (size_t i = 0; i < count; ++i) {
    MotionClip clip;
    TS_RETURN_IF_ERROR(read_clip(node.at(i), inputs, clip));
    TS_RETURN_IF_ERROR(node.at(i).at("name").require(index_of(clips, clip.name) < 0, "be unique among the clips"));
    clip.place = place + clip.name + "/";
    clips.push_back(std::move(clip));
  }
  return Status();
}

// Format 1 had recorded motion where later formats keep a place for learned motion.
Status read_recorded_motion(const Node& root, const AvatarFile& avatar, std::vector<MotionClip>& clips) {
  const Node motion = root.at("motion");
  if (avatar.format == 1) return read_clips(motion.at("clips"), "motion/", avatar.inputs, clips);
  if (!motion.absent()) return motion.require(false, "be absent; recorded motion is in clips");
  return read_clips(root.at("clips"), "clip/", avatar.inputs, clips);
}

Status read_encoder(const Node& root, std::string& name) {
  const Node encoder = root.at("encoder"), look_ahead = root.at("look_ahead_ms");
  float look_ahead_ms = 0;
  TS_RETURN_IF_ERROR(look_ahead.number(look_ahead_ms));
  if (encoder.null()) return look_ahead.require(look_ahead_ms == 0, "be 0 where encoder is null");
  TS_RETURN_IF_ERROR(encoder.require(encoder.is_text().ok(), "be null or a text"));
  TS_RETURN_IF_ERROR(encoder.text(name));
  return look_ahead.require(look_ahead_ms >= 0, "be 0 or more");
}

Status check_provenance(const Node& node) {
  for (const char* key : {"source_format", "tool", "tool_version", "notes"}) {
    TS_RETURN_IF_ERROR(node.at(key).is_text());
  }
  const Node files = node.at("files");
  size_t count = 0;
  TS_RETURN_IF_ERROR(files.list(-1, count));
  for (size_t i = 0; i < count; ++i) {
    const Node file = files.at(i);
    TS_RETURN_IF_ERROR(file.at("name").is_text());
    int64_t bytes = 0;
    TS_RETURN_IF_ERROR(file.at("bytes").integer(0, int64_t{1} << 53, bytes));
    std::string hash;
    TS_RETURN_IF_ERROR(file.at("sha256").text(hash));
    const bool is_hash = hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
    TS_RETURN_IF_ERROR(file.at("sha256").require(is_hash, "be 64 lower-case hexadecimal digits"));
  }
  return Status();
}

}  // namespace

Status read_manifest(const std::string& text, AvatarFile& avatar, std::vector<MotionClip>& clips) {
  Json json;
  TS_RETURN_IF_ERROR(manifest::parse(text, kFormat, kAvatarErrors.invalid, json));
  const Node root(json, kAvatarErrors.invalid);

  int method = 0;
  TS_RETURN_IF_ERROR(root.at("format").integer(1, kFormat, avatar.format));
  TS_RETURN_IF_ERROR(root.at("name").text(avatar.name));
  TS_RETURN_IF_ERROR(root.at("method").choice(
      {"lam", "gaussian-avatars", "ggtalker", "static", "mesh", "gaussian-talker", "talking-gaussian", "embedtalk"},
      method));
  TS_RETURN_IF_ERROR(read_picture(root, avatar));
  TS_RETURN_IF_ERROR(read_rig(root, avatar));
  TS_RETURN_IF_ERROR(read_inputs(root.at("inputs"), avatar.inputs));
  const Node deform = root.at("deform");
  TS_RETURN_IF_ERROR(read_deform(deform, avatar.inputs, avatar.program));
  if (!avatar.program.branches.empty()) {
    TS_RETURN_IF_ERROR(deform.at("branches").require(avatar.format > 1, "be absent in format 1"));
    TS_RETURN_IF_ERROR(
        root.at("rig").at("kind").require(avatar.rig == RigKind::kNone, "be \"none\" where there is a deform program"));
  }
  TS_RETURN_IF_ERROR(read_encoder(root, avatar.encoder));
  TS_RETURN_IF_ERROR(read_recorded_motion(root, avatar, clips));
  TS_RETURN_IF_ERROR(root.at("licence").is_text());
  TS_RETURN_IF_ERROR(root.at("subject_consent").is_text());
  TS_RETURN_IF_ERROR(check_provenance(root.at("provenance")));
  avatar.manifest = text;
  return Status();
}

}  // namespace ts
