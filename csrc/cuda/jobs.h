// SPDX-License-Identifier: Apache-2.0
// What one draw uploads: the jobs of all its kernels, and what its frames' controls come to, side by side, once in the
// host's page-locked memory, where they are written, and once in the GPU's, where kernels read them.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cuda/arena.h"
#include "kernels/cuda/list.h"

namespace ts::cuda {

// How far a draw's launches reach: how many jobs, and the largest of them.
struct Extents {
  bool fast = false;                                   // or reference: they have kernels of their own
  int64_t frames = 0, layers = 0, alone = 0;           // alone: layers that are drawn by themselves, to be dilated
  int64_t vertices = 0, triangles = 0, gaussians = 0;  // rows of a frame, whole blocks of kPoseBlock
  int64_t splats = 0;                                  // of a layer
  int64_t tiles = 0, width = 0, height = 0;            // of a picture
  uint64_t control_bytes = 0;                          // of all frames

  // One more frame, or several, in the same draw.
  void add(const Extents& other) {
    frames += other.frames, layers += other.layers, alone += other.alone, control_bytes += other.control_bytes;
    vertices = std::max(vertices, other.vertices), triangles = std::max(triangles, other.triangles);
    gaussians = std::max(gaussians, other.gaussians), splats = std::max(splats, other.splats);
    tiles = std::max(tiles, other.tiles);
    width = std::max(width, other.width), height = std::max(height, other.height);
  }
  bool operator==(const Extents& o) const {
    return fast == o.fast && frames == o.frames && layers == o.layers && alone == o.alone && vertices == o.vertices &&
           triangles == o.triangles && gaussians == o.gaussians && splats == o.splats && tiles == o.tiles &&
           width == o.width && height == o.height && control_bytes == o.control_bytes;
  }
};

struct DrawJobs {
  PoseJob* pose = nullptr;           // [frames]
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
  int64_t frame = 0, layer = 0, alone = 0;
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
