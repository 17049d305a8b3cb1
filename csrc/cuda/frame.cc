// SPDX-License-Identifier: Apache-2.0
#include "cuda/frame.h"

#include <algorithm>
#include <utility>

#include "cuda/capacity.h"
#include "cuda/delivery.h"
#include "ops/rasterize.h"

namespace ts::cuda {

CudaFrame::CudaFrame(Device& device, const Backend& cpu, std::shared_ptr<const CudaModel> model, const Canvas& canvas)
    : device_(device),
      cpu_(cpu),
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

Status CudaFrame::make(Device& device, const Backend& cpu, std::shared_ptr<const CudaModel> model, const Canvas& canvas,
                       uint32_t max_instances, std::unique_ptr<CudaFrame>& frame) {
  const Current current(device);
  TS_RETURN_IF_ERROR(current.status());
  std::unique_ptr<CudaFrame> made(new CudaFrame(device, cpu, std::move(model), canvas));
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
    if (!branches.empty()) layer.branch = &branches[i];
    layer.memory.size.n = layer.branch ? layer.branch->n : view.gaussians.n;
    if (n_layers > 1 && branches[i].dilate_px > 1) layer.dilate_px = branches[i].dilate_px;
    first += layer.memory.size.n;
  }
}

Status CudaFrame::claim(uint32_t max_instances) {
  extents_.frames = 1;
  add_pose(model_->view(), extents_);
  const DeformConstants* constants = nullptr;
  TS_RETURN_IF_ERROR(model_->deform(fast_, constants));
  constants->add_to(extents_);
  deform_ = std::make_unique<DeformFrame>(model_->view(), *constants);
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
    deformed_.place(layout, model_->view());
    deform_->place(layout);
    for (Layer& layer : layers_) {
      layer.memory.place(layout, layer.memory.size);
      if (layer.dilate_px > 0) layer.alone.place(layout, width, height, canvas_.depth);
    }
    picture_.place(layout);
  });
}

uint64_t CudaFrame::bytes() const {
  return arena_.bytes() + picture_.bytes() + own_batch_->bytes() + joints_.bytes() + deform_->bytes() +
         host_rows_.bytes();
}

GaussianView CudaFrame::posed() const {
  GaussianView view = model_->view().gaussians;
  view.mean = rows_.mean, view.quat = rows_.quat, view.scale = rows_.scale;
  view.opacity = model_->opacity(), view.color = model_->color();
  return view;
}

GaussianView CudaFrame::gaussians_of(const Layer& layer, const GaussianView& posed, bool to_rgb) const {
  return layer.branch ? deformed_.after(*layer.branch, layer.first, posed, to_rgb) : posed;
}

Status CudaFrame::write_pose_jobs(const FrameControl& control, const float* eye_w, JobCursor& cursor) {
  TS_RETURN_IF_ERROR(joints_.write_job(control.pose, model_->view(), model_->rig(), rows_, cursor));
  deform_->write_jobs(cpu_, control.vector, posed(), deformed_, eye_w, cursor);
  return {};
}

Status CudaFrame::write_jobs(const DrawCall& call, JobCursor& cursor) {
  RasterizeArgs args;
  args.gaussians = posed();
  args.camera = call.camera, args.background = call.background;
  args.dilation = call.dilation;
  args.image = call.image;
  TS_RETURN_IF_ERROR(check(args));
  if (call.on_device) TS_RETURN_IF_ERROR(check_image(call.image));
  if (!picture_.has_room(call.background)) {
    TS_RETURN_IF_ERROR(finish_use());
    TS_RETURN_IF_ERROR(picture_.reserve(call.background));
  }
  float eye_w[3];
  camera_position(call.camera, eye_w);
  TS_RETURN_IF_ERROR(write_pose_jobs(call.control, eye_w, cursor));
  BlendJob& blend = cursor.host.blend[cursor.frame];
  picture_.write_job(call.image, call.background, call.on_device != nullptr, blend);
  for (const Layer& layer : layers_) {
    layer.memory.write_jobs(gaussians_of(layer, args.gaussians, true), call.camera, call.dilation, cursor);
    BlendLayer in_stack = layer.memory.blend_layer();
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
  TS_RETURN_IF_ERROR(picture_.upload(stream, call.background));
  if (!call.on_device) return {};
  // The caller's background is the caller's again when the call returns; page-locked memory is not copied before.
  if (Picture::comes_with_the_call(call.background)) {
    TS_RETURN_IF_ERROR(stream.record(used_));
    TS_RETURN_IF_ERROR(used_.wait());
  }
  return come_after(device_, call.on_device->stream, used_, stream);
}

Status CudaFrame::after(const DrawCall& call, const Stream& stream) {
  if (!call.on_device) TS_RETURN_IF_ERROR(picture_.download(stream, call.image));
  TS_RETURN_IF_ERROR(stream.record(used_));
  in_flight_ = true;
  return call.on_device ? after_delivery(*call.on_device, stream) : Status();
}

Status CudaFrame::after_delivery(const DeviceDelivery& delivery, const Stream& stream) {
  TS_RETURN_IF_ERROR(hold_back(device_, delivery.stream, used_));
  return record(device_, delivery.event, stream);
}

Status CudaFrame::check_image(const Image& image) const {
  constexpr int64_t kMostBytes = int64_t{1} << 48;
  const int64_t rows = image.format == Format::kNv12 ? image.height * 3 / 2 : image.height;
  if (image.stride_bytes > kMostBytes / rows)
    return error(StatusCode::kInvalidArgument, "image: stride_bytes must be at most %lld for %lld rows; got %lld.",
                 static_cast<long long>(kMostBytes / rows), static_cast<long long>(rows),
                 static_cast<long long>(image.stride_bytes));
  const int64_t plane = int64_t{image.width} * image.height * static_cast<int64_t>(sizeof(float));
  // RGBA8 is written in words.
  const int element = image.format == Format::kRgba8 || image.format == Format::kRgbF32 ? 4 : 1;
  if (image.stride_bytes % element)
    return error(StatusCode::kInvalidArgument, "image: stride_bytes must be a multiple of %d on a GPU; got %lld.",
                 element, static_cast<long long>(image.stride_bytes));
  const int64_t bytes = (rows - 1) * image.stride_bytes + row_bytes(image.format, image.width);
  TS_RETURN_IF_ERROR(check_memory_of(device_, "image: data", image.data, bytes, element));
  if (image.alpha) TS_RETURN_IF_ERROR(check_memory_of(device_, "image: alpha", image.alpha, plane, sizeof(float)));
  return image.depth ? check_memory_of(device_, "image: depth", image.depth, plane, sizeof(float)) : Status();
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
  if (in_flight_) TS_RETURN_IF_ERROR(own_batch_->stream().wait_for(used_.get()));
  TS_RETURN_IF_ERROR(own_batch_->prepare([&](JobCursor& cursor) { return write_pose_jobs(control, nullptr, cursor); }));
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

Status CudaFrame::run_deform(const FrameControl& control) {
  TS_RETURN_IF_ERROR(pose(control));
  return launch_deform(own_batch_->stream(), extents_, own_batch_->jobs());
}

template <class Copy>
Status CudaFrame::each_array(const Copy& copy) const {
  const GaussianView on_device = posed();
  for (const float* GaussianView::* rows :
       {&GaussianView::mean, &GaussianView::quat, &GaussianView::scale, &GaussianView::opacity, &GaussianView::color}) {
    const int64_t columns = rows == &GaussianView::quat      ? 4
                            : rows == &GaussianView::opacity ? 1
                            : rows == &GaussianView::color   ? color_stride(on_device)
                                                             : 3;
    for (const Layer& layer : layers_) {
      const GaussianView of = gaussians_of(layer, on_device, false);
      TS_RETURN_IF_ERROR(copy(rows, layer.first, of.*rows, of.n, columns));
    }
  }
  return {};
}

template <class Copy>
Status CudaFrame::each_copy(const GaussianRows& to, const Copy& copy) const {
  return each_array([&](auto rows, int64_t first, const float* from, int64_t n, int64_t floats) {
    float* const array = rows == &GaussianView::mean      ? to.mean
                         : rows == &GaussianView::quat    ? to.quat
                         : rows == &GaussianView::scale   ? to.scale
                         : rows == &GaussianView::opacity ? to.opacity
                                                          : to.color;
    return array ? copy(array + first * floats, from, n * floats * int64_t{sizeof(float)}) : Status();
  });
}

Status CudaFrame::gaussians(const FrameControl& control, GaussianView& view) {
  const Current current(device_);
  TS_RETURN_IF_ERROR(current.status());
  Status status = run_deform(control);
  if (status.ok()) status = download_gaussians(view);
  const Status finished = own_batch_->finish();
  return status.ok() ? finished : status;
}

Status CudaFrame::deliver_gaussians(const FrameControl& control, const GaussianDelivery& to) {
  const Current current(device_);
  TS_RETURN_IF_ERROR(current.status());
  TS_RETURN_IF_ERROR(check_callers_stream(device_, to.how.stream));
  TS_RETURN_IF_ERROR(each_copy(to.rows, [&](float* array, const float*, int64_t bytes) {
    return check_memory_of(device_, "Gaussians: each array", array, bytes, sizeof(float));
  }));
  Status status = run_deform(control);
  if (status.ok()) status = come_after(device_, to.how.stream, used_, own_batch_->stream());
  if (status.ok())
    status = each_copy(to.rows, [&](float* array, const float* from, int64_t bytes) {
      return own_batch_->stream().copy(array, from, static_cast<uint64_t>(bytes));
    });
  if (status.ok()) status = own_batch_->stream().record(used_);
  if (status.ok()) status = after_delivery(to.how, own_batch_->stream());
  if (status.ok()) status = own_batch_->leave();
  if (status.ok())
    in_flight_ = true;
  else
    static_cast<void>(own_batch_->finish());
  return status;
}

Status CudaFrame::download_gaussians(GaussianView& view) {
  view = posed();
  const int64_t columns = 3 + 4 + 3 + 1 + color_stride(view);
  float* to = host_rows_.reserve(static_cast<size_t>(columns * view.n));
  return each_array([&](auto rows, int64_t first, const float* from, int64_t n, int64_t floats) {
    if (first == 0) view.*rows = to;
    float* const at = to;
    to += n * floats;
    return own_batch_->stream().download(at, from, static_cast<uint64_t>(n * floats) * sizeof(float));
  });
}

}  // namespace ts::cuda
