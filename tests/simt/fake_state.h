// SPDX-License-Identifier: Apache-2.0
// What the fake driver knows and how it works: handles, streams with their work, calls and the faults in them.
#pragma once
#include <cstring>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda/driver.h"
#include "simt/fake_cuda.h"
#include "simt/fake_cuda_kernels.h"
#include "simt/fake_memory.h"
#include "simt/fake_settings.h"

namespace fake_driver {

using namespace ts::cuda;

constexpr auto CUDA_ERROR_INVALID_VALUE = static_cast<CUresult>(1);
constexpr auto CUDA_ERROR_INVALID_DEVICE = static_cast<CUresult>(101);
constexpr auto CUDA_ERROR_INVALID_CONTEXT = static_cast<CUresult>(201);
constexpr auto CUDA_ERROR_INVALID_HANDLE = static_cast<CUresult>(400);
constexpr auto CUDA_ERROR_NOT_FOUND = static_cast<CUresult>(500);
constexpr auto CUDA_ERROR_NOT_READY = static_cast<CUresult>(600);

using Work = std::function<void()>;

struct Stream {
  int device = 0;
  std::deque<Work> waiting;
  uint64_t given = 0, done = 0;  // pieces of work
  bool records = false;
  std::thread::id recorder;
  std::vector<Work> recorded;
};
struct Event {
  int device = 0;
  std::shared_ptr<Stream> stream;  // nullptr: never recorded
  uint64_t after = 0;              // pieces of work of that stream
};
struct Graph {
  int device = 0;
  std::vector<Work> work;
};
struct Module {
  int device = 0;
};
struct Function {
  const FakeKernel* kernel = nullptr;
  size_t max_dynamic_bytes = 48 << 10;
};

struct Device {
  int references = 0;
  bool lost = false;
  std::shared_ptr<Stream> default_stream = std::make_shared<Stream>();
};

// Everything that a handle is, by its handle.
struct Fake {
  FakeSettings settings;
  Device devices[8];
  std::map<CUstream, std::shared_ptr<Stream>> streams;
  std::map<CUevent, std::shared_ptr<Event>> events;
  std::map<CUgraph, std::shared_ptr<Graph>> graphs;
  std::map<CUgraphExec, std::shared_ptr<Graph>> execs;
  std::map<CUmodule, std::shared_ptr<Module>> modules;
  std::vector<Function> functions;
  FakeMemory memory;
  FakeInterpreter interpreter = nullptr;
  int allocations = 0, ran = 0, left = 0, depth = 0;
  std::vector<const char*> called;

  Fake() {
    for (int i = 0; i < kFakeKernelCount; ++i) functions.push_back({&kFakeKernels[i]});
  }
};
inline Fake& fake() {
  static Fake* const made = new Fake;  // outlives whoever closes the last engine when the process ends
  return *made;
}
inline std::recursive_mutex lock;
// Not inline: LeakSanitizer stumbles over an inline thread_local of a library that is loaded late.
static thread_local std::vector<int> current;  // devices whose context is current, the last one on top
static thread_local int inside = 0;            // calls of this thread that are being served

template <class T>
T* handle() {
  static uintptr_t next = 0x1000;
  return reinterpret_cast<T*>(next += 16);
}

// ---- calls and their faults ----

enum class Kind {
  kFree,      // needs no context, and works on a GPU that was lost
  kOnDevice,  // needs a current context
  kGiveBack,  // likewise; does its work even if it is told to fail
};

// One call of the driver: counts it, and says whether it fails before it begins.
class Call {
 public:
  Call(const char* name, Kind kind) : held_(lock), kind_(kind) {
    ++inside;
    Fake& f = fake();
    f.called.push_back(name);
    const int number = static_cast<int>(f.called.size());
    if (f.settings.fail_at == number) fault_ = static_cast<CUresult>(f.settings.error);
    if (kind == Kind::kFree) return;
    if (current.empty()) {
      refused_ = CUDA_ERROR_INVALID_CONTEXT;
      return;
    }
    Device& device = f.devices[current.back()];
    if (f.settings.lost_at > 0 && number >= f.settings.lost_at) device.lost = true;
    if (fault_ != CUDA_SUCCESS && is_lost(fault_)) device.lost = true;
    if (device.lost) refused_ = fault_ == CUDA_SUCCESS ? CUDA_ERROR_LAUNCH_FAILED : fault_;
  }
  ~Call() { --inside; }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  // Not to be begun.
  CUresult refused() const {
    if (refused_ != CUDA_SUCCESS) return refused_;
    return kind_ == Kind::kGiveBack ? CUDA_SUCCESS : fault_;
  }
  CUresult result() const { return fault_; }  // of what was done

 private:
  const std::lock_guard<std::recursive_mutex> held_;
  const Kind kind_;
  CUresult fault_ = CUDA_SUCCESS, refused_ = CUDA_SUCCESS;
};

#define FAKE_CALL(kind)                  \
  const Call call(__func__, Kind::kind); \
  if (call.refused() != CUDA_SUCCESS) return call.refused()

// ---- work ----

// 0 and 1 are the default stream, and so is 2, of a thread.
inline std::shared_ptr<Stream> stream_of(CUstream stream) {
  const auto number = reinterpret_cast<uintptr_t>(stream);
  if (number <= 2) return fake().devices[current.back()].default_stream;
  const auto found = fake().streams.find(stream);
  return found == fake().streams.end() ? nullptr : found->second;
}

// Does the stream's work up to that many pieces.
inline void run(Stream& stream, uint64_t until) {
  Fake& f = fake();
  if (stream.done >= until) return;
  if (f.depth++ == 0) f.memory.let_in();
  while (stream.done < until) {
    const Work work = std::move(stream.waiting.front());
    stream.waiting.pop_front();
    ++stream.done;
    work();
  }
  if (--f.depth == 0) f.memory.keep_out();
}
inline void run(Stream& stream) { run(stream, stream.given); }

inline void give(Stream& stream, Work work) {
  if (stream.records) {
    stream.recorded.push_back(std::move(work));
  } else {
    stream.waiting.push_back(std::move(work));
    ++stream.given;
  }
}

// Whether this thread records a stream: then it may not wait or allocate.
inline bool recording() {
  for (const auto& [unused, stream] : fake().streams)
    if (stream->records && stream->recorder == std::this_thread::get_id()) return true;
  return false;
}

// Ends what is left of a device's; returns how many there were.
template <class Map>
size_t drop(Map& map, int device) {
  const size_t before = map.size();
  for (auto it = map.begin(); it != map.end();) it = it->second->device == device ? map.erase(it) : std::next(it);
  return before - map.size();
}

}  // namespace fake_driver
