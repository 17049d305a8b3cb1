// SPDX-License-Identifier: Apache-2.0
// pose on the CPU: the joints on the calling thread, then blocks of vertices, triangles and Gaussians on all threads.
#pragma once
#include "core/thread_pool.h"
#include "ops/pose.h"

namespace ts {

struct KernelTable;

// Blocks first..last-1. Kernels trust their arguments.
struct PoseKernels {
  void (*vertices)(const PoseArgs&, int64_t first, int64_t last);
  void (*triangles)(const PoseArgs&, int64_t first, int64_t last);
  void (*gaussians)(const PoseArgs&, int64_t first, int64_t last);
};

Status pose_cpu(const PoseArgs& args, const KernelTable& kernels, ThreadPool& pool);

}  // namespace ts
