// SPDX-License-Identifier: Apache-2.0
// What one draw uploads: the jobs of all its kernels, and what its frames' controls come to, side by side, once in the
// host's page-locked memory, where they are written, and once in the GPU's, where kernels read them.
#pragma once
#include <cstdint>

#include "cuda/arena.h"
#include "cuda/extents.h"
#include "kernels/cuda/list.h"

namespace ts::cuda {

struct DrawJobs {
  PoseJob* pose = nullptr;           // [frames]
  DeformJob* deform = nullptr;       // [branches]
  ProjectJob* project = nullptr;     // [layers]
  SortJob* sort = nullptr;           // [layers]
  BinJob* bin = nullptr;             // [layers]
  LayerStatus* status = nullptr;     // [layers]
  BlendJob* blend = nullptr;         // [frames]
  BlendJob* blend_alone = nullptr;   // [alone]
  DilateJob* dilate = nullptr;       // [alone]
  unsigned char* control = nullptr;  // [control_bytes]

  void place(Layout& layout, const Extents& extents) {
    const auto frames = static_cast<uint64_t>(extents.frames), layers = static_cast<uint64_t>(extents.layers),
               alone = static_cast<uint64_t>(extents.alone);
    pose = layout.take<PoseJob>(frames);
    deform = layout.take<DeformJob>(static_cast<uint64_t>(extents.branches));
    project = layout.take<ProjectJob>(layers);
    sort = layout.take<SortJob>(layers);
    bin = layout.take<BinJob>(layers);
    status = layout.take<LayerStatus>(layers);
    blend = layout.take<BlendJob>(frames);
    blend_alone = layout.take<BlendJob>(alone);
    dilate = layout.take<DilateJob>(alone);
    control = layout.take<unsigned char>(extents.control_bytes);
  }
};

// Where the next frame of a draw has its jobs, and puts what its control comes to.
struct JobCursor {
  DrawJobs host, device;
  int64_t frame = 0, branch = 0, layer = 0, alone = 0;
  uint64_t control = 0;  // bytes that are taken

  // n values to be written; on_device: where kernels read them.
  template <class T>
  T* take_control(int64_t n, const T** on_device) {
    T* values = reinterpret_cast<T*>(host.control + control);
    *on_device = reinterpret_cast<const T*>(device.control + control);
    control += control_bytes<T>(n);
    return values;
  }
  // Aligned for loads of 16 bytes.
  template <class T>
  static uint64_t control_bytes(int64_t n) {
    return (static_cast<uint64_t>(n) * sizeof(T) + 15) / 16 * 16;
  }
};

}  // namespace ts::cuda
