// SPDX-License-Identifier: Apache-2.0
// Batch — the draw of up to so many frames at once, recorded as a graph: one upload of their jobs, then every kernel once
// for all of them. It has a stream of its own, and two of everything that a draw writes on the host, in turns: the host
// writes the next draw's jobs while the GPU may still read the last one's.
// Threads  one at a time; the context is current in every call
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/status.h"
#include "cuda/arena.h"
#include "cuda/jobs.h"
#include "cuda/stream.h"
#include "ops/backend.h"

namespace ts::cuda {

class Batch {
 public:
  // extents: of the largest draw. recorded: as graphs, for draw(); else for work that is no draw of frames, below.
  static Status make(Device& device, const Extents& extents, bool recorded, std::unique_ptr<Batch>& batch);

  const Extents& extents() const { return extents_; }
  uint64_t bytes() const;

  // Draws n frames of this batch's precision whose extents together are within its own.
  Status draw(const DrawCall* const* calls, size_t n);

  // Other work: write(JobCursor&) writes its jobs among empty ones, and they are uploaded; then kernels are launched on
  // jobs(), in stream(), and finish() waits for them.
  template <class Write>
  Status prepare(const Write& write) {
    JobCursor cursor;
    TS_RETURN_IF_ERROR(begin(cursor));
    TS_RETURN_IF_ERROR(write(cursor));
    return upload(sides_[side_]);
  }
  const DrawJobs& jobs() const { return sides_[side_].device; }
  const Stream& stream() const { return stream_; }
  Status download_status() const;
  Status finish();
  Status leave();  // finish() without waiting: who prepares next does, if it is too soon
  const LayerStatus* status() const { return sides_[side_].status; }  // [layers], downloaded and finished

 private:
  // What the host writes and the GPU reads.
  struct Side {
    explicit Side(const Device& device)
        : pinned(device, MemoryKind::kPinned), memory(device, MemoryKind::kDevice), graph(device), done(device) {}
    Arena pinned, memory;
    DrawJobs host, device;
    uint64_t upload_bytes = 0;
    LayerStatus* status = nullptr;  // on the host, as the kernels left it
    Graph graph;
    Event done;
    bool in_flight = false;
  };

  Batch(Device& device, const Extents& extents)
      : device_(device), extents_(extents), sides_{Side(device), Side(device)}, stream_(device) {}
  Status claim(Side& side);
  // Waits until the other side is free, makes its jobs empty, and takes it.
  Status begin(JobCursor& cursor);
  Status upload(const Side& side) const;
  Status launch(const DrawJobs& jobs) const;
  Status enqueue(const DrawCall* const* calls, size_t n);

  Device& device_;
  const Extents extents_;
  Side sides_[2];
  int side_ = 0;
  Stream stream_;  // the last member: its end waits for the work that uses the others
};

}  // namespace ts::cuda
