// SPDX-License-Identifier: Apache-2.0
// CudaFrame — the memory of one frame on the GPU: posed rows, a layer for each branch of the avatar's deform program, the
// picture; and the recorded draw of this frame alone. All of it is claimed when it is made, but for a background's
// picture, which the first draw over one claims.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/buffer.h"
#include "core/status.h"
#include "cuda/arena.h"
#include "cuda/batch.h"
#include "cuda/blend.h"
#include "cuda/deform.h"
#include "cuda/model.h"
#include "cuda/picture.h"
#include "cuda/pose.h"
#include "cuda/raster.h"
#include "ops/backend.h"

namespace ts::cuda {

class CudaFrame final : public BackendFrame {
 public:
  // cpu: makes the conditions of networks, and outlives the frame. max_instances: of a layer.
  static Status make(Device& device, const Backend& cpu, std::shared_ptr<const CudaModel> model, const Canvas& canvas,
                     uint32_t max_instances, std::unique_ptr<CudaFrame>& frame);
  ~CudaFrame() override;

  uint64_t bytes() const override;
  const Extents& extents() const { return extents_; }
  Batch& own_batch() { return *own_batch_; }

  // The parts of a draw that are a frame's, in their order (Batch::draw). On the host: its jobs; the cursor moves on.
  Status write_jobs(const DrawCall& call, JobCursor& cursor);
  // Into the stream before the kernels: what they need that no job carries, after what still uses the frame.
  Status before(const DrawCall& call, const Stream& stream);
  // And after them: the picture on its way to where it is wanted.
  Status after(const DrawCall& call, const Stream& stream);
  // On the host, when the stream is done. status: [layers] of this frame.
  void deliver(const DrawCall& call, const LayerStatus* status);

  Status gaussians(const FrameControl& control, GaussianView& view);
  Status deliver_gaussians(const FrameControl& control, const GaussianDelivery& to);
  Status vertices(const FrameControl& control, const float*& position);

 private:
  struct Layer {
    LayerMemory memory;
    const DeformBranch* branch = nullptr;  // nullptr: the program has none
    int64_t first = 0;                     // Gaussian
    int dilate_px = 0;                     // 0: it is drawn with the others
    AloneMemory alone;
  };

  CudaFrame(Device& device, const Backend& cpu, std::shared_ptr<const CudaModel> model, const Canvas& canvas);
  void divide_into_layers();
  Status claim(uint32_t max_instances);
  GaussianView posed() const;  // on the device
  // A layer's Gaussians on the device, after the program. to_rgb: as seen from an eye, where the program adds to SH.
  GaussianView gaussians_of(const Layer& layer, const GaussianView& posed, bool to_rgb) const;
  Status write_pose_jobs(const FrameControl& control, const float* eye_w, JobCursor& cursor);
  Status pose(const FrameControl& control);
  Status run_deform(const FrameControl& control);
  // copy(array of a GaussianView, its rows on the device, how many of them, floats of a row), layer after layer.
  template <class Copy>
  Status each_array(const Copy& copy) const;
  // copy(where they go, the same rows on the device, bytes), without what is not wanted.
  template <class Copy>
  Status each_copy(const GaussianRows& to, const Copy& copy) const;
  Status download_gaussians(GaussianView& view);
  Status check_image(const Image& image) const;
  Status after_delivery(const DeviceDelivery& delivery, const Stream& stream);
  Status finish_use();

  Device& device_;
  const Backend& cpu_;
  const std::shared_ptr<const CudaModel> model_;
  const Canvas canvas_;
  const bool fast_;
  Arena arena_;
  PosedRows rows_;
  DeformedRows deformed_;
  PoseJoints joints_;
  std::unique_ptr<DeformFrame> deform_;
  std::vector<Layer> layers_;
  Picture picture_;
  Extents extents_;
  Event used_;               // the last point at which a stream uses the frame
  bool in_flight_ = false;   // and the host has not waited for it
  Buffer<float> host_rows_;  // what gaussians() and vertices() show
  std::unique_ptr<Batch> own_batch_;
};

}  // namespace ts::cuda
