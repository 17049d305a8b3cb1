// SPDX-License-Identifier: Apache-2.0
// Model — a loaded avatar: constant, shared by all that draw it.
#pragma once
#include <cstdint>
#include <memory>

#include "core/status.h"
#include "engine/avatar_file.h"
#include "engine/control_layout.h"
#include "engine/feature_windows.h"
#include "engine/retarget.h"
#include "engine/rig.h"
#include "ops/backend.h"

namespace ts {

class Model {
 public:
  // Fails as read_avatar_file() does. Throws std::bad_alloc.
  static Status load(const char* path, std::shared_ptr<Backend> backend, std::shared_ptr<const Model>& model);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const AvatarFile& file() const { return file_; }
  const ControlLayout& layout() const { return layout_; }
  const Rig& rig() const { return rig_; }
  const Retarget& retarget() const { return retarget_; }
  const FeatureWindows& windows() const { return windows_; }
  // Whether a voice moves its mouth: by the features that it hears, or as a face.
  bool speaks() const { return windows_.any() ? windows_.of_voice() : retarget_.speaks(); }
  Backend& backend() const { return *backend_; }
  const std::shared_ptr<Backend>& shared_backend() const { return backend_; }
  const std::shared_ptr<const BackendModel>& backend_model() const { return backend_model_; }

  uint64_t resident_bytes() const { return rig_.bytes() + backend_model_->bytes(); }  // beside the mapped file

 private:
  Model(AvatarFile file, std::shared_ptr<Backend> backend);

  const std::shared_ptr<Backend> backend_;
  const AvatarFile file_;
  const Rig rig_;
  const ControlLayout layout_;
  const Retarget retarget_;
  const FeatureWindows windows_;
  std::shared_ptr<const BackendModel> backend_model_;
};

}  // namespace ts
