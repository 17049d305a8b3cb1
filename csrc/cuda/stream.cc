// SPDX-License-Identifier: Apache-2.0
#include "cuda/stream.h"

#include <string>

namespace ts::cuda {
namespace {

CUdeviceptr address_of(const void* memory) { return reinterpret_cast<CUdeviceptr>(memory); }

}  // namespace

Event::~Event() {
  if (!event_ || device_.forked()) return;
  const Current current(device_);
  device_.driver().cuEventDestroy_v2(event_);
}

Status Event::make() {
  return device_.check(device_.driver().cuEventCreate(&event_, CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING),
                       "make an event");
}

Status Event::wait() const { return device_.check(device_.driver().cuEventSynchronize(event_), "finish its work"); }

Graph::~Graph() {
  if (!exec_ || device_.forked()) return;
  const Current current(device_);
  device_.driver().cuGraphExecDestroy(exec_);
}

Stream::~Stream() {
  if (!stream_ || device_.forked()) return;
  const Current current(device_);
  device_.driver().cuStreamSynchronize(stream_);
  device_.driver().cuStreamDestroy_v2(stream_);
}

Status Stream::make() {
  return device_.check(device_.driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "make a stream");
}

Status Stream::launch(CUfunction function, const char* name, int64_t grid_x, int64_t grid_y, int threads,
                      int64_t dynamic_bytes, void** parameters) const {
  if (grid_x <= 0 || grid_y <= 0) return {};
  const CUresult result = device_.driver().cuLaunchKernel(
      function, static_cast<unsigned>(grid_x), static_cast<unsigned>(grid_y), 1, static_cast<unsigned>(threads), 1, 1,
      static_cast<unsigned>(dynamic_bytes), stream_, parameters, nullptr);
  if (result == CUDA_SUCCESS) return {};
  return device_.check(result, ("run " + std::string(name)).c_str());
}

Status Stream::launch(const TritonKernel& kernel, int64_t grid_x, int64_t grid_y, const void* jobs) const {
  // Triton adds two addresses to its kernels' parameters, of scratch memory and of a profiler; these use neither.
  void *scratch = nullptr, *profile = nullptr;
  void* parameters[] = {&jobs, &scratch, &profile};
  const TritonCubin& cubin = *kernel.choice.cubin;
  return launch(kernel.function, cubin.name, grid_x, grid_y, cubin.threads, cubin.shared_bytes, parameters);
}

Status Stream::upload(void* to, const void* from, uint64_t bytes) const {
  if (bytes == 0) return {};
  return device_.check(device_.driver().cuMemcpyHtoDAsync_v2(address_of(to), from, bytes, stream_), "copy to the GPU");
}

Status Stream::download(void* to, const void* from, uint64_t bytes) const {
  if (bytes == 0) return {};
  return device_.check(device_.driver().cuMemcpyDtoHAsync_v2(to, address_of(from), bytes, stream_),
                       "copy from the GPU");
}

Status Stream::copy(void* to, const void* from, uint64_t bytes) const {
  if (bytes == 0) return {};
  return device_.check(device_.driver().cuMemcpyDtoDAsync_v2(address_of(to), address_of(from), bytes, stream_),
                       "copy within the GPU");
}

Status Stream::clear(void* to, uint64_t bytes) const {
  if (bytes == 0) return {};
  return device_.check(device_.driver().cuMemsetD8Async(address_of(to), 0, bytes, stream_), "clear memory");
}

Status Stream::wait_for(CUevent event) const {
  return device_.check(device_.driver().cuStreamWaitEvent(stream_, event, 0), "wait for another stream");
}

Status Stream::record(CUevent event) const {
  return device_.check(device_.driver().cuEventRecord(event, stream_), "record an event");
}

Status Stream::finish() const {
  return device_.check(device_.driver().cuStreamSynchronize(stream_), "finish its work");
}

Status Stream::begin_graph() const {
  // Of this thread alone: others may allocate meanwhile.
  return device_.check(device_.driver().cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                       "record a frame");
}

Status Stream::end_graph(Graph& graph, bool instantiate) const {
  const Driver& driver = device_.driver();
  CUgraph recorded = nullptr;
  TS_RETURN_IF_ERROR(device_.check(driver.cuStreamEndCapture(stream_, &recorded), "record a frame"));
  CUresult result = CUDA_SUCCESS;
  if (instantiate) result = driver.cuGraphInstantiateWithFlags(&graph.exec_, recorded, 0);
  driver.cuGraphDestroy(recorded);
  return device_.check(result, "make a graph of a frame");
}

Status Stream::launch(const Graph& graph) const {
  return device_.check(device_.driver().cuGraphLaunch(graph.exec_, stream_), "run a frame");
}

}  // namespace ts::cuda
