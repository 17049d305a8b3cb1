// SPDX-License-Identifier: Apache-2.0
#include "cuda/batch_cache.h"

#include <algorithm>
#include <utility>

namespace ts::cuda {
Status BatchCache::take(const Extents& needed, std::unique_ptr<Batch>& batch) {
  const Extents extents = needed.rounded_up();
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
