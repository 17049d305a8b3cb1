// SPDX-License-Identifier: Apache-2.0
// The C ABI of frames: pictures, Gaussians and vertices of an avatar.
#include "capi_handles.h"
#include "capi_support.h"
#include "capi_translate.h"
#include "engine/renderer.h"

namespace {

using ts::error;
using ts::Status;
using ts::StatusCode;
using ts::capi::guarded;
using ts::capi::made_here;
using ts::capi::null_argument;
using ts::capi::read_struct;
using ts::capi::write_struct;

Status to_delivery(const char* where, const ts_delivery& given, ts::DeviceDelivery& delivery) {
  ts_delivery read;
  TS_RETURN_IF_ERROR(read_struct(where, &given, ts_delivery{}, read));
  delivery = {read.stream, read.event};
  return {};
}

}  // namespace

extern "C" {

ts_status ts_frame_create(const ts_avatar* avatar, const ts_frame_params* params, ts_frame** frame) {
  return guarded([&]() -> Status {
    if (!avatar) return null_argument("ts_frame_create", "avatar");
    if (!frame) return null_argument("ts_frame_create", "frame");
    *frame = nullptr;
    ts_frame_params p;
    TS_RETURN_IF_ERROR(read_struct("ts_frame_create: params", params, ts_frame_params_default(), p));
    ts::Canvas canvas;
    TS_RETURN_IF_ERROR(ts::capi::to_canvas(p.width, p.height, p.format, p.precision, avatar->model->file(), canvas));
    canvas.alpha = p.alpha != 0, canvas.depth = p.depth != 0;
    TS_RETURN_IF_ERROR(made_here("ts_frame_create", avatar->model->backend()));
    std::unique_ptr<ts_frame> made(new ts_frame{});
    TS_RETURN_IF_ERROR(ts::Frame::make(avatar->model, canvas, made->frame));
    *frame = made.release();
    return {};
  });
}

void ts_frame_destroy(ts_frame* frame) { delete frame; }

ts_status ts_frame_get_info(const ts_frame* frame, ts_frame_info* info) {
  return guarded([&]() -> Status {
    if (!frame) return null_argument("ts_frame_get_info", "frame");
    const ts::Canvas& canvas = frame->frame->canvas();
    ts_frame_info value{};
    value.width = static_cast<uint32_t>(canvas.width), value.height = static_cast<uint32_t>(canvas.height);
    value.format = static_cast<ts_format>(canvas.format);
    value.precision = static_cast<ts_precision>(canvas.precision);
    value.bytes = frame->frame->bytes();
    return write_struct("ts_frame_get_info", info, value);
  });
}

ts_status ts_frame_render(ts_frame* frame, const ts_render_params* params, const ts_image* image, ts_receipt* receipt) {
  return guarded([&]() -> Status {
    if (!frame) return null_argument("ts_frame_render", "frame");
    if (!image) return null_argument("ts_frame_render", "image");
    ts_render_params p;
    TS_RETURN_IF_ERROR(read_struct("ts_frame_render: params", params, ts_render_params_default(), p));
    ts_image target;
    TS_RETURN_IF_ERROR(read_struct("ts_frame_render: image", image, ts_image{}, target));
    TS_RETURN_IF_ERROR(ts::capi::check_receipt("ts_frame_render: receipt", receipt));
    ts::Receipt result;
    ts::RenderJob job;
    job.frame = frame->frame.get();
    job.control = p.control;
    job.receipt = &result;
    TS_RETURN_IF_ERROR(ts::capi::to_image(target, job.image));
    ts::Background background;
    if (p.background) {
      TS_RETURN_IF_ERROR(ts::capi::to_background("ts_frame_render", *p.background, background));
      job.background = &background;
    }
    ts::Camera camera;
    if (p.camera) {
      camera = ts::capi::to_camera(*p.camera);
      job.camera = &camera;
    }
    ts::DeviceDelivery delivery;
    if (p.on_device) {
      TS_RETURN_IF_ERROR(to_delivery("ts_frame_render: on_device", *p.on_device, delivery));
      job.on_device = &delivery;
    }
    TS_RETURN_IF_ERROR(made_here("ts_frame_render", frame->frame->model().backend()));
    TS_RETURN_IF_ERROR(ts::render(&job, 1));
    return ts::capi::write_receipt("ts_frame_render: receipt", receipt, result);
  });
}

ts_status ts_frame_gaussians(ts_frame* frame, const float* control, ts_gaussians* out) {
  return guarded([&]() -> Status {
    if (!frame) return null_argument("ts_frame_gaussians", "frame");
    if (!out) return null_argument("ts_frame_gaussians", "out");
    ts_gaussians g;
    TS_RETURN_IF_ERROR(read_struct("ts_frame_gaussians", out, ts_gaussians{}, g));
    const ts::Model& model = frame->frame->model();
    const ts::AvatarFile& file = model.file();
    const auto require_n = [&](const char* name, int64_t n) {
      if (g.n == n) return Status();
      return error(StatusCode::kInvalidArgument, "gaussians: n must be %s=%lld of this avatar; got %lld.", name,
                   static_cast<long long>(n), static_cast<long long>(g.n));
    };
    const ts::GaussianRows rows{g.mean_w, g.quat, g.scale, g.opacity, g.color};
    TS_RETURN_IF_ERROR(made_here("ts_frame_gaussians", model.backend()));
    if (!g.on_device) {
      TS_RETURN_IF_ERROR(require_n("n_source", file.source_count));
      return ts::read_gaussians(*frame->frame, control, rows);
    }
    TS_RETURN_IF_ERROR(require_n("n_gaussians", file.gaussians.n));
    ts::GaussianDelivery delivery{rows, {}};
    TS_RETURN_IF_ERROR(to_delivery("ts_frame_gaussians: on_device", *g.on_device, delivery.how));
    return ts::deliver_gaussians(*frame->frame, control, delivery);
  });
}

ts_status ts_frame_vertices(ts_frame* frame, const float* control, float* vertices, int64_t n_vertices) {
  return guarded([&]() -> Status {
    if (!frame) return null_argument("ts_frame_vertices", "frame");
    const ts::Model& model = frame->frame->model();
    if (n_vertices != model.file().v) {
      return error(StatusCode::kInvalidArgument, "vertices: n_vertices must be %lld, as this avatar has; got %lld.",
                   static_cast<long long>(model.file().v), static_cast<long long>(n_vertices));
    }
    if (!vertices && n_vertices > 0) {
      return error(StatusCode::kInvalidArgument, "vertices must point to [%lld,3] floats; got NULL.",
                   static_cast<long long>(n_vertices));
    }
    TS_RETURN_IF_ERROR(made_here("ts_frame_vertices", model.backend()));
    return ts::read_vertices(*frame->frame, control, vertices);
  });
}

}  // extern "C"
