// SPDX-License-Identifier: Apache-2.0
#include "cuda/batch_cache.h"

#include <algorithm>
#include <utility>

namespace ts::cuda {
namespace {

// The next number up with all but its first `bits` bits 0: draws of about the same size share a graph, whose blocks past
// the end of a smaller job leave at once.
template <class T>
T rounded_up(T x, int bits) {
  T step = 1;
  while (x >> bits > step - 1) step *= 2;
  return (x + step - 1) / step * step;
}

Extents rounded_up(Extents e) {
  for (int64_t* count : {&e.frames, &e.layers, &e.alone}) *count = rounded_up(*count, 1);
  for (int64_t* size : {&e.vertices, &e.triangles, &e.gaussians, &e.splats, &e.tiles, &e.width, &e.height})
    *size = rounded_up(*size, 3);
  e.control_bytes = rounded_up(e.control_bytes, 3);
  return e;
}

}  // namespace

Status BatchCache::take(const Extents& needed, std::unique_ptr<Batch>& batch) {
  const Extents extents = rounded_up(needed);
  {
    const std::lock_guard<std::mutex> lock(lock_);
    const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const std::unique_ptr<Batch>& kept) {
      return kept && kept->extents() == extents;
    });
    if (found != kept_.end()) {
      batch = std::move(*found);
      std::move(found + 1, kept_.end(), found);
      return {};
    }
  }
  return Batch::make(device_, extents, true, batch);
}

void BatchCache::put_back(std::unique_ptr<Batch> batch) {
  const std::lock_guard<std::mutex> lock(lock_);
  std::move_backward(kept_.begin(), kept_.end() - 1, kept_.end());
  kept_.front() = std::move(batch);
}

uint64_t BatchCache::bytes() const {
  const std::lock_guard<std::mutex> lock(lock_);
  uint64_t bytes = 0;
  for (const std::unique_ptr<Batch>& kept : kept_) bytes += kept ? kept->bytes() : 0;
  return bytes;
}

}  // namespace ts::cuda
