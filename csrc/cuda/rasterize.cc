// SPDX-License-Identifier: Apache-2.0
#include "cuda/rasterize.h"

#include <algorithm>

#include "cuda/blend.h"
#include "cuda/capacity.h"

namespace ts::cuda {

Status CudaRasterizer::draw(const RasterizeArgs& args, Receipt& receipt) {
  TS_RETURN_IF_ERROR(check(args));
  const std::lock_guard<std::mutex> lock(lock_);
  const Current current(device_);
  TS_RETURN_IF_ERROR(current.status());
  TS_RETURN_IF_ERROR(claim(args));
  const Status launched = launch(args);
  const Status finished = batch_->finish();
  if (!launched.ok()) return launched;
  TS_RETURN_IF_ERROR(finished);
  picture_.copy_to(args.image);
  const LayerStatus& status = *batch_->status();
  receipt.n_gaussians = static_cast<uint32_t>(args.gaussians.n);
  receipt.n_visible = status.n_visible;
  receipt.n_instances = status.n_instances, receipt.n_dropped = status.n_dropped;
  return {};
}

uint64_t CudaRasterizer::bytes() const {
  const std::lock_guard<std::mutex> lock(lock_);
  return arena_.bytes() + picture_.bytes() + (batch_ ? batch_->bytes() : 0);
}

// Nothing uses the memory: every draw waits for its end.
Status CudaRasterizer::claim(const RasterizeArgs& args) {
  const GaussianView& gaussians = args.gaussians;
  LayerSize size;
  size.n = gaussians.n;
  size.width = args.image.width, size.height = args.image.height;
  size.fast = args.precision != Precision::kReference;
  size.capacity = std::min(instance_capacity(size.n, size.width, size.height), max_instances_);
  extents_ = {};
  extents_.frames = 1;
  add_layer(size, extents_);
  if (!batch_) TS_RETURN_IF_ERROR(Batch::make(device_, extents_, false, batch_));
  Canvas canvas;
  canvas.width = size.width, canvas.height = size.height;
  canvas.format = args.image.format;
  canvas.alpha = args.image.alpha != nullptr, canvas.depth = args.image.depth != nullptr;
  picture_.shape(canvas);
  TS_RETURN_IF_ERROR(picture_.make_host());
  TS_RETURN_IF_ERROR(picture_.reserve(args.background));
  return arena_.fit("the Gaussians' picture", [&](Layout& layout) {
    const auto floats = [&](int64_t columns) { return layout.take<float>(static_cast<uint64_t>(columns * size.n)); };
    rows_ = {floats(3), floats(4), floats(3), floats(1), floats(color_stride(gaussians))};
    layer_.place(layout, size);
    picture_.place(layout);
  });
}

Status CudaRasterizer::launch(const RasterizeArgs& args) {
  GaussianView gaussians = args.gaussians;
  const Stream& stream = batch_->stream();
  const auto upload = [&](float* to, const float*& rows, int64_t columns) {
    const float* from = rows;
    rows = to;
    return stream.upload(to, from, static_cast<uint64_t>(columns * gaussians.n) * sizeof(float));
  };
  TS_RETURN_IF_ERROR(upload(rows_.mean, gaussians.mean, 3));
  TS_RETURN_IF_ERROR(upload(rows_.quat, gaussians.quat, 4));
  TS_RETURN_IF_ERROR(upload(rows_.scale, gaussians.scale, 3));
  TS_RETURN_IF_ERROR(upload(rows_.opacity, gaussians.opacity, 1));
  TS_RETURN_IF_ERROR(upload(rows_.color, gaussians.color, color_stride(gaussians)));
  TS_RETURN_IF_ERROR(picture_.upload(stream, args.background));
  TS_RETURN_IF_ERROR(batch_->prepare([&](JobCursor& cursor) -> Status {
    layer_.write_jobs(gaussians, args.camera, args.dilation, cursor);
    BlendJob& blend = cursor.host.blend[0];
    picture_.write_job(args.image, args.background, false, blend);
    blend.n_layers = 1;
    blend.layer[0] = layer_.blend_layer();
    return {};
  }));
  TS_RETURN_IF_ERROR(launch_raster(stream, extents_, batch_->jobs()));
  TS_RETURN_IF_ERROR(launch_blend(stream, extents_, batch_->jobs()));
  TS_RETURN_IF_ERROR(batch_->download_status());
  return picture_.download(stream, args.image);
}

}  // namespace ts::cuda
