// SPDX-License-Identifier: Apache-2.0
#include "engine/renderer.h"

#include <algorithm>
#include <vector>

#include "core/stopwatch.h"

namespace ts {
namespace {

// The canvas's camera for an image of another size: scaled to its height, middle on middle.
Camera fitted_camera(const AvatarFile& file, int width, int height) {
  Camera camera = file.camera;
  const float scale = static_cast<float>(height) / static_cast<float>(file.height);
  camera.fx *= scale, camera.fy *= scale;
  camera.cx = 0.5f * static_cast<float>(width) + scale * (camera.cx - 0.5f * static_cast<float>(file.width));
  camera.cy *= scale;
  return camera;
}

Background own_background(Frame& frame) {
  const AvatarFile& file = frame.model().file();
  Background background;
  background.image_u8 = frame.plate().pixels();
  background.constant = true;
  if (!background.image_u8 && file.has_background_color) background.color = file.background_color.data();
  return background;
}

Status check_canvas(const Canvas& canvas, const Image& image) {
  const auto invalid = StatusCode::kInvalidArgument;
  if (image.width != canvas.width || image.height != canvas.height)
    return error(invalid, "image: width and height must be those of the frame, %dx%d; got %dx%d. Make another frame.",
                 canvas.width, canvas.height, image.width, image.height);
  if (image.format != canvas.format)
    return error(invalid, "image: format must be that of the frame, %d; got %d. Make another frame.",
                 static_cast<int>(canvas.format), static_cast<int>(image.format));
  if (image.alpha && !canvas.alpha)
    return error(invalid, "image: alpha must be NULL: the frame was made without it. Make another frame.");
  if (image.depth && !canvas.depth)
    return error(invalid, "image: depth must be NULL: the frame was made without it. Make another frame.");
  return {};
}

}  // namespace

Status prepare(const RenderJob& job, DrawCall& call) {
  Stopwatch watch;
  Frame& frame = *job.frame;
  TS_RETURN_IF_ERROR(check(job.image));
  TS_RETURN_IF_ERROR(check_canvas(frame.canvas(), job.image));
  call.frame = &frame.backend_frame();
  call.camera = job.camera ? *job.camera : fitted_camera(frame.model().file(), job.image.width, job.image.height);
  TS_RETURN_IF_ERROR(frame.control().set(job.control, call.camera, call.control));
  call.background = job.background ? *job.background : own_background(frame);
  call.image = job.image;
  call.receipt = job.receipt;
  call.on_device = job.on_device;
  call.receipt->total_us += watch.lap();
  return {};
}

Status render(const RenderJob* jobs, size_t n) {
  if (n == 0) return {};
  DrawCall one;
  std::vector<DrawCall> several(n > 1 ? n : 0);
  DrawCall* calls = n > 1 ? several.data() : &one;
  for (size_t i = 0; i < n; ++i) TS_RETURN_IF_ERROR(prepare(jobs[i], calls[i]));
  return jobs[0].frame->model().backend().draw(calls, n);
}

Status read_gaussians(Frame& frame, const float* control, const GaussianRows& rows) {
  const AvatarFile& file = frame.model().file();
  FrameControl posing;
  Camera camera = file.camera;
  TS_RETURN_IF_ERROR(frame.control().set(control, camera, posing));
  GaussianView posed;
  TS_RETURN_IF_ERROR(frame.model().backend().gaussians(frame.backend_frame(), posing, posed));
  bool inside = true;
  const auto scatter = [&](const float* from, float* to, int64_t columns) {
    if (!to) return;
    std::fill(to, to + file.source_count * columns, 0.0f);
    for (int64_t i = 0; i < posed.n; ++i) {
      // Still the mapped file, which may have been edited since it was checked.
      const int64_t row = file.source_index[i];
      if (row < file.source_count)
        std::copy(from + i * columns, from + (i + 1) * columns, to + row * columns);
      else
        inside = false;
    }
  };
  scatter(posed.mean, rows.mean, 3);
  scatter(posed.scale, rows.scale, 3);
  scatter(posed.opacity, rows.opacity, 1);
  scatter(posed.color, rows.color, color_stride(posed));
  if (rows.quat) {
    scatter(posed.quat, rows.quat, 4);
    for (int64_t i = 0; i < file.source_count; ++i) {
      float* q = rows.quat + 4 * i;
      if (q[0] == 0 && q[1] == 0 && q[2] == 0 && q[3] == 0) q[0] = 1;
    }
  }
  if (inside) return {};
  return error(StatusCode::kAvatarInvalid,
               "gaussians: gaussians/source_index must be below n_source=%lld, as it was when the avatar was loaded. "
               "Load it again, and replace its file by rename, never in place.",
               static_cast<long long>(file.source_count));
}

Status deliver_gaussians(Frame& frame, const float* control, const GaussianDelivery& to) {
  FrameControl posing;
  Camera camera = frame.model().file().camera;
  TS_RETURN_IF_ERROR(frame.control().set(control, camera, posing));
  return frame.model().backend().deliver_gaussians(frame.backend_frame(), posing, to);
}

Status read_vertices(Frame& frame, const float* control, float* vertices) {
  const Model& model = frame.model();
  FrameControl posing;
  Camera camera = model.file().camera;
  TS_RETURN_IF_ERROR(frame.control().set(control, camera, posing));
  const float* position = nullptr;
  TS_RETURN_IF_ERROR(model.backend().vertices(frame.backend_frame(), posing, position));
  for (int64_t i = 0; i < model.file().v; ++i) {
    const float* at = position + 4 * int64_t{model.rig().slot_of_vertex()[i]};
    std::copy(at, at + 3, vertices + 3 * i);
  }
  return {};
}

}  // namespace ts
