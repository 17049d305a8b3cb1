// SPDX-License-Identifier: Apache-2.0
// CudaRasterizer — Gaussians without a model: uploaded for every picture, over memory that grows to the largest and stays.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/status.h"
#include "cuda/arena.h"
#include "cuda/batch.h"
#include "cuda/picture.h"
#include "cuda/raster.h"
#include "ops/rasterize.h"

namespace ts::cuda {

class CudaRasterizer {
 public:
  // max_instances: of a picture.
  CudaRasterizer(Device& device, uint32_t max_instances)
      : device_(device), max_instances_(max_instances), arena_(device, MemoryKind::kDevice), picture_(device) {}

  Status draw(const RasterizeArgs& args, Receipt& receipt);
  uint64_t bytes() const;

 private:
  Status claim(const RasterizeArgs& args);
  Status launch(const RasterizeArgs& args);

  Device& device_;
  const uint32_t max_instances_;
  mutable std::mutex lock_;
  Arena arena_;
  GaussianRows rows_;  // the caller's, on the device
  LayerMemory layer_;
  Picture picture_;
  Extents extents_;
  std::unique_ptr<Batch> batch_;
};

}  // namespace ts::cuda
