// SPDX-License-Identifier: Apache-2.0
#include "sample_avatar.h"

#include <utility>
#include <vector>

namespace ts_test {
namespace {

constexpr int kGaussians = 10, kVertices = 6, kTriangles = 4, kShapes = 20, kJoints = 3, kFrames = 5;

const char kManifest[] = R"({
  "format": 2, "name": "sample", "method": "mesh", "fps": 25,
  "canvas": {"width": 8, "height": 6},
  "camera": {"cam_from_world": [1,0,0,0, 0,1,0,0, 0,0,1,4, 0,0,0,1], "fx": 12, "fy": 12.5, "cx": 4, "cy": 3, "near": 0.2},
  "background": [0.25, 0.5, 1],
  "color": "sh1", "source_count": 12,
  "rig": {"kind": "flame", "pose_shapes": {"first": 2, "joints": [1, 2]}},
  "binding": {"kind": "triangle", "scale_rule": "inverse_length", "rotate": true},
  "inputs": [
    {"name": "expr", "size": 3, "target": "blendshape", "names": ["smile", "frown", "wink"], "shapes": [0, 1, -1],
     "default": [0.5, 0, 0]},
    {"name": "jaw_pose", "size": 6, "target": "joint_rotation", "joints": [1, 0]},
    {"name": "eye_shift", "size": 3, "target": "joint_translation", "joints": [2]},
    {"name": "translation", "size": 3, "target": "translation", "default": [0, 0.125, 0]}
  ],
  "deform": {"stages": []},
  "encoder": null, "look_ahead_ms": 0,
  "clips": [{"name": "talk", "fps": 30, "frames": 5, "inputs": ["expr", "jaw_pose"]}],
  "licence": "not stated", "subject_consent": "not stated",
  "provenance": {"source_format": "sample", "files": [{"name": "a.ply", "bytes": 3,
    "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}],
    "tool": "tests", "tool_version": "1", "notes": "caf\u00e9 \ud83d\ude00"},
  "made_up_key": [true, false, null, {"nested": -1.5e-3}]
})";

// Identity rotations with the given translation, [J,3,4].
std::vector<float> translations(const std::vector<float>& xyz) {
  std::vector<float> out(12 * xyz.size() / 3, 0.0f);
  for (size_t j = 0; j < xyz.size() / 3; ++j) {
    for (size_t axis = 0; axis < 3; ++axis) {
      out[12 * j + 4 * axis + axis] = 1;
      out[12 * j + 4 * axis + 3] = xyz[3 * j + axis];
    }
  }
  return out;
}

}  // namespace

SampleAvatar::SampleAvatar() : SampleFile{"talksplat", kManifest, {}} {
  std::vector<float> mean, quat, scale, opacity;
  std::vector<uint32_t> source, bound;
  for (int i = 0; i < kGaussians; ++i) {
    const float t = static_cast<float>(i) / kGaussians;
    mean.insert(mean.end(), {0.1f * t, -0.1f * t, 0.05f});
    if (i % 2) {
      quat.insert(quat.end(), {0.6f, 0.0f, 0.8f, 0.0f});
    } else {
      quat.insert(quat.end(), {1.0f, 0.0f, 0.0f, 0.0f});
    }
    scale.insert(scale.end(), {0.2f, 0.1f, 0.0f});
    opacity.push_back(t);
    source.push_back(static_cast<uint32_t>(kGaussians + 1 - i));
    bound.push_back(static_cast<uint32_t>(i % kTriangles));
  }
  tensors["gaussians/mean"] = tensor("F32", {kGaussians, 3}, mean);
  tensors["gaussians/quat"] = tensor("F32", {kGaussians, 4}, quat);
  tensors["gaussians/scale"] = tensor("F32", {kGaussians, 3}, scale);
  tensors["gaussians/opacity"] = tensor("F32", {kGaussians}, opacity);
  tensors["gaussians/sh"] = tensor("F32", {kGaussians, 4, 3}, std::vector<float>(kGaussians * 12, 0.25f));
  tensors["gaussians/source_index"] = tensor("U32", {kGaussians}, source);
  tensors["binding/index"] = tensor("U32", {kGaussians}, bound);

  tensors["rig/vertex"] =
      tensor<float>("F32", {kVertices, 3}, {-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0, 0, 0, -0.5f, 0, 0.5f, -0.25f});
  tensors["rig/triangle"] = tensor<uint32_t>("U32", {kTriangles, 3}, {0, 1, 4, 1, 2, 4, 2, 3, 5, 3, 0, 4});

  // Shape 0 moves every vertex, shape 1 three of them, each pose corrective one.
  std::vector<uint32_t> start = {0, 6, 9}, moved = {0, 1, 2, 3, 4, 5, 0, 2, 4};
  for (uint32_t s = 2; s < kShapes; ++s) {
    moved.push_back(s % kVertices);
    start.push_back(static_cast<uint32_t>(moved.size()));
  }
  const auto z = static_cast<int64_t>(moved.size());
  tensors["rig/blendshape/start"] = tensor("U32", {kShapes + 1}, start);
  tensors["rig/blendshape/vertex"] = tensor("U32", {z}, moved);
  tensors["rig/blendshape/delta"] = tensor("F32", {z, 3}, std::vector<float>(3 * moved.size(), 0.125f));

  tensors["rig/joint/parent"] = tensor<int32_t>("I32", {kJoints}, {-1, 0, 0});
  tensors["rig/joint/rest_local"] = tensor("F32", {kJoints, 3, 4}, translations({0, 0, 0, 0, 1, 0, 0, 2, 0}));
  tensors["rig/joint/inverse_bind"] = tensor("F32", {kJoints, 3, 4}, translations({0, 0, 0, 0, -1, 0, 0, -2, 0}));
  tensors["rig/joint/shape_delta"] =
      tensor("F32", {kShapes, kJoints, 3}, std::vector<float>(kShapes * kJoints * 3, 0.0625f));
  std::vector<uint16_t> skin_joint;
  std::vector<float> skin_weight;
  for (int v = 0; v < kVertices; ++v) {
    skin_joint.insert(skin_joint.end(), {static_cast<uint16_t>(v % kJoints), 0});
    skin_weight.insert(skin_weight.end(), {0.75f, 0.25f});
  }
  tensors["rig/skin/joint"] = tensor("U16", {kVertices, 2}, skin_joint);
  tensors["rig/skin/weight"] = tensor("F32", {kVertices, 2}, skin_weight);

  tensors["plate/background"] = tensor("U8", {6, 8, 3}, std::vector<uint8_t>(6 * 8 * 3, 200));
  tensors["clip/talk/expr"] = tensor("F32", {kFrames, 3}, std::vector<float>(kFrames * 3, 0.5f));
  tensors["clip/talk/jaw_pose"] = tensor("F32", {kFrames, 6}, std::vector<float>(kFrames * 6, 0.1f));
}

SampleAvatarOfFormat1::SampleAvatarOfFormat1() {
  replace("\"format\": 2", "\"format\": 1");
  replace("\"clips\": [", "\"motion\": {\"clips\": [");
  replace("\"jaw_pose\"]}],", "\"jaw_pose\"]}]},");
  for (const char* input : {"expr", "jaw_pose"}) {
    auto clip = tensors.extract(std::string("clip/talk/") + input);
    clip.key() = std::string("motion/talk/") + input;
    tensors.insert(std::move(clip));
  }
  tensors["extra/unknown"] = tensor("U8", {3}, std::vector<uint8_t>{1, 2, 3});
}

}  // namespace ts_test
