// SPDX-License-Identifier: Apache-2.0
// Fuzzer of the .tsplat reader. Whatever the bytes, parse_avatar_file() must refuse them with kAvatarInvalid and a
// message, or accept them, and then every count and index in the AvatarFile must be safe to use.
#include "engine/avatar_file.h"
#include "fuzz.h"

const char* const kFuzzer = "fuzz_avatar_file";

namespace {

volatile double sink;  // keeps the reads below

template <class T>
void read_all(const T* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  sink = sum;
}

// Follows every index as the engine does, reads every element that a count promises.
void use(const ts::AvatarFile& a) {
  const int64_t bases = a.gaussians.sh_degree < 0 ? 1 : (a.gaussians.sh_degree + 1) * (a.gaussians.sh_degree + 1);
  REQUIRE(a.gaussians.sh_degree >= -1 && a.gaussians.sh_degree <= 3 && a.source_count >= a.gaussians.n);
  read_all(a.gaussians.mean, 3 * a.gaussians.n);
  read_all(a.gaussians.quat, 4 * a.gaussians.n);
  read_all(a.gaussians.scale, 3 * a.gaussians.n);
  read_all(a.gaussians.opacity, a.gaussians.n);
  read_all(a.gaussians.color, 3 * bases * a.gaussians.n);
  for (int64_t i = 0; i < a.gaussians.n; ++i) REQUIRE(a.source_index[i] < a.source_count);
  read_all(a.vertex, 3 * a.v);
  for (int64_t i = 0; i < 3 * a.f; ++i) REQUIRE(a.triangle[i] < a.v);
  if (a.binding != ts::BindingKind::kStatic) {
    const int64_t limit = a.binding == ts::BindingKind::kTriangle ? a.f : a.v;
    for (int64_t i = 0; i < a.gaussians.n; ++i) REQUIRE(a.binding_index[i] < limit);
  }
  for (int64_t s = 0; s < a.s; ++s) {
    REQUIRE(a.shape_start[s] <= a.shape_start[s + 1] && a.shape_start[s + 1] <= a.z);
    for (int64_t i = a.shape_start[s]; i < a.shape_start[s + 1]; ++i) REQUIRE(a.shape_vertex[i] < a.v);
  }
  read_all(a.shape_delta, 3 * a.z);
  for (int64_t j = 0; j < a.j; ++j) REQUIRE(a.joint_parent[j] >= -1 && a.joint_parent[j] < j);
  read_all(a.joint_rest_local, 12 * a.j);
  read_all(a.joint_inverse_bind, 12 * a.j);
  if (a.joint_shape_delta) read_all(a.joint_shape_delta, 3 * a.s * a.j);
  if (a.j > 0) {
    REQUIRE(a.k >= 1 && a.k <= 8);
    for (int64_t i = 0; i < a.v * a.k; ++i) REQUIRE(a.skin_joint[i] < a.j);
    read_all(a.skin_weight, a.v * a.k);
  }
  REQUIRE(a.width >= 1 && a.height >= 1);
  if (a.plate) read_all(a.plate, int64_t{3} * a.width * a.height);
  if (a.pose_shape_first >= 0) {
    REQUIRE(a.pose_shape_first + 9 * static_cast<int64_t>(a.pose_shape_joints.size()) <= a.s);
    for (const int joint : a.pose_shape_joints) REQUIRE(joint >= 0 && joint < a.j);
  }
  for (const ts::AvatarInput& input : a.inputs) {
    const bool shapes = input.target == ts::InputTarget::kBlendshape;
    REQUIRE(static_cast<int64_t>(input.default_value.size()) == input.size);
    for (const int id : input.index) REQUIRE(id >= (shapes ? -1 : 0) && id < (shapes ? a.s : a.j));
  }
  for (const ts::SafetensorsTensor& tensor : a.tensors) {
    auto bytes = static_cast<int64_t>(ts::dtype_bytes(tensor.dtype));
    for (int i = 0; i < tensor.ndim; ++i) bytes *= tensor.shape[i];
    read_all(tensor.data, bytes);
    REQUIRE(!tensor.name.empty());
  }
  REQUIRE(std::strlen(a.manifest.c_str()) == a.manifest.size());
}

}  // namespace

bool check_one(const uint8_t* data, size_t size) {
  ts::AvatarFile avatar;
  const ts::Status status = ts::parse_avatar_file(data, size, avatar);
  if (status.ok()) {
    use(avatar);
  } else {
    REQUIRE(status.code() == ts::StatusCode::kAvatarInvalid && !status.message().empty());
    REQUIRE(status.message().size() < 1000);  // names from the file are shortened
  }
  return status.ok();
}
