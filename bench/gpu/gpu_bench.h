// SPDX-License-Identifier: Apache-2.0
// gpu_bench — what bench/gpu measures of a GPU from C++: its own rates, frames through the seam, and a frame's kernels one
// by one. Prints one JSON object. tests/gpu_check.py runs it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "engine/frame.h"
#include "engine/model.h"
#include "engine/renderer.h"
#include "ops/backend.h"

namespace ts_bench {

struct Options {
  std::string avatar;    // a .tsplat file
  std::string controls;  // a file of float32 [.][n_control], taken in turns; "": every input's default
  std::string voice;     // a file
  int width = 512, height = 512;
  ts::Format format = ts::Format::kRgba8;
  ts::Precision precision = ts::Precision::kFast;
  int batch = 1;                   // frames in a draw, or streams of a voice
  int repeats = 50;                // draws that are timed
  int64_t copy_bytes = 256 << 20;  // of the copy that measures bandwidth
  int hold_turns = 200000;         // of the kernel that keeps the GPU busy while the host fills its queue
};

// The frames of a draw with their pictures and the controls that they take.
class Scene {
 public:
  ts::Status make(const Options& options, const std::shared_ptr<ts::Backend>& backend);
  // Draws frames first..first+n-1, with the controls from `turn` on.
  ts::Status draw(size_t first, size_t n, size_t turn);
  // Draws all frames into the GPU's memory, and does not wait; read_stayed() does, for all that were drawn so.
  ts::Status draw_to_stay(size_t turn);
  ts::Status read_stayed(size_t i, std::vector<uint8_t>& picture);

  const ts::Model& model() const { return *model_; }
  size_t size() const { return frames_.size(); }
  const std::vector<uint8_t>& picture(size_t i) const { return pictures_[i]; }
  const ts::Receipt& receipt(size_t i) const { return receipts_[i]; }

 private:
  ts::Status read_controls(const std::string& path);
  ts::RenderJob job_of(size_t i, size_t turn);

  std::shared_ptr<const ts::Model> model_;
  std::vector<float> controls_;
  size_t n_controls_ = 0;
  std::vector<std::unique_ptr<ts::Frame>> frames_;
  std::vector<std::vector<uint8_t>> pictures_;
  std::vector<ts::Receipt> receipts_;
  std::vector<std::unique_ptr<ts::DeviceMemory>> stayed_;
};

double percentile(std::vector<double> values, double share);  // share: 0.5 is the median

// Each prints its object.
ts::Status measure_device(const Options& options);
ts::Status measure_frames(const Options& options);
ts::Status measure_kernels(const Options& options);
ts::Status measure_voice(const Options& options);

}  // namespace ts_bench
