// SPDX-License-Identifier: Apache-2.0
#include "cuda/model.h"

#include <utility>

#include "cuda/stream.h"

namespace ts::cuda {

Status CudaModel::make(const Device& device, const ModelView& view, std::shared_ptr<const CudaModel>& model) {
  const Current current(device);
  TS_RETURN_IF_ERROR(current.status());
  const std::shared_ptr<CudaModel> made(new CudaModel(device, view));
  TS_RETURN_IF_ERROR(made->upload());
  model = made;
  return {};
}

Status CudaModel::upload() {
  const GaussianView& gaussians = view_.gaussians;
  const auto n = static_cast<uint64_t>(gaussians.n), colors = n * static_cast<uint64_t>(color_stride(gaussians));
  TS_RETURN_IF_ERROR(arena_.make("the avatar", [&](Layout& layout) {
    rig_.place(layout, view_);
    opacity_ = layout.take<float>(n);
    color_ = layout.take<float>(colors);
  }));
  Stream stream(device_);
  TS_RETURN_IF_ERROR(stream.make());
  TS_RETURN_IF_ERROR(rig_.upload(stream, view_));
  TS_RETURN_IF_ERROR(stream.upload(opacity_, gaussians.opacity, n * sizeof(float)));
  TS_RETURN_IF_ERROR(stream.upload(color_, gaussians.color, colors * sizeof(float)));
  return stream.finish();
}

uint64_t CudaModel::bytes() const {
  const std::lock_guard<std::mutex> lock(packing_);
  uint64_t bytes = arena_.bytes();
  for (const auto& deform : deform_) bytes += deform ? deform->bytes() : 0;
  return bytes;
}

Status CudaModel::deform(bool fast, const DeformConstants*& constants) const {
  const std::lock_guard<std::mutex> lock(packing_);
  std::unique_ptr<DeformConstants>& kept = deform_[fast];
  if (!kept) {
    auto made = std::make_unique<DeformConstants>(device_);
    TS_RETURN_IF_ERROR(made->make(view_, fast));
    kept = std::move(made);
  }
  constants = kept.get();
  return {};
}

}  // namespace ts::cuda
