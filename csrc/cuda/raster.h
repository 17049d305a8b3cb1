// SPDX-License-Identifier: Apache-2.0
// project, sort and bin on the GPU: a layer's Gaussians to lists of splats per tile, nearest first. The kernels are
// kernels/cuda/project.cu, sort.cu and bin.cu.
#pragma once
#include <cstdint>

#include "core/status.h"
#include "cuda/jobs.h"
#include "cuda/stream.h"
#include "ops/camera.h"
#include "ops/gaussians.h"

namespace ts::cuda {

// What fixes the sizes of a layer's memory.
struct LayerSize {
  int64_t n = 0;  // Gaussians
  int width = 0, height = 0;
  bool fast = false;
  uint32_t capacity = 0;  // instances
};

// One layer's splats, their order and its lists, in the GPU's memory.
struct LayerMemory {
  LayerSize size;
  BlendSplat* blend = nullptr;
  BinSplat* bin = nullptr;
  SplatColor* color_px = nullptr;  // nullptr in fast precision
  uint32_t* key = nullptr;
  uint32_t* sort_count = nullptr;
  uint2* pair[2] = {};
  uint32_t* order = nullptr;
  uint32_t *bin_count = nullptr, *chunk_total = nullptr;
  TileList* lists = nullptr;
  Instance* instances = nullptr;

  void place(Layout& layout, const LayerSize& of);
  // gaussians: of the layer, on the device. Writes its jobs, and moves the cursor to the next layer's.
  void write_jobs(const GaussianView& gaussians, const Camera& camera, float dilation, JobCursor& cursor) const;
  // What blend reads of it.
  BlendLayer blend_layer() const;
};

void add_layer(const LayerSize& size, Extents& extents);

Status launch_raster(const Stream& stream, const Extents& extents, const DrawJobs& jobs);

}  // namespace ts::cuda
