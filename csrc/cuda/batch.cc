// SPDX-License-Identifier: Apache-2.0
#include "cuda/batch.h"

#include <algorithm>
#include <mutex>

#include "cuda/blend.h"
#include "cuda/deform.h"
#include "cuda/delivery.h"
#include "cuda/frame.h"
#include "cuda/pose.h"
#include "cuda/raster.h"

namespace ts::cuda {
namespace {

CudaFrame& frame_of(const DrawCall& call) { return static_cast<CudaFrame&>(*call.frame); }

// Jobs of nothing, which kernels leave at once; they may look at the status first.
void make_empty(const DrawJobs& jobs, const Extents& extents, LayerStatus* status) {
  std::fill_n(jobs.pose, extents.frames, PoseJob{});
  std::fill_n(jobs.deform, extents.branches, DeformJob{});
  for (int64_t i = 0; i < extents.layers; ++i) {
    jobs.project[i] = {}, jobs.sort[i] = {}, jobs.bin[i] = {}, jobs.status[i] = {};
    jobs.project[i].status = jobs.bin[i].status = status + i;
    jobs.sort[i].status = status + i;
  }
  std::fill_n(jobs.blend, extents.frames, BlendJob{});
  std::fill_n(jobs.blend_alone, extents.alone, BlendJob{});
  std::fill_n(jobs.dilate, extents.alone, DilateJob{});
}

}  // namespace

Status Batch::make(Device& device, const Extents& extents, bool recorded, std::unique_ptr<Batch>& batch) {
  std::unique_ptr<Batch> made(new Batch(device, extents));
  TS_RETURN_IF_ERROR(made->stream_.make());
  for (Side& side : made->sides_) TS_RETURN_IF_ERROR(made->claim(side));
  if (recorded) {
    for (Side& side : made->sides_) {
      const auto body = [&] {
        TS_RETURN_IF_ERROR(made->upload(side));
        return made->launch(side.device);
      };
      TS_RETURN_IF_ERROR(made->stream_.record_graph(body, side.graph));
    }
  }
  batch = std::move(made);
  return {};
}

Status Batch::claim(Side& side) {
  TS_RETURN_IF_ERROR(side.done.make());
  TS_RETURN_IF_ERROR(side.memory.make("the jobs of a draw", [&](Layout& layout) {
    side.device.place(layout, extents_);
    side.upload_bytes = layout.bytes();
  }));
  return side.pinned.make("the jobs of a draw, page-locked,", [&](Layout& layout) {
    side.host.place(layout, extents_);
    side.status = layout.take<LayerStatus>(static_cast<uint64_t>(extents_.layers));
  });
}

uint64_t Batch::bytes() const {
  uint64_t bytes = 0;
  for (const Side& side : sides_) bytes += side.pinned.bytes() + side.memory.bytes();
  return bytes;
}

Status Batch::begin(JobCursor& cursor) {
  side_ ^= 1;
  Side& side = sides_[side_];
  if (side.in_flight) TS_RETURN_IF_ERROR(side.done.wait());
  side.in_flight = false;
  make_empty(side.host, extents_, side.device.status);
  cursor = {};
  cursor.host = side.host, cursor.device = side.device;
  return {};
}

Status Batch::upload(const Side& side) const {
  return stream_.upload(reinterpret_cast<void*>(side.memory.address()),
                        reinterpret_cast<const void*>(side.pinned.address()), side.upload_bytes);
}

Status Batch::launch(const DrawJobs& jobs) const {
  TS_RETURN_IF_ERROR(launch_pose(stream_, extents_, jobs));
  TS_RETURN_IF_ERROR(launch_deform(stream_, extents_, jobs));
  TS_RETURN_IF_ERROR(launch_raster(stream_, extents_, jobs));
  return launch_blend(stream_, extents_, jobs);
}

Status Batch::finish() {
  const Status finished = stream_.finish();
  for (Side& side : sides_) side.in_flight = false;
  return finished;
}

Status Batch::leave() {
  Side& side = sides_[side_];
  TS_RETURN_IF_ERROR(stream_.record(side.done));
  side.in_flight = true;
  return {};
}

Status Batch::download_status() const {
  const Side& side = sides_[side_];
  return stream_.download(side.status, side.device.status,
                          static_cast<uint64_t>(extents_.layers) * sizeof(LayerStatus));
}

Status Batch::draw(const DrawCall* const* calls, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (calls[i]->on_device) TS_RETURN_IF_ERROR(check_callers_stream(device_, calls[i]->on_device->stream));
  JobCursor cursor;
  TS_RETURN_IF_ERROR(begin(cursor));
  for (size_t i = 0; i < n; ++i) TS_RETURN_IF_ERROR(frame_of(*calls[i]).write_jobs(*calls[i], cursor));
  Side& side = sides_[side_];
  Status status;
  {
    const std::lock_guard<std::mutex> turn(device_.turn());
    status = enqueue(calls, n);
  }
  if (!status.ok()) {
    static_cast<void>(finish());  // the caller's memory is the caller's again
    return status;
  }
  if (std::all_of(calls, calls + n, [](const DrawCall* call) { return call->on_device; })) return {};
  TS_RETURN_IF_ERROR(side.done.wait());
  side.in_flight = false;
  const LayerStatus* of_layers = side.status;
  for (size_t i = 0; i < n; ++i) {
    CudaFrame& frame = frame_of(*calls[i]);
    frame.deliver(*calls[i], of_layers);
    of_layers += frame.extents().layers;
  }
  return {};
}

Status Batch::enqueue(const DrawCall* const* calls, size_t n) {
  Side& side = sides_[side_];
  for (size_t i = 0; i < n; ++i) TS_RETURN_IF_ERROR(frame_of(*calls[i]).before(*calls[i], stream_));
  TS_RETURN_IF_ERROR(stream_.launch(side.graph));
  TS_RETURN_IF_ERROR(download_status());
  for (size_t i = 0; i < n; ++i) TS_RETURN_IF_ERROR(frame_of(*calls[i]).after(*calls[i], stream_));
  return leave();
}

}  // namespace ts::cuda
