// SPDX-License-Identifier: Apache-2.0
// Renderer — from a control to a picture: the camera that fits the canvas, what lies behind the head, then pose, deform
// and draw on the frame's backend. And what a frame can be asked for instead of a picture.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/status.h"
#include "engine/frame.h"
#include "ops/rasterize.h"

namespace ts {

struct RenderJob {
  Frame* frame = nullptr;
  const float* control = nullptr;             // [n_control]; Nullable: every input has its default
  const Camera* camera = nullptr;             // Nullable: the avatar's, scaled to the image's height and centred
  const Background* background = nullptr;     // Nullable: the avatar's own: its plate, or its colour
  Image image;                                // of the frame's canvas
  Receipt* receipt = nullptr;                 // required; stages are added to it
  const DeviceDelivery* on_device = nullptr;  // Nullable: the image is in the host's memory
};

// What the frame's backend is to draw. The call is good until the frame's next use.
Status prepare(const RenderJob& job, DrawCall& call);

// Draws n frames of one backend, no two of them the same.
Status render(const RenderJob* jobs, size_t n);

// The posed and deformed Gaussians in the source's order, rows [source_count]; rows that the file lacks are zero with a
// quaternion of 1 0 0 0. Arrays that are nullptr are left out. kAvatarInvalid when the file has been edited in place
// since it was loaded.
Status read_gaussians(Frame& frame, const float* control, const GaussianRows& rows);

// The same in the device's memory, rows as in the model, those of the file.
Status deliver_gaussians(Frame& frame, const float* control, const GaussianDelivery& to);

// The posed mesh, [v,3] in the file's order.
Status read_vertices(Frame& frame, const float* control, float* vertices);

}  // namespace ts
