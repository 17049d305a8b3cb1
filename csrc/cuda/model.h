// SPDX-License-Identifier: Apache-2.0
// CudaModel — an avatar in the GPU's memory: uploaded once, constant, read by all its frames.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/status.h"
#include "cuda/arena.h"
#include "cuda/deform.h"
#include "cuda/pose.h"
#include "ops/backend.h"

namespace ts::cuda {

class CudaModel final : public BackendModel {
 public:
  static Status make(const Device& device, const ModelView& view, std::shared_ptr<const CudaModel>& model);

  uint64_t bytes() const override;
  const Device& device() const { return device_; }
  const ModelView& view() const { return view_; }
  const PoseRig& rig() const { return rig_; }
  const float* opacity() const { return opacity_; }
  const float* color() const { return color_; }
  // Packed and uploaded when the first frame of that precision is made. The context is current.
  Status deform(bool fast, const DeformConstants*& constants) const;

 private:
  CudaModel(const Device& device, const ModelView& view)
      : device_(device), view_(view), arena_(device, MemoryKind::kDevice) {}
  Status upload();

  const Device& device_;
  const ModelView view_;
  Arena arena_;
  PoseRig rig_;
  float *opacity_ = nullptr, *color_ = nullptr;  // as in ModelView::gaussians
  mutable std::mutex packing_;
  mutable std::unique_ptr<DeformConstants> deform_[2];  // reference, fast
};

}  // namespace ts::cuda
