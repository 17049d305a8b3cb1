// SPDX-License-Identifier: Apache-2.0
// Backend — a device that holds models and draws frames: the seam between the engine and what is built for one device.
//
// It stands at the frame, not at the op: the CPU projects and bins in one go, a GPU records a frame's kernels once and
// replays them. So a backend is told what is constant (a model), what fixes the size of everything (a canvas), and then
// per frame a control, a camera and where the picture goes.
// Threads  a Backend and its models may be used from several threads; a BackendFrame or EncodeStream by one at a time
// Lives    whoever makes a BackendModel, BackendFrame or EncodeStream keeps the Backend, and the memory that a ModelView points to
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "ops/deform.h"
#include "ops/encode.h"
#include "ops/gaussians.h"
#include "ops/pose.h"
#include "ops/rasterize.h"

namespace ts {

// What is constant about an avatar.
struct ModelView {
  PoseMesh mesh;
  PoseSkeleton skeleton;
  PoseBinding binding;     // local: the Gaussians' mean, quaternion and scale at rest
  GaussianView gaussians;  // n, opacity and colour; mean, quat and scale are made by pose
  const DeformProgram* program = nullptr;
  int64_t n_control = 0;  // floats of a control
};

// What fixes the capacities of a frame.
struct Canvas {
  int width = 0, height = 0;  // pixels
  Format format = Format::kRgba8;
  Precision precision = Precision::kReference;
  bool alpha = false, depth = false;  // planes that may be asked for
};

// One frame's input.
struct FrameControl {
  const float* vector = nullptr;  // [n] the control, as the deform program reads it
  int64_t n = 0;
  PoseControl pose;  // the same, added up by what it moves in the rig
};

// Of what stays in the device's memory: how the device's other work is ordered around it. Handles are the
// device's own, a CUstream and a CUevent of its primary context.
struct DeviceDelivery {
  // The memory is written when this stream has done what it has to do by now, and what comes into it later waits for
  // that. nullptr: the device's default stream.
  void* stream = nullptr;
  void* event = nullptr;  // Nullable: recorded when it is written
};

// Where a device's own memory takes Gaussians, and how its other work is ordered around them.
struct GaussianDelivery {
  GaussianRows rows;  // rows as in the model; arrays that are nullptr are left out
  DeviceDelivery how;
};

class BackendModel {
 public:
  virtual ~BackendModel() = default;
  virtual uint64_t bytes() const = 0;  // beside what its ModelView points to
};

// The memory of one frame: posed mesh, posed and deformed Gaussians.
class BackendFrame {
 public:
  virtual ~BackendFrame() = default;
  virtual uint64_t bytes() const = 0;
};

// A frame to be drawn. The image is of the frame's canvas; stages are added to the receipt.
struct DrawCall {
  BackendFrame* frame = nullptr;
  FrameControl control;
  Camera camera{};
  Background background;
  float dilation = kDilation;  // px^2
  Image image;
  Receipt* receipt = nullptr;  // never nullptr in a call
  // Nullable: the image is in the host's memory, and is there when draw() returns. Else it is in the device's, draw()
  // does not wait for it, and the receipt counts nothing.
  const DeviceDelivery* on_device = nullptr;
};

// Memory of a device, for pictures and Gaussians that stay there. It may be used from several threads, and ends before its
// backend: then everything that the device was given so far is done.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  virtual int ordinal() const = 0;  // of its device among those of its kind
  virtual void* address() const = 0;
  virtual void* event() const = 0;  // for a DeviceDelivery
  // What comes into this stream later waits for what was last delivered with the event.
  virtual Status hold_back(void* stream) const = 0;
  // Waits for it on the host, and copies.
  virtual Status read(uint64_t offset, void* to, uint64_t bytes) const = 0;
};

// Its words live as long as the backend.
struct BackendInfo {
  const char* device = nullptr;  // "cpu", "cuda:0"
  const char* isa = nullptr;     // instruction set of its kernels: "avx2", "sm_75"
  int threads = 0;               // CPU threads that work on a frame
  uint64_t scratch_bytes = 0;    // high-water mark of the memory that its frames, and its streams, share on its device
  const char* name = nullptr;    // of a GPU, as its maker calls it; Nullable
  const char* note = nullptr;    // why the CPU draws where a GPU was to; Nullable
};

// 1e9 floating-point operations per second.
struct Peak {
  double fp32 = 0;
  double bf16 = 0;  // of matrix products in bfloat16, on a GPU in halves; 0: they are not used here
};

class Backend {
 public:
  Backend();
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  // In a child of fork() there is the memory, but none of the threads, and locks are as they were at that moment: then
  // nothing but this and info() may be called, and it must not be destroyed.
  bool forked() const;
  virtual BackendInfo info() const = 0;

  virtual Status load(const ModelView& view, std::shared_ptr<const BackendModel>& model) = 0;
  virtual Status make_frame(std::shared_ptr<const BackendModel> model, const Canvas& canvas,
                            std::unique_ptr<BackendFrame>& frame) = 0;

  // How many frames one draw takes at once at best: who has so many that are due gives them together. 1: each is sooner
  // done than several together, as on a CPU, whose threads share a frame. It may change when a device fails.
  virtual size_t batch() const { return 1; }
  // Draws n frames, no two of them the same, whatever their models and canvases.
  virtual Status draw(const DrawCall* calls, size_t n) = 0;
  // Poses and deforms, and shows the Gaussians, rows as in the model; valid until the frame's next call.
  virtual Status gaussians(BackendFrame& frame, const FrameControl& control, GaussianView& view) = 0;
  // Poses and deforms, and leaves the Gaussians in the device's memory; does not wait for it.
  virtual Status deliver_gaussians(BackendFrame& frame, const FrameControl& control, const GaussianDelivery& to);
  // Poses, and shows the vertices, [slots,4] x y z 0; valid until the frame's next call.
  virtual Status vertices(BackendFrame& frame, const FrameControl& control, const float*& position) = 0;
  // kInvalidArgument where pictures are drawn in the host's memory.
  virtual Status make_memory(uint64_t bytes, std::unique_ptr<DeviceMemory>& memory);
  // What its threads can multiply together at most, from registers alone; takes a twentieth of a second.
  virtual Peak measure_peak() = 0;
  // Gaussians without a model. Adds its stages to the receipt.
  virtual Status rasterize(const RasterizeArgs& args, Receipt& receipt) = 0;

  // The vectors that a deform program reads of a control. value: [n_floats + n_scratch]; all values are written. It is a
  // CPU's work on every device, on the calling thread: a few million products in layers that wait for each other.
  virtual void condition(const ConditionProgram& program, const float* control, float* value) const = 0;

  // Memory of a GPU is claimed with the first step that is run.
  virtual std::unique_ptr<EncodeStream> make_encode_stream(std::shared_ptr<const EncodeModel> model) = 0;
  // Runs the next steps of n streams of any voices, no two of them the same, and waits for them; what a stream says does
  // not depend on the others. On failure nothing is known of what they remember: they have to be reset.
  virtual Status encode(const EncodeCall* calls, size_t n) = 0;

 private:
  const unsigned forks_;  // fork_count() when it was made
};

// That a picture, or what else, cannot stay on a device that draws in the host's memory.
Status no_device_memory(const char* what);

struct BackendParams {
  const char* device = nullptr;  // "auto", "cpu", "cuda" or "cuda:N"; Nullable: auto
  int threads = 0;               // of the CPU; 0: one per CPU that this process may run on
  const char* isa = nullptr;     // Nullable: TALKSPLAT_ISA if set, else the widest that the CPU has
};

// Opens a device of this build and machine (csrc/backends.cc, which alone knows them all). kDeviceError
// for a word that names none, and for one that cannot be used, says what there is. "auto" is a GPU, with the CPU from its first
// failure on, or the CPU where none can be used. why_cpu: then the reason; Nullable. In a child of fork() the backend's
// last owner leaves its memory to the end of the process.
Status open_backend(const BackendParams& params, std::shared_ptr<Backend>& backend, std::string* why_cpu = nullptr);

struct GpuInfo {
  std::string device;  // "cuda:0"
  std::string name;    // as its maker calls it
  int capability = 0;  // 75 is 7.5
  uint64_t bytes = 0;  // of its memory
  std::string deform;  // what computes networks in fast precision: "cuda, not measured"
  std::string encode;  // what computes the voice
};

// What this machine and this build have beside the CPU.
struct SystemInfo {
  std::vector<GpuInfo> gpus;
  int driver_version = 0;  // CUDA that the NVIDIA driver has: 13000 is 13.0; 0: there is no driver
  int least_version = 0;   // that this build's kernels need; 0: it has none
  std::string kernels;     // of this build: "sm_75, ..., by nvcc 13.0.88; sm_80, ..., by Triton 3.9.0"; empty: none
  std::string why_no_gpu;  // empty: one can be used
};

SystemInfo describe_system();

// Instruction sets that this CPU and this build have, slowest first; nullptr past the end.
int isa_count();
const char* isa_name(int i);

}  // namespace ts
