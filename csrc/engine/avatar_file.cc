// SPDX-License-Identifier: Apache-2.0
#include "engine/avatar_file.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "core/mapped_file.h"
#include "core/safetensors.h"
#include "core/scan.h"
#include "core/text.h"
#include "engine/avatar_manifest.h"
#include "engine/deform_tensors.h"
#include "engine/tensor_reader.h"

namespace ts {
namespace {

constexpr double kUnitTolerance = 1e-3;  // of a quaternion's norm (FORMAT.md), and of the sum of a vertex's weights

// Reads one file's tensors into its AvatarFile, whose manifest fields are already there.
class Reader {
 public:
  Reader(const Safetensors& table, AvatarFile& avatar) : table_(table), in_(table, kAvatarErrors.invalid), a_(avatar) {}

  Status read(const std::vector<MotionClip>& clips) {
    TS_RETURN_IF_ERROR(gaussians());
    TS_RETURN_IF_ERROR(rig());
    TS_RETURN_IF_ERROR(binding());
    TS_RETURN_IF_ERROR(inputs());
    TS_RETURN_IF_ERROR(deform());
    TS_RETURN_IF_ERROR(recorded_motion(clips));
    if (in_.has("plate/background")) {
      TS_RETURN_IF_ERROR(in_.get("plate/background", {a_.height, a_.width, 3}, a_.plate));
    }
    // Readers of format 1 ignored what they did not know, and files may rely on that.
    if (a_.format > 1) TS_RETURN_IF_ERROR(in_.forbid_others("avatar"));
    a_.tensors = table_.tensors;
    return Status();
  }

 private:
  Status gaussians() {
    const bool rgb = a_.gaussians.sh_degree < 0;
    const int64_t bases = rgb ? 1 : int64_t{a_.gaussians.sh_degree + 1} * (a_.gaussians.sh_degree + 1);
    TS_RETURN_IF_ERROR(in_.get("gaussians/mean", {n_, 3}, a_.gaussians.mean));
    TS_RETURN_IF_ERROR(in_.get("gaussians/quat", {n_, 4}, a_.gaussians.quat));
    TS_RETURN_IF_ERROR(in_.get("gaussians/scale", {n_, 3}, a_.gaussians.scale));
    TS_RETURN_IF_ERROR(in_.get("gaussians/opacity", {n_}, a_.gaussians.opacity));
    TS_RETURN_IF_ERROR(in_.get("gaussians/source_index", {n_}, a_.source_index));
    if (rgb) {
      TS_RETURN_IF_ERROR(in_.get("gaussians/color", {n_, 3}, a_.gaussians.color));
      TS_RETURN_IF_ERROR(in_.forbid("gaussians/sh", "color is \"rgb\""));
    } else {
      TS_RETURN_IF_ERROR(in_.get("gaussians/sh", {n_, bases, 3}, a_.gaussians.color));
      TS_RETURN_IF_ERROR(in_.forbid("gaussians/color", "color is not \"rgb\""));
    }
    if (a_.source_count < a_.gaussians.n) {
      return in_.invalid("manifest: source_count must be at least N = " + std::to_string(a_.gaussians.n) +
                         " (from gaussians/mean); got " + std::to_string(a_.source_count));
    }
    TS_RETURN_IF_ERROR(in_.check_finite("gaussians/mean", a_.gaussians.mean, a_.gaussians.n, 3));
    TS_RETURN_IF_ERROR(check_quats(a_.gaussians.quat, a_.gaussians.n));
    constexpr float kMax = std::numeric_limits<float>::max();
    TS_RETURN_IF_ERROR(in_.check_value(
        "gaussians/scale", a_.gaussians.scale, find_outside(a_.gaussians.scale, 3 * a_.gaussians.n, 0, kMax), 3,
        "a standard deviation must be finite and 0 or more (activated, not its logarithm)"));
    TS_RETURN_IF_ERROR(in_.check_value("gaussians/opacity", a_.gaussians.opacity,
                                       find_outside(a_.gaussians.opacity, a_.gaussians.n, 0, 1), 1,
                                       "it must be from 0 to 1 (activated, not its logit)"));
    TS_RETURN_IF_ERROR(
        in_.check_finite(rgb ? "gaussians/color" : "gaussians/sh", a_.gaussians.color, a_.gaussians.n, 3 * bases));
    return check_source_index(a_.source_index, a_.gaussians.n, a_.source_count);
  }

  Status check_quats(const float* quat, int64_t n) const {
    constexpr double kLow = (1 - kUnitTolerance) * (1 - kUnitTolerance);
    constexpr double kHigh = (1 + kUnitTolerance) * (1 + kUnitTolerance);
    for (int64_t i = 0; i < n; ++i) {
      double norm2 = 0;
      for (int c = 0; c < 4; ++c) norm2 += static_cast<double>(quat[4 * i + c]) * quat[4 * i + c];
      if (!(norm2 >= kLow && norm2 <= kHigh)) {
        return in_.invalid("tensor \"gaussians/quat\" row " + std::to_string(i) + " has norm " +
                           show_number(std::sqrt(norm2)) + "; it must be 1 within " + show_number(kUnitTolerance));
      }
    }
    return Status();
  }

  Status check_source_index(const uint32_t* index, int64_t n, int64_t source_count) const {
    TS_RETURN_IF_ERROR(
        in_.check_below("gaussians/source_index", index, n, 1, source_count, "source rows (source_count)"));
    std::vector<bool> seen(static_cast<size_t>(source_count));
    for (int64_t i = 0; i < n; ++i) {
      if (seen[index[i]]) {
        return in_.invalid("tensor \"gaussians/source_index\" row " + std::to_string(i) + " has " +
                           std::to_string(index[i]) + " a second time; every source row may appear once");
      }
      seen[index[i]] = true;
    }
    return Status();
  }

  Status rig() {
    if (a_.rig == RigKind::kNone) {
      for (const SafetensorsTensor& tensor : table_.tensors) {
        if (tensor.name.compare(0, 4, "rig/") == 0) {
          return in_.forbid(tensor.name.c_str(), "rig.kind is \"none\"");
        }
      }
    } else {
      TS_RETURN_IF_ERROR(in_.get("rig/vertex", {v_, 3}, a_.vertex));
      TS_RETURN_IF_ERROR(in_.check_finite("rig/vertex", a_.vertex, a_.v, 3));
      if (a_.binding == BindingKind::kTriangle || in_.has("rig/triangle")) {
        TS_RETURN_IF_ERROR(in_.get("rig/triangle", {f_, 3}, a_.triangle));
        TS_RETURN_IF_ERROR(in_.check_below("rig/triangle", a_.triangle, a_.f, 3, a_.v, "vertices"));
      }
      TS_RETURN_IF_ERROR(blendshapes());
      TS_RETURN_IF_ERROR(joints());
    }
    if (a_.pose_shape_first < 0) return Status();
    const int64_t end = a_.pose_shape_first + 9 * static_cast<int64_t>(a_.pose_shape_joints.size());
    if (end > a_.s) {
      return in_.invalid("manifest: rig.pose_shapes needs shapes " + std::to_string(a_.pose_shape_first) + " to " +
                         std::to_string(end - 1) + ", but the rig has " + std::to_string(a_.s));
    }
    return check_ids("rig.pose_shapes.joints", a_.pose_shape_joints, a_.j, "joints");
  }

  Status blendshapes() {
    if (!any_of({"rig/blendshape/start", "rig/blendshape/vertex", "rig/blendshape/delta"})) return Status();
    TS_RETURN_IF_ERROR(in_.get("rig/blendshape/start", {{s_, 1}}, a_.shape_start));
    TS_RETURN_IF_ERROR(in_.get("rig/blendshape/vertex", {z_}, a_.shape_vertex));
    TS_RETURN_IF_ERROR(in_.get("rig/blendshape/delta", {z_, 3}, a_.shape_delta));
    if (a_.shape_start[0] != 0 || a_.shape_start[a_.s] != a_.z) {
      return in_.invalid("tensor \"rig/blendshape/start\" must begin with 0 and end with Z = " + std::to_string(a_.z) +
                         "; got " + std::to_string(a_.shape_start[0]) + " and " + std::to_string(a_.shape_start[a_.s]));
    }
    for (int64_t s = 0; s < a_.s; ++s) {
      if (a_.shape_start[s + 1] < a_.shape_start[s]) {
        return in_.invalid("tensor \"rig/blendshape/start\" row " + std::to_string(s + 1) + " has " +
                           std::to_string(a_.shape_start[s + 1]) + " after " + std::to_string(a_.shape_start[s]) +
                           "; it must not fall");
      }
    }
    TS_RETURN_IF_ERROR(in_.check_below("rig/blendshape/vertex", a_.shape_vertex, a_.z, 1, a_.v, "vertices"));
    for (int64_t s = 0; s < a_.s; ++s) {
      const int64_t begin = a_.shape_start[s], count = a_.shape_start[s + 1] - begin;
      const int64_t at = find_not_increasing(a_.shape_vertex + begin, count);
      if (at >= 0) {
        return in_.invalid("tensor \"rig/blendshape/vertex\" row " + std::to_string(begin + at) + " has " +
                           std::to_string(a_.shape_vertex[begin + at]) + " after " +
                           std::to_string(a_.shape_vertex[begin + at - 1]) + "; vertices must increase inside shape " +
                           std::to_string(s));
      }
    }
    return in_.check_finite("rig/blendshape/delta", a_.shape_delta, a_.z, 3);
  }

  Status joints() {
    if (any_of({"rig/joint/parent", "rig/joint/rest_local", "rig/joint/inverse_bind"})) {
      TS_RETURN_IF_ERROR(in_.get("rig/joint/parent", {j_}, a_.joint_parent));
      TS_RETURN_IF_ERROR(in_.get("rig/joint/rest_local", {j_, 3, 4}, a_.joint_rest_local));
      TS_RETURN_IF_ERROR(in_.get("rig/joint/inverse_bind", {j_, 3, 4}, a_.joint_inverse_bind));
    }
    if (a_.j == 0) {
      for (const char* name : {"rig/joint/shape_delta", "rig/skin/joint", "rig/skin/weight"}) {
        TS_RETURN_IF_ERROR(in_.forbid(name, "the rig has no joints"));
      }
      return Status();
    }
    for (int64_t j = 0; j < a_.j; ++j) {
      if (a_.joint_parent[j] < -1 || a_.joint_parent[j] >= j) {
        return in_.invalid("tensor \"rig/joint/parent\" row " + std::to_string(j) + " has " +
                           std::to_string(a_.joint_parent[j]) +
                           "; it must be -1 (a root) or below the joint's own index");
      }
    }
    TS_RETURN_IF_ERROR(in_.check_finite("rig/joint/rest_local", a_.joint_rest_local, a_.j, 12));
    TS_RETURN_IF_ERROR(in_.check_finite("rig/joint/inverse_bind", a_.joint_inverse_bind, a_.j, 12));
    if (in_.has("rig/joint/shape_delta")) TS_RETURN_IF_ERROR(joint_shape_delta());
    return skin();
  }

  Status joint_shape_delta() {
    if (!a_.shape_start) return in_.forbid("rig/joint/shape_delta", "the rig has no blendshapes");
    TS_RETURN_IF_ERROR(in_.get("rig/joint/shape_delta", {s_, j_, 3}, a_.joint_shape_delta));
    TS_RETURN_IF_ERROR(in_.check_finite("rig/joint/shape_delta", a_.joint_shape_delta, a_.s, a_.j * 3));
    for (int64_t j = 0; j < a_.j; ++j) {
      for (int row = 0; row < 3; ++row) {
        for (int column = 0; column < 3; ++column) {
          const float entry = a_.joint_rest_local[12 * j + 4 * row + column];
          if (entry != (row == column ? 1.0f : 0.0f)) {
            return in_.invalid(
                "tensor \"rig/joint/rest_local\" row " + std::to_string(j) +
                " must have the identity as its rotation, because rig/joint/shape_delta is present; entry (" +
                std::to_string(row) + "," + std::to_string(column) + ") is " + show_number(entry));
          }
        }
      }
    }
    return Status();
  }

  Status skin() {
    TS_RETURN_IF_ERROR(in_.get("rig/skin/joint", {v_, k_}, a_.skin_joint));
    TS_RETURN_IF_ERROR(in_.get("rig/skin/weight", {v_, k_}, a_.skin_weight));
    TS_RETURN_IF_ERROR(in_.check_below("rig/skin/joint", a_.skin_joint, a_.v, a_.k, a_.j, "joints"));
    constexpr float kMax = std::numeric_limits<float>::max();
    TS_RETURN_IF_ERROR(in_.check_value("rig/skin/weight", a_.skin_weight,
                                       find_outside(a_.skin_weight, a_.v * a_.k, 0, kMax), a_.k,
                                       "it must be finite and 0 or more"));
    for (int64_t v = 0; v < a_.v; ++v) {
      double sum = 0;
      for (int64_t k = 0; k < a_.k; ++k) sum += a_.skin_weight[v * a_.k + k];
      if (std::abs(sum - 1) > kUnitTolerance) {
        return in_.invalid("tensor \"rig/skin/weight\" row " + std::to_string(v) + " sums to " + show_number(sum) +
                           "; it must sum to 1 within " + show_number(kUnitTolerance));
      }
    }
    return Status();
  }

  Status binding() {
    switch (a_.binding) {
      case BindingKind::kStatic:
        return in_.forbid("binding/index", "binding.kind is \"static\"");
      case BindingKind::kTriangle:
        TS_RETURN_IF_ERROR(in_.get("binding/index", {n_}, a_.binding_index));
        return in_.check_below("binding/index", a_.binding_index, a_.gaussians.n, 1, a_.f, "triangles");
      case BindingKind::kVertex:
        TS_RETURN_IF_ERROR(in_.get("binding/index", {n_}, a_.binding_index));
        return in_.check_below("binding/index", a_.binding_index, a_.gaussians.n, 1, a_.v, "vertices");
    }
    return Status();
  }

  Status inputs() {
    for (size_t i = 0; i < a_.inputs.size(); ++i) {
      const AvatarInput& input = a_.inputs[i];
      const bool shapes = input.target == InputTarget::kBlendshape;
      const std::string place = "inputs[" + std::to_string(i) + "]." + (shapes ? "shapes" : "joints");
      TS_RETURN_IF_ERROR(check_ids(place, input.index, shapes ? a_.s : a_.j, shapes ? "shapes" : "joints"));
    }
    return Status();
  }

  Status deform() {
    if (a_.program.branches.empty()) return Status();
    for (ConditionStage& stage : a_.program.condition.stages) {
      if (stage.kind != ConditionKind::kInput) continue;
      for (int i = 0; i < stage.input; ++i) stage.control += a_.inputs[static_cast<size_t>(i)].size;
    }
    return read_deform_tensors(in_, a_.gaussians, a_.program);
  }

  Status check_ids(const std::string& place, const std::vector<int>& ids, int64_t limit, const char* what) const {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= limit) {
        return in_.invalid("manifest: " + place + "[" + std::to_string(i) + "] is " + std::to_string(ids[i]) +
                           ", but the rig has " + std::to_string(limit) + " " + what);
      }
    }
    return Status();
  }

  Status recorded_motion(const std::vector<MotionClip>& clips) {
    for (const MotionClip& clip : clips) {
      for (const int input : clip.inputs) {
        const std::string name = clip.place + a_.inputs[input].name;
        const int64_t size = a_.inputs[input].size;
        const float* data = nullptr;
        TS_RETURN_IF_ERROR(in_.get(name, {clip.frames, size}, data));
        TS_RETURN_IF_ERROR(in_.check_finite(name, data, clip.frames, size));
      }
    }
    return Status();
  }

  bool any_of(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (in_.has(name)) return true;
    }
    return false;
  }

  const Safetensors& table_;
  TensorReader in_;
  AvatarFile& a_;
  Count n_{"N", kMaxRows, &a_.gaussians.n}, v_{"V", kMaxRows, &a_.v}, f_{"F", kMaxRows, &a_.f},
      s_{"S", kMaxShapes, &a_.s};
  Count j_{"J", kMaxJoints, &a_.j}, z_{"Z", std::numeric_limits<uint32_t>::max(), &a_.z}, k_{"K", 8, &a_.k, 1};
};

// What people most likely have at hand instead, by its first bytes, and the way out. Asked only about files that are no
// safetensors: the first bytes of those are a length and may be anything.
std::string foreign_format(const uint8_t* data, size_t size) {
  static constexpr char kConvert[] = "; convert it first: talksplat convert --help";
  static constexpr char kSpeaks[] = "; it is something to say: talksplat render AVATAR AUDIO -o OUT.mp4";
  static constexpr struct {
    size_t at;
    std::string_view mark;
    const char *what, *way_out;
  } kFormats[] = {
      {0, "PK\x03\x04", "a zip archive (an avatar of LAM? --from lam)", kConvert},
      {0, "ply", "a PLY file (--from ply, or gaussian-avatars for its folder)", kConvert},
      {0, "\x1f\x8b", "gzip data (a .spz scene? --from spz)", kConvert},
      {0, "glTF", "a glTF file, which has no Gaussians", kConvert},
      {0, "fLaC", "a sound (FLAC)", kSpeaks},
      {8, "WAVE", "a sound (WAV)", kSpeaks},
      {0, "OggS", "a sound (Ogg)", kSpeaks},
      {0, "ID3", "a sound (MP3)", kSpeaks},
      {4, "ftyp", "a video or a sound (MP4)", kSpeaks},
  };
  for (const auto& format : kFormats) {
    const size_t n = format.mark.size();
    if (size >= format.at + n && std::memcmp(data + format.at, format.mark.data(), n) == 0)
      return std::string(format.what) + format.way_out;
  }
  return {};
}

}  // namespace

AvatarFile::AvatarFile() = default;
AvatarFile::~AvatarFile() = default;
AvatarFile::AvatarFile(AvatarFile&&) noexcept = default;
AvatarFile& AvatarFile::operator=(AvatarFile&&) noexcept = default;

Status parse_avatar_file(const uint8_t* data, size_t size, AvatarFile& avatar) {
  const auto invalid = [](std::string message) { return Status(kAvatarErrors.invalid, std::move(message)); };
  Safetensors table;
  const SafetensorsRules rules{
      "an avatar", kAvatarErrors.invalid, {Dtype::kF32, Dtype::kU8, Dtype::kU16, Dtype::kU32, Dtype::kI32}};
  Status status = read_safetensors(data, size, rules, table);
  if (!status.ok()) {
    const std::string format = foreign_format(data, size);
    return format.empty() ? status : invalid("not a .tsplat file but " + format);
  }
  const std::string* manifest = table.find_metadata("talksplat");
  if (!manifest) {
    return invalid(
        "a safetensors file, but no avatar: __metadata__ has no \"talksplat\" manifest; avatars are made by "
        "talksplat convert");
  }
  AvatarFile result;
  std::vector<MotionClip> clips;
  TS_RETURN_IF_ERROR(read_manifest(*manifest, result, clips));
  TS_RETURN_IF_ERROR(Reader(table, result).read(clips));
  result.file_bytes = size;
  avatar = std::move(result);
  return Status();
}

Status read_avatar_file(const char* path, AvatarFile& avatar) {
  std::unique_ptr<MappedFile> mapping;
  Status status = MappedFile::open(path, kAvatarErrors, mapping);
  if (status.ok()) status = parse_avatar_file(mapping->data(), mapping->size(), avatar);
  if (!status.ok()) return Status(status.code(), printable(path) + ": " + status.message());
  avatar.mapping = std::move(mapping);
  return Status();
}

}  // namespace ts
