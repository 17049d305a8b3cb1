// SPDX-License-Identifier: Apache-2.0
// encode on the CPU: one stream's towers, one after the other, on the caller's thread.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/buffer.h"
#include "ops/encode.h"

namespace ts {

struct KernelTable;

class CpuEncodeStream final : public EncodeStream {
 public:
  CpuEncodeStream(std::shared_ptr<const EncodeModel> model, const KernelTable& kernels);

  void reset() override;
  // The next step: input [2 n_mels]; output [n_outputs] before sums and sigmoids, feature [n_features].
  void step(const float* input, float* output, float* feature);
  const EncodeModel& model() const { return *model_; }

 private:
  std::shared_ptr<const EncodeModel> model_;
  const KernelTable& kernels_;
  int64_t step_ = 0;
  size_t state_floats_ = 0;
  Buffer<float> state_, input_, scratch_, feature_, output_;
  std::vector<std::vector<EncodeLayerState>> layers_;  // of each tower, views into state_
};

}  // namespace ts
