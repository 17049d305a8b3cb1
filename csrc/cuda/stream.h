// SPDX-License-Identifier: Apache-2.0
// Stream, Event, Graph — work in order on a device, points in it, and a piece of it that was recorded. The context is
// current in every call but those that end them.
#pragma once
#include <cstdint>

#include "core/status.h"
#include "cuda/device.h"

namespace ts::cuda {

// A point in a stream that the host or another stream can wait for. Waiting sleeps.
class Event {
 public:
  explicit Event(const Device& device) : device_(device) {}
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  Status make();
  CUevent get() const { return event_; }
  Status wait() const;

 private:
  const Device& device_;
  CUevent event_ = nullptr;
};

// Kernels and copies, recorded once and launched as a whole.
class Graph {
 public:
  explicit Graph(const Device& device) : device_(device) {}
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  bool made() const { return exec_ != nullptr; }

 private:
  friend class Stream;
  const Device& device_;
  CUgraphExec exec_ = nullptr;
};

class Stream {
 public:
  explicit Stream(const Device& device) : device_(device) {}
  ~Stream();  // waits for its work
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Status make();
  CUstream get() const { return stream_; }
  const Device& device() const { return device_; }

  // threads: of a block. A grid of nothing launches nothing.
  template <class Args>
  Status launch(const Kernel<Args>& kernel, int64_t grid_x, int64_t grid_y, int threads, const Args& args,
                int64_t dynamic_bytes = 0) const {
    void* parameters[] = {const_cast<Args*>(&args)};
    return launch(kernel.function, kernel.name, grid_x, grid_y, threads, dynamic_bytes, parameters);
  }
  // The same for one of kernels/triton.
  Status launch(const TritonKernel& kernel, int64_t grid_x, int64_t grid_y, const void* jobs) const;
  // The host's memory must stay as it is until the copy is done, unless it is pageable: then it may change at once.
  Status upload(void* to, const void* from, uint64_t bytes) const;
  Status download(void* to, const void* from, uint64_t bytes) const;
  Status copy(void* to, const void* from, uint64_t bytes) const;  // within the device's memory
  Status clear(void* to, uint64_t bytes) const;                   // zeros
  Status wait_for(CUevent event) const;                           // in the stream's order, not on the host
  Status record(const Event& event) const { return record(event.get()); }
  Status record(CUevent event) const;
  Status finish() const;  // waits on the host

  // Runs body(), which puts its work into this stream, but records it instead.
  template <class Body>
  Status record_graph(const Body& body, Graph& graph) const {
    TS_RETURN_IF_ERROR(begin_graph());
    const Status recorded = body();
    const Status ended = end_graph(graph, recorded.ok());
    return recorded.ok() ? ended : recorded;
  }
  Status launch(const Graph& graph) const;

 private:
  Status launch(CUfunction function, const char* name, int64_t grid_x, int64_t grid_y, int threads,
                int64_t dynamic_bytes, void** parameters) const;
  Status begin_graph() const;
  Status end_graph(Graph& graph, bool instantiate) const;

  const Device& device_;
  CUstream stream_ = nullptr;
};

}  // namespace ts::cuda
