// SPDX-License-Identifier: Apache-2.0
#include "simt/fake_cuda.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "simt/fake_state.h"
#include "simt/machine.h"

using namespace fake_driver;

#define API extern "C" __attribute__((visibility("default")))

API void fake_cuda_reset() {
  const std::lock_guard<std::recursive_mutex> held(lock);
  Fake& f = fake();
  f.settings = FakeSettings::read();
  f.allocations = f.ran = f.left = 0;
  f.called.clear();
}
static const bool settings_are_read = (fake_cuda_reset(), true);

API int fake_cuda_inside() { return inside; }
API int fake_cuda_calls() { return static_cast<int>(fake().called.size()); }
API int fake_cuda_calls_of(const char* name) {
  const std::vector<const char*>& names = fake().called;
  return static_cast<int>(
      std::count_if(names.begin(), names.end(), [&](const char* called) { return std::strcmp(called, name) == 0; }));
}
API int fake_cuda_allocations() { return fake().allocations; }
API int fake_cuda_left() {
  const std::lock_guard<std::recursive_mutex> held(lock);
  int left = fake().left;
  for (const Device& device : fake().devices) left += device.references;
  return left;
}
API const char* fake_cuda_call(int i) {
  const std::vector<const char*>& names = fake().called;
  return i >= 1 && static_cast<size_t>(i) <= names.size() ? names[static_cast<size_t>(i) - 1] : nullptr;
}
API void fake_cuda_interpret(FakeInterpreter interpreter) { fake().interpreter = interpreter; }
API int fake_cuda_ran() { return fake().ran; }

// ---- the driver ----

API CUresult cuInit(unsigned) {
  FAKE_CALL(kFree);
  return fake().settings.devices > 0 ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}
API CUresult cuDriverGetVersion(int* version) {
  FAKE_CALL(kFree);
  *version = fake().settings.version;
  return CUDA_SUCCESS;
}
API CUresult cuGetErrorName(CUresult result, const char** name) {
  static const std::map<int, const char*> names = {{1, "CUDA_ERROR_INVALID_VALUE"},
                                                   {2, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                   {100, "CUDA_ERROR_NO_DEVICE"},
                                                   {201, "CUDA_ERROR_INVALID_CONTEXT"},
                                                   {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
                                                   {400, "CUDA_ERROR_INVALID_HANDLE"},
                                                   {500, "CUDA_ERROR_NOT_FOUND"},
                                                   {719, "CUDA_ERROR_LAUNCH_FAILED"},
                                                   {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
                                                   {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
                                                   {999, "CUDA_ERROR_UNKNOWN"}};
  const auto found = names.find(result);
  *name = found == names.end() ? nullptr : found->second;
  return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
API CUresult cuGetErrorString(CUresult, const char** text) {
  *text = "a fault of the fake driver";
  return CUDA_SUCCESS;
}
API CUresult cuDeviceGetCount(int* n) {
  FAKE_CALL(kFree);
  *n = fake().settings.devices;
  return CUDA_SUCCESS;
}
API CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  FAKE_CALL(kFree);
  *device = ordinal;
  return ordinal >= 0 && ordinal < fake().settings.devices ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
API CUresult cuDeviceGetName(char* name, int size, CUdevice) {
  FAKE_CALL(kFree);
  std::strncpy(name, "Fake GPU", static_cast<size_t>(size));
  return CUDA_SUCCESS;
}
API CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  FAKE_CALL(kFree);
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
      *value = 2;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      *value = fake().settings.capability / 10;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
      *value = fake().settings.capability % 10;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK:
      *value = 0;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
      *value = 64 << 10;
      return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}
API CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice) {
  FAKE_CALL(kFree);
  *bytes = fake().settings.memory;
  return CUDA_SUCCESS;
}
API CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  FAKE_CALL(kFree);
  ++fake().devices[device].references;
  *context = reinterpret_cast<CUcontext>(static_cast<uintptr_t>(device) + 1);
  return CUDA_SUCCESS;
}
// What is still there goes with the last context, and so does the loss.
API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  const Call call(__func__, Kind::kFree);
  Fake& f = fake();
  Device& released = f.devices[device];
  if (--released.references > 0) return call.result();
  // Work that is not done any more: what waits for another stream holds it, and that one perhaps this.
  released.default_stream->waiting.clear();
  for (const auto& [unused, stream] : f.streams)
    if (stream->device == device) stream->waiting.clear();
  size_t left = f.memory.blocks(device);
  left += drop(f.streams, device) + drop(f.events, device) + drop(f.graphs, device) + drop(f.execs, device) +
          drop(f.modules, device);
  if (!released.lost) f.left += static_cast<int>(left);
  f.memory.free_all(device);
  released.lost = false;
  released.default_stream = std::make_shared<Stream>();
  return call.result();
}
API CUresult cuCtxPushCurrent_v2(CUcontext context) {
  FAKE_CALL(kFree);
  current.push_back(static_cast<int>(reinterpret_cast<uintptr_t>(context) - 1));
  return CUDA_SUCCESS;
}
API CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  const Call call(__func__, Kind::kFree);
  if (current.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  *context = reinterpret_cast<CUcontext>(static_cast<uintptr_t>(current.back()) + 1);
  current.pop_back();
  return call.result();
}

// Any image will do: the kernels are here.
API CUresult cuModuleLoadData(CUmodule* module, const void*) {
  FAKE_CALL(kOnDevice);
  *module = handle<CUmod_st>();
  fake().modules[*module] = std::make_shared<Module>(Module{current.back()});
  return CUDA_SUCCESS;
}
API CUresult cuModuleUnload(CUmodule module) {
  FAKE_CALL(kGiveBack);
  return fake().modules.erase(module) ? call.result() : CUDA_ERROR_INVALID_HANDLE;
}
API CUresult cuModuleGetFunction(CUfunction* function, CUmodule, const char* name) {
  FAKE_CALL(kOnDevice);
  for (Function& f : fake().functions) {
    if (std::strcmp(f.kernel->name, name) != 0) continue;
    *function = reinterpret_cast<CUfunction>(&f);
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}
API CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute, int value) {
  FAKE_CALL(kOnDevice);
  if (value > 64 << 10) return CUDA_ERROR_INVALID_VALUE;
  reinterpret_cast<Function*>(function)->max_dynamic_bytes = static_cast<size_t>(value);
  return CUDA_SUCCESS;
}

API CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* bytes) {
  FAKE_CALL(kOnDevice);
  *bytes = fake().settings.memory;
  *free_bytes = *bytes - fake().memory.device_bytes(current.back());
  return CUDA_SUCCESS;
}
static bool out_of_memory(size_t bytes) {
  Fake& f = fake();
  return ++f.allocations == f.settings.out_of_memory_at ||
         f.memory.device_bytes(current.back()) + bytes > f.settings.memory;
}
API CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  FAKE_CALL(kOnDevice);
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (recording()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (out_of_memory(bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  *address = reinterpret_cast<CUdeviceptr>(fake().memory.allocate_device(current.back(), bytes));
  return CUDA_SUCCESS;
}
// At once: work that still uses it is caught in the act.
API CUresult cuMemFree_v2(CUdeviceptr address) {
  FAKE_CALL(kGiveBack);
  return fake().memory.free(reinterpret_cast<void*>(address)) ? call.result() : CUDA_ERROR_INVALID_VALUE;
}
API CUresult cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
  FAKE_CALL(kOnDevice);
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (recording()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (out_of_memory(0)) return CUDA_ERROR_OUT_OF_MEMORY;
  *memory = fake().memory.allocate_pinned(current.back(), bytes);
  return CUDA_SUCCESS;
}
API CUresult cuMemFreeHost(void* memory) {
  FAKE_CALL(kGiveBack);
  return fake().memory.free(memory) ? call.result() : CUDA_ERROR_INVALID_VALUE;
}

// Pageable memory is read now and pinned memory when the copy's turn has come.
API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  void* device = reinterpret_cast<void*>(to);
  if (!s || !fake().memory.holds_device(device, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (fake().memory.holds_pinned(from, bytes)) {
    give(*s, [=] { std::memcpy(device, from, bytes); });
  } else {
    if (s->records) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    const auto* first = static_cast<const char*>(from);
    const auto copy = std::make_shared<std::vector<char>>(first, first + bytes);
    give(*s, [=] { std::memcpy(device, copy->data(), bytes); });
  }
  return CUDA_SUCCESS;
}
API CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  void* device = reinterpret_cast<void*>(to);
  if (!s || !fake().memory.holds_device(device, bytes)) return CUDA_ERROR_INVALID_VALUE;
  give(*s, [=] { std::memset(device, value, bytes); });
  return CUDA_SUCCESS;
}
API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  void* target = reinterpret_cast<void*>(to);
  const void* source = reinterpret_cast<const void*>(from);
  const FakeMemory& memory = fake().memory;
  if (!s || !memory.holds_device(target, bytes) || !memory.holds_device(source, bytes)) return CUDA_ERROR_INVALID_VALUE;
  give(*s, [=] { std::memcpy(target, source, bytes); });
  return CUDA_SUCCESS;
}
API CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  const void* device = reinterpret_cast<const void*>(from);
  if (!s || !fake().memory.holds_device(device, bytes)) return CUDA_ERROR_INVALID_VALUE;
  const bool pinned = fake().memory.holds_pinned(to, bytes);
  if (!pinned && s->records) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  give(*s, [=] { std::memcpy(to, device, bytes); });
  if (!pinned) run(*s);
  return CUDA_SUCCESS;
}

API CUresult cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  FAKE_CALL(kOnDevice);
  const void* memory = reinterpret_cast<const void*>(address);
  const int device = fake().memory.device_of(memory);
  if (device < 0) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      *static_cast<int*>(value) = device;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *static_cast<unsigned*>(value) = fake().memory.holds_device(memory, 1) ? CU_MEMORYTYPE_DEVICE : 1;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      *static_cast<CUdeviceptr*>(value) = address;
      return device == current.back() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuStreamCreate(CUstream* stream, unsigned) {
  FAKE_CALL(kOnDevice);
  *stream = handle<CUstream_st>();
  const auto made = std::make_shared<Stream>();
  made->device = current.back();
  fake().streams[*stream] = made;
  return CUDA_SUCCESS;
}
API CUresult cuStreamDestroy_v2(CUstream stream) {
  FAKE_CALL(kGiveBack);
  const auto found = fake().streams.find(stream);
  if (found == fake().streams.end()) return CUDA_ERROR_INVALID_HANDLE;
  run(*found->second);
  fake().streams.erase(found);
  return call.result();
}
API CUresult cuStreamSynchronize(CUstream stream) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (s->records) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  run(*s);
  return CUDA_SUCCESS;
}
// Asked for before something is given back.
API CUresult cuCtxSynchronize() {
  FAKE_CALL(kGiveBack);
  if (recording()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  run(*fake().devices[current.back()].default_stream);
  for (const auto& [unused, stream] : fake().streams)
    if (stream->device == current.back()) run(*stream);
  return call.result();
}
API CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  const auto found = fake().events.find(event);
  if (!s || found == fake().events.end()) return CUDA_ERROR_INVALID_HANDLE;
  if (s->records) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  const Event waited = *found->second;
  if (waited.stream) give(*s, [=] { run(*waited.stream, waited.after); });
  return CUDA_SUCCESS;
}
API CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  if (!s || !stream || s->records) return CUDA_ERROR_INVALID_VALUE;
  s->records = true;
  s->recorder = std::this_thread::get_id();
  s->recorded.clear();
  return CUDA_SUCCESS;
}
API CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  *status = static_cast<CUstreamCaptureStatus>(s->records);
  return CUDA_SUCCESS;
}
API CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  const Call call(__func__, Kind::kOnDevice);
  const auto s = stream_of(stream);
  if (s) s->records = false;
  if (call.refused() != CUDA_SUCCESS) return call.refused();
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  *graph = handle<CUgraph_st>();
  fake().graphs[*graph] = std::make_shared<Graph>(Graph{s->device, std::move(s->recorded)});
  return CUDA_SUCCESS;
}

API CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long) {
  FAKE_CALL(kOnDevice);
  const auto found = fake().graphs.find(graph);
  if (found == fake().graphs.end()) return CUDA_ERROR_INVALID_VALUE;
  *exec = handle<CUgraphExec_st>();
  fake().execs[*exec] = found->second;
  return CUDA_SUCCESS;
}
API CUresult cuGraphDestroy(CUgraph graph) {
  FAKE_CALL(kGiveBack);
  return fake().graphs.erase(graph) ? call.result() : CUDA_ERROR_INVALID_VALUE;
}
API CUresult cuGraphExecDestroy(CUgraphExec exec) {
  FAKE_CALL(kGiveBack);
  return fake().execs.erase(exec) ? call.result() : CUDA_ERROR_INVALID_VALUE;
}
API CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  const auto found = fake().execs.find(exec);
  if (!s || found == fake().execs.end()) return CUDA_ERROR_INVALID_VALUE;
  if (s->records) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  for (const Work& work : found->second->work) give(*s, work);
  return CUDA_SUCCESS;
}

API CUresult cuEventCreate(CUevent* event, unsigned) {
  FAKE_CALL(kOnDevice);
  *event = handle<CUevent_st>();
  const auto made = std::make_shared<Event>();
  made->device = current.back();
  fake().events[*event] = made;
  return CUDA_SUCCESS;
}
API CUresult cuEventDestroy_v2(CUevent event) {
  FAKE_CALL(kGiveBack);
  return fake().events.erase(event) ? call.result() : CUDA_ERROR_INVALID_HANDLE;
}
// Of a stream that records a driver would take the event into the graph; here nobody may want that.
API CUresult cuEventRecord(CUevent event, CUstream stream) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  const auto found = fake().events.find(event);
  if (!s || found == fake().events.end() || (stream && s->device != found->second->device))
    return CUDA_ERROR_INVALID_HANDLE;
  if (s->records) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  found->second->stream = s, found->second->after = s->given;
  return CUDA_SUCCESS;
}
API CUresult cuEventSynchronize(CUevent event) {
  FAKE_CALL(kOnDevice);
  const auto found = fake().events.find(event);
  if (found == fake().events.end()) return CUDA_ERROR_INVALID_HANDLE;
  if (recording()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  const Event waited = *found->second;
  if (waited.stream) run(*waited.stream, waited.after);
  return CUDA_SUCCESS;
}

// For benches, which want to see numbers: a microsecond for each piece of work between the two.
API CUresult cuEventElapsedTime(float* ms, CUevent begin, CUevent end) {
  FAKE_CALL(kOnDevice);
  const auto from = fake().events.find(begin), to = fake().events.find(end);
  if (from == fake().events.end() || to == fake().events.end()) return CUDA_ERROR_INVALID_HANDLE;
  for (const Event& event : {*from->second, *to->second}) {
    if (!event.stream) return CUDA_ERROR_INVALID_HANDLE;
    if (event.stream->done < event.after) return CUDA_ERROR_NOT_READY;
  }
  *ms = 1e-3f * static_cast<float>(static_cast<int64_t>(to->second->after - from->second->after));
  return CUDA_SUCCESS;
}

// The argument is copied now, as the driver does.
API CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                            unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream,
                            void** parameters, void**) {
  FAKE_CALL(kOnDevice);
  const auto s = stream_of(stream);
  auto* f = reinterpret_cast<Function*>(function);
  const uint64_t threads = uint64_t{block_x} * block_y * block_z;
  if (!s || !f) return CUDA_ERROR_INVALID_HANDLE;
  if (threads == 0 || threads > 1024 || grid_x == 0 || grid_x > 0x7fffffffu || grid_y == 0 || grid_y > 0xffffu ||
      grid_z == 0 || grid_z > 0xffffu || shared_bytes > f->max_dynamic_bytes)
    return CUDA_ERROR_INVALID_VALUE;
  const FakeKernel& kernel = *f->kernel;
  const auto* first = static_cast<const char*>(parameters[0]);
  for (int i = 1; i <= kernel.hidden; ++i)
    if (*static_cast<void**>(parameters[i])) return CUDA_ERROR_INVALID_VALUE;
  const auto argument = std::make_shared<std::vector<char>>(first, first + kernel.argument_bytes);
  simt::Options options;
  options.max_dynamic_bytes = f->max_dynamic_bytes;
  give(*s, [=]() mutable {
    ++fake().ran;
    options.order = static_cast<simt::Order>(fake().settings.order);
    if (!fake().settings.kernels) return;
    if (kernel.hidden > 0 && fake().interpreter) {
      const void* jobs = *reinterpret_cast<const void* const*>(argument->data());
      fake().interpreter(kernel.name, jobs, grid_x, grid_y);
      return;
    }
    simt::launch(kernel.name, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, options,
                 [&] { kernel.run(argument->data()); });
  });
  return CUDA_SUCCESS;
}
