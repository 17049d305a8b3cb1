// SPDX-License-Identifier: Apache-2.0
// The voice on the GPU: a launch for the first step of every stream of a call, one for the second of all that have one,
// and so on; one upload before them and one wait behind. Towers of all streams run beside each other, a multiprocessor
// each; or, where kernels/triton/encode.py was measured to be faster, sixteen streams of a tower side by side. What a
// launch takes has not been measured.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/status.h"
#include "cuda/arena.h"
#include "cuda/stream.h"
#include "ops/encode.h"

namespace ts::cuda {

// A voice's towers in the GPU's memory: constant, read by all its streams.
class VoiceConstants {
 public:
  explicit VoiceConstants(const Device& device) : device_(device), arena_(device, MemoryKind::kDevice) {}

  Status make(const EncodeModel& model);
  const EncodeTower* tower(size_t t) const { return towers_ + t; }  // on the device
  uint64_t bytes() const { return arena_.bytes(); }

 private:
  const Device& device_;
  Arena arena_;
  EncodeTower* towers_ = nullptr;
  EncodeLayer* layers_ = nullptr;  // of all towers
};

// What a stream remembers, on the GPU.
class CudaEncodeStream final : public EncodeStream {
 public:
  CudaEncodeStream(const Device& device, std::shared_ptr<const EncodeModel> model)
      : model_(std::move(model)), arena_(device, MemoryKind::kDevice) {}

  void reset() override;
  const std::shared_ptr<const EncodeModel>& model() const { return model_; }
  uint64_t bytes() const { return arena_.bytes(); }

 private:
  friend class CudaEncoder;
  // Its memory, and zeros in it for a stream that begins.
  Status prepare(const Stream& stream);
  const EncodeLayerState* state(size_t tower) const { return states_ + first_layer_[tower]; }  // on the device

  const std::shared_ptr<const EncodeModel> model_;
  const VoiceConstants* constants_ = nullptr;
  Arena arena_;
  float* rings_ = nullptr;
  uint64_t ring_bytes_ = 0;
  EncodeLayerState* states_ = nullptr;  // of all towers' layers
  std::vector<int> first_layer_;        // of each tower
  int64_t step_ = 0;                    // since it began
  bool made_ = false;
  bool empty_ = false;   // its rings are zeros
  bool broken_ = false;  // a step of it failed
};

class CudaEncoder {
 public:
  explicit CudaEncoder(Device& device)
      : device_(device),
        pinned_(device, MemoryKind::kPinned),
        memory_(device, MemoryKind::kDevice),
        done_(device),
        stream_(device) {}

  // The next steps of n streams, as Backend::encode.
  Status run(const EncodeCall* calls, size_t n);
  uint64_t bytes() const;  // but for the streams

 private:
  // What a call uploads, and what comes back.
  struct Staging {
    EncodeJob* job = nullptr;  // of step 0 for all towers and streams, of step 1 ...
    float* input = nullptr;    // [steps][stem.columns_p], stream by stream
    float* said = nullptr;     // [steps][towers][width_p feature, outputs_p output], stream by stream
  };
  // Where a call's first step is in Staging's input and said.
  struct Place {
    int64_t input, said;
  };
  // A job. Of a step those of one tower are side by side, and where Triton runs them they are padded to whole blocks.
  struct Turn {
    size_t call;  // the number of calls: none, padding
    size_t tower;
    int64_t scratch;  // floats before its own
  };
  struct Launch {
    int64_t jobs;
    bool by_rows;  // by Triton's kernel
  };
  struct Voice {
    std::weak_ptr<const EncodeModel> model;
    std::unique_ptr<VoiceConstants> constants;
  };
  Status prepare(const EncodeCall* calls, size_t n);
  // What turns_ and launches_ say.
  void order(const EncodeCall* calls, size_t n);
  Status constants_of(const std::shared_ptr<const EncodeModel>& model, const VoiceConstants*& constants);
  void write_jobs(const EncodeCall* calls, size_t n);
  Status launch();
  void deliver(const EncodeCall* calls, size_t n) const;

  Device& device_;
  mutable std::mutex lock_;
  std::vector<Voice> voices_;
  Arena pinned_, memory_;
  Staging host_, on_device_;
  uint64_t upload_bytes_ = 0, said_bytes_ = 0;
  std::vector<Place> places_;  // of each call
  std::vector<Turn> turns_;
  std::vector<Launch> launches_;  // of each step
  float* scratch_ = nullptr;      // on the device, of a launch's jobs
  int64_t scratch_floats_ = 0;
  size_t shared_bytes_ = 0;
  Event done_;
  bool made_ = false;
  Stream stream_;  // the last member: its end waits for the work that uses the others
};

}  // namespace ts::cuda
