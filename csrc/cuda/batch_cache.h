// SPDX-License-Identifier: Apache-2.0
// BatchCache — recorded draws of several frames, kept for the next draw of as many of about these sizes.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/status.h"
#include "cuda/batch.h"

namespace ts::cuda {

class BatchCache {
 public:
  explicit BatchCache(Device& device) : device_(device) {}

  // One that is large enough, for the caller alone until it is put back. Recorded now, if none was kept.
  Status take(const Extents& needed, std::unique_ptr<Batch>& batch);
  // The one that was unused for longest goes, if there are too many.
  void put_back(std::unique_ptr<Batch> batch);
  uint64_t bytes() const;  // of those that are kept

 private:
  Device& device_;
  mutable std::mutex lock_;
  std::array<std::unique_ptr<Batch>, 16> kept_;  // the last one used comes first
};

}  // namespace ts::cuda
