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

}  // namespace ts::cuda
