// SPDX-License-Identifier: Apache-2.0
// blend, finish and dilate on the GPU: a frame's layers to its picture. The kernels are kernels/cuda/blend.cu.
#pragma once
#include <cstdint>

#include "core/status.h"
#include "cuda/jobs.h"
#include "cuda/stream.h"

namespace ts::cuda {

// Of a layer that is drawn alone, to be dilated: its picture, in the GPU's memory.
struct AloneMemory {
  float4* picture = nullptr;  // [height,width] premultiplied red, green, blue, and coverage
  float* depth = nullptr;     // [height,width]; nullptr: the canvas has none
  float *rows = nullptr, *reach = nullptr;

  void place(Layout& layout, int width, int height, bool has_depth);
  // Draws `layer` into it, and dilates it by px. Moves the cursor to the next.
  void write_jobs(const BlendLayer& layer, int width, int height, int px, JobCursor& cursor) const;
  // The dilated layer in the stack.
  BlendLayer blend_layer() const;
};

void add_alone(int width, int height, Extents& extents);

Status launch_blend(const Stream& stream, const Extents& extents, const DrawJobs& jobs);

}  // namespace ts::cuda
