// SPDX-License-Identifier: Apache-2.0
// AvatarFile — a validated, memory-mapped .tsplat file (python/authoring/FORMAT.md). After read_avatar_file()
// succeeds every name, shape, dtype, index and number in it can be trusted.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "core/status.h"
#include "ops/camera.h"
#include "ops/deform.h"
#include "ops/gaussians.h"

namespace ts {

class MappedFile;

enum class RigKind { kNone, kArkit, kFlame, kMesh };
enum class BindingKind { kStatic, kTriangle, kVertex };
enum class ScaleRule { kLength, kInverseLength };
enum class InputTarget { kBlendshape, kJointRotation, kJointTranslation, kTranslation, kDeform, kView };

// Features of the frames around one, as an input of a deform program holds them: [frames,channels,length].
struct FeatureWindow {
  int before = 0, after = 0;  // frames
  int channels = 0, length = 0;
};

struct AvatarInput {
  std::string name;
  int size = 0;  // floats
  InputTarget target = InputTarget::kTranslation;
  std::vector<std::string> names;    // [size] for kBlendshape; kDeform may have them; else empty
  std::vector<int> index;            // shapes (-1: absent in this rig) or joints; empty for kTranslation
  std::vector<float> default_value;  // [size]
  FeatureWindow window;              // kDeform; channels 0: none
  bool follows_camera = false;       // kDeform: zeros stand for the frame's camera
  std::array<float, 3> pivot_w{};    // kView
};

struct AvatarFile {
  AvatarFile();
  ~AvatarFile();
  AvatarFile(AvatarFile&&) noexcept;
  AvatarFile& operator=(AvatarFile&&) noexcept;

  std::string manifest;  // the JSON text
  int format = 0;
  std::string name;
  float fps = 0;
  int width = 0, height = 0;
  Camera camera{};
  bool has_background_color = false;
  std::array<float, 3> background_color{};
  int64_t source_count = 0;
  RigKind rig = RigKind::kNone;
  BindingKind binding = BindingKind::kStatic;
  ScaleRule scale_rule = ScaleRule::kLength;
  bool rotate = true;
  int pose_shape_first = -1;  // -1: no pose correctives
  std::vector<int> pose_shape_joints;
  std::vector<AvatarInput> inputs;

  DeformProgram program;
  std::string encoder;  // "": none

  // Counts of FORMAT.md: vertices, triangles, shapes, joints, deltas, skin influences.
  int64_t v = 0, f = 0, s = 0, j = 0, z = 0, k = 0;

  // Views into the mapping; nullptr where the file has none. Shapes as in FORMAT.md.
  GaussianView gaussians;  // N of them, at rest; unit quaternions within 1e-3
  const uint32_t *source_index = nullptr, *binding_index = nullptr;
  const float* vertex = nullptr;
  const uint32_t *triangle = nullptr, *shape_start = nullptr, *shape_vertex = nullptr;
  const float* shape_delta = nullptr;
  const int32_t* joint_parent = nullptr;
  const float *joint_rest_local = nullptr, *joint_inverse_bind = nullptr, *joint_shape_delta = nullptr;
  const uint16_t* skin_joint = nullptr;
  const float* skin_weight = nullptr;
  const uint8_t* plate = nullptr;  // [height,width,3]

  std::vector<SafetensorsTensor> tensors;  // every tensor of the file
  uint64_t file_bytes = 0;
  std::unique_ptr<MappedFile> mapping;
};

// Fails with kAvatarNotFound (no such file, not readable) or kAvatarInvalid (anything wrong with its contents:
// the message says which key or tensor, what was expected, what was found).
// `avatar` is untouched then.
Status read_avatar_file(const char* path, AvatarFile& avatar);

// The same for a file that is already in memory: `data` must be aligned to 8 and outlive `avatar`.
Status parse_avatar_file(const uint8_t* data, size_t size, AvatarFile& avatar);

}  // namespace ts
