// SPDX-License-Identifier: Apache-2.0
#include "cuda/frame.h"

#include <algorithm>
#include <utility>

#include "cuda/capacity.h"
#include "ops/rasterize.h"

namespace ts::cuda {

CudaFrame::CudaFrame(Device& device, std::shared_ptr<const CudaModel> model, const Canvas& canvas)
    : device_(device),
      model_(std::move(model)),
      canvas_(canvas),
      fast_(canvas.precision != Precision::kReference),
      arena_(device, MemoryKind::kDevice),
      joints_(model_->view()),
      picture_(device),
      used_(device) {}

CudaFrame::~CudaFrame() {
  if (device_.forked()) return;
  const Current current(device_);
  static_cast<void>(finish_use());
}

Status CudaFrame::make(Device& device, std::shared_ptr<const CudaModel> model, const Canvas& canvas,
                       uint32_t max_instances, std::unique_ptr<CudaFrame>& frame) {
  const Current current(device);
  TS_RETURN_IF_ERROR(current.status());
  std::unique_ptr<CudaFrame> made(new CudaFrame(device, std::move(model), canvas));
  made->divide_into_layers();
  TS_RETURN_IF_ERROR(made->claim(max_instances));
  TS_RETURN_IF_ERROR(Batch::make(device, made->extents_, true, made->own_batch_));
  frame = std::move(made);
  return {};
}

// Branches are pictures, the first in front.
void CudaFrame::divide_into_layers() {
  const ModelView& view = model_->view();
  const std::vector<DeformBranch>& branches = view.program->branches;
  const size_t n_layers = std::max<size_t>(branches.size(), 1);
  layers_.resize(n_layers);
  int64_t first = 0;
  for (size_t i = 0; i < n_layers; ++i) {
    Layer& layer = layers_[i];
    layer.first = first;
    layer.memory.size.n = branches.empty() ? view.gaussians.n : branches[i].n;
    if (n_layers > 1 && branches[i].dilate_px > 1) layer.dilate_px = branches[i].dilate_px;
    first += layer.memory.size.n;
  }
}

Status CudaFrame::claim(uint32_t max_instances) {
  extents_.frames = 1;
  add_pose(model_->view(), extents_);
  const int width = canvas_.width, height = canvas_.height;
  for (Layer& layer : layers_) {
    LayerSize& size = layer.memory.size;
    size.width = width, size.height = height;
    size.fast = fast_;
    size.capacity = std::min(instance_capacity(size.n, width, height), max_instances);
    add_layer(size, extents_);
    if (layer.dilate_px > 0) add_alone(width, height, extents_);
  }
  TS_RETURN_IF_ERROR(used_.make());
  picture_.shape(canvas_);
  TS_RETURN_IF_ERROR(picture_.make_host());
  return arena_.make("a frame", [&](Layout& layout) {
    rows_.place(layout, model_->view(), model_->rig());
    for (Layer& layer : layers_) {
      layer.memory.place(layout, layer.memory.size);
      if (layer.dilate_px > 0) layer.alone.place(layout, width, height, canvas_.depth);
    }
    picture_.place(layout);
  });
}

uint64_t CudaFrame::bytes() const {
  return arena_.bytes() + picture_.bytes() + own_batch_->bytes() + joints_.bytes() + host_rows_.bytes();
}

GaussianView CudaFrame::posed() const {
  GaussianView view = model_->view().gaussians;
  view.mean = rows_.mean, view.quat = rows_.quat, view.scale = rows_.scale;
  view.opacity = model_->opacity(), view.color = model_->color();
  return view;
}

Status CudaFrame::write_jobs(const DrawCall& call, JobCursor& cursor) {
  RasterizeArgs args;
  args.gaussians = posed();
  args.camera = call.camera, args.background = call.background;
  args.dilation = call.dilation;
  args.image = call.image;
  TS_RETURN_IF_ERROR(check(args));
  if (!picture_.has_room(call.background)) {
    TS_RETURN_IF_ERROR(finish_use());
    TS_RETURN_IF_ERROR(picture_.reserve(call.background));
  }
  TS_RETURN_IF_ERROR(joints_.write_job(call.control.pose, model_->view(), model_->rig(), rows_, cursor));
  BlendJob& blend = cursor.host.blend[cursor.frame];
  picture_.write_job(call.image, call.background, call.on_device != nullptr, blend);
  for (const Layer& layer : layers_) {
    const LayerMemory& memory = layer.memory;
    memory.write_jobs(rows_of(args.gaussians, layer.first, memory.size.n), call.camera, call.dilation, cursor);
    BlendLayer in_stack = memory.blend_layer();
    if (layer.dilate_px > 0) {
      layer.alone.write_jobs(in_stack, canvas_.width, canvas_.height, layer.dilate_px, cursor);
      in_stack = layer.alone.blend_layer();
    }
    blend.layer[blend.n_layers++] = in_stack;
  }
  ++cursor.frame;
  return {};
}

Status CudaFrame::before(const DrawCall& call, const Stream& stream) {
  if (in_flight_) TS_RETURN_IF_ERROR(stream.wait_for(used_.get()));
  if (call.on_device) {
    const auto others = static_cast<CUstream>(call.on_device->stream);
    TS_RETURN_IF_ERROR(device_.check(device_.driver().cuEventRecord(used_.get(), others),
                                     "use on_device.stream, which must be a CUstream of its primary context"));
    TS_RETURN_IF_ERROR(stream.wait_for(used_.get()));
  }
  return picture_.upload(stream, call.background);
}

Status CudaFrame::after(const DrawCall& call, const Stream& stream) {
  if (!call.on_device) TS_RETURN_IF_ERROR(picture_.download(stream, call.image));
  TS_RETURN_IF_ERROR(stream.record(used_));
  in_flight_ = true;
  if (!call.on_device) return {};
  const auto others = static_cast<CUstream>(call.on_device->stream);
  TS_RETURN_IF_ERROR(
      device_.check(device_.driver().cuStreamWaitEvent(others, used_.get(), 0), "let on_device.stream wait"));
  return call.on_device->event ? stream.record(static_cast<CUevent>(call.on_device->event)) : Status();
}

void CudaFrame::deliver(const DrawCall& call, const LayerStatus* status) {
  if (call.on_device) return;
  in_flight_ = false;
  picture_.copy_to(call.image);
  Receipt& receipt = *call.receipt;
  receipt.n_gaussians = static_cast<uint32_t>(model_->view().gaussians.n);
  receipt.n_visible = 0, receipt.n_instances = 0, receipt.n_dropped = 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    receipt.n_visible += status[i].n_visible;
    receipt.n_instances += status[i].n_instances;
    receipt.n_dropped += status[i].n_dropped;
  }
}

Status CudaFrame::finish_use() {
  if (!in_flight_) return {};
  in_flight_ = false;
  return used_.wait();
}

Status CudaFrame::pose(const FrameControl& control) {
  TS_RETURN_IF_ERROR(finish_use());
  TS_RETURN_IF_ERROR(own_batch_->prepare([&](JobCursor& cursor) {
    return joints_.write_job(control.pose, model_->view(), model_->rig(), rows_, cursor);
  }));
  return launch_pose(own_batch_->stream(), extents_, own_batch_->jobs());
}

Status CudaFrame::vertices(const FrameControl& control, const float*& position) {
  const Current current(device_);
  TS_RETURN_IF_ERROR(current.status());
  const auto n = static_cast<size_t>(4 * extents_.vertices);
  float* to = host_rows_.reserve(n);
  position = to;
  Status status = pose(control);
  if (status.ok()) status = own_batch_->stream().download(to, rows_.position_w, n * sizeof(float));
  const Status finished = own_batch_->finish();
  return status.ok() ? finished : status;
}

Status CudaFrame::gaussians(const FrameControl& control, GaussianView& view) {
  const Current current(device_);
  TS_RETURN_IF_ERROR(current.status());
  const GaussianView on_device = posed();
  const auto n = static_cast<size_t>(on_device.n);
  const Stream& stream = own_batch_->stream();
  view = model_->view().gaussians;
  float* to = host_rows_.reserve((3 + 4 + 3) * n);
  const auto download = [&](const float* rows, size_t columns, const float*& shown) {
    shown = to;
    to += columns * n;
    return stream.download(const_cast<float*>(shown), rows, columns * n * sizeof(float));
  };
  Status status = pose(control);
  if (status.ok()) status = download(on_device.mean, 3, view.mean);
  if (status.ok()) status = download(on_device.quat, 4, view.quat);
  if (status.ok()) status = download(on_device.scale, 3, view.scale);
  const Status finished = own_batch_->finish();
  return status.ok() ? finished : status;
}

}  // namespace ts::cuda
