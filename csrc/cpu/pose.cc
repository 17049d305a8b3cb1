// SPDX-License-Identifier: Apache-2.0
#include "cpu/pose.h"

#include <algorithm>

#include "cpu/kernel_table.h"

namespace ts {
namespace {

// Long enough that claiming a chunk costs nothing beside it, short enough that eight threads share a head's mesh.
constexpr int64_t kBlocksPerChunk = 8;

template <class Kernel>
void run_blocks(const PoseArgs& args, int64_t rows, Kernel kernel, ThreadPool& pool) {
  const int64_t blocks = pose_blocks(rows);
  pool.run((blocks + kBlocksPerChunk - 1) / kBlocksPerChunk, [&](int64_t chunk, int) {
    const int64_t first = chunk * kBlocksPerChunk;
    kernel(args, first, std::min(first + kBlocksPerChunk, blocks));
  });
}

}  // namespace

Status pose_cpu(const PoseArgs& args, const KernelTable& kernels, ThreadPool& pool) {
  TS_RETURN_IF_ERROR(check(args));
  move_joints(args);
  run_blocks(args, args.mesh.v, kernels.pose.vertices, pool);
  if (args.binding.follow == PoseFollow::kTriangle) {
    run_blocks(args, args.binding.n_triangles, kernels.pose.triangles, pool);
  }
  run_blocks(args, args.binding.n, kernels.pose.gaussians, pool);
  return {};
}

}  // namespace ts
