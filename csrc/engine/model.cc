// SPDX-License-Identifier: Apache-2.0
#include "engine/model.h"

#include <utility>

namespace ts {
namespace {

ModelView view_of(const AvatarFile& file, const Rig& rig, const ControlLayout& layout) {
  ModelView view;
  view.mesh = rig.mesh;
  view.skeleton = rig.skeleton;
  view.binding = rig.binding;
  view.program = &file.program;
  view.n_control = layout.size();
  view.gaussians = file.gaussians;
  view.gaussians.mean = view.gaussians.quat = view.gaussians.scale = nullptr;  // they are in binding.local
  return view;
}

}  // namespace

Model::Model(AvatarFile file, std::shared_ptr<Backend> backend)
    : backend_(std::move(backend)),
      file_(std::move(file)),
      rig_(file_),
      layout_(file_.inputs),
      retarget_(file_, layout_),
      windows_(file_) {}

Status Model::load(const char* path, std::shared_ptr<Backend> backend, std::shared_ptr<const Model>& model) {
  AvatarFile file;
  TS_RETURN_IF_ERROR(read_avatar_file(path, file));
  const std::shared_ptr<Model> loaded(new Model(std::move(file), std::move(backend)));
  TS_RETURN_IF_ERROR(
      loaded->backend_->load(view_of(loaded->file_, loaded->rig_, loaded->layout_), loaded->backend_model_));
  model = loaded;
  return {};
}

}  // namespace ts
