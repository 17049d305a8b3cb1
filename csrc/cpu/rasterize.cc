// SPDX-License-Identifier: Apache-2.0
#include "cpu/rasterize.h"

#include <algorithm>
#include <atomic>

#include "core/stopwatch.h"
#include "cpu/kernel_table.h"

namespace ts {

Rasterizer::Rasterizer(const KernelTable& kernels, ThreadPool& pool, uint64_t max_pair_bytes)
    : kernels_(kernels), pool_(pool), max_pair_bytes_(max_pair_bytes), blend_(static_cast<size_t>(pool.threads())) {}

Status Rasterizer::draw(const RasterizeArgs& args, Receipt& receipt) {
  TS_RETURN_IF_ERROR(check(args));
  const int64_t n = args.gaussians.n;
  const int width = args.image.width, height = args.image.height;
  // Two parts per thread: a thread that comes late leaves its second to the others.
  const int n_parts = pool_.threads() == 1 ? 1 : std::min(2 * pool_.threads(), kMaxParts);
  Stopwatch watch;

  ProjectArgs project{};
  project.gaussians = args.gaussians;
  project.camera = args.camera;
  project.width = width, project.height = height;
  project.dilation = args.dilation;
  project.splat = splats_.reserve(static_cast<size_t>(n));
  project.visible = visible_.reserve(static_cast<size_t>(n));
  split_parts(n, parts_, n_parts);

  BinArgs bin{};
  bin.splat = project.splat;
  bin.visible = project.visible;
  bin.parts = parts_, bin.n_parts = n_parts;
  bin.width = width, bin.height = height;
  bin.max_pair_bytes = max_pair_bytes_;
  bin.scratch = &bin_;
  bin.lists = lists_.reserve(static_cast<size_t>(tiles_across(width)) * static_cast<size_t>(tiles_across(height)));
  bin.instances = &instances_;
  prepare_bin(bin, pool_.threads());

  std::atomic<bool> ok{true};
  pool_.run(n_parts, [&](int64_t part, int) {
    kernels_.project_part(project, parts_[part]);
    if (!bin_part(bin, static_cast<int>(part), kernels_)) ok = false;
  });
  if (!ok) return no_memory_for_spans(bin);
  receipt.project_us += watch.lap();
  TS_RETURN_IF_ERROR(bin_rows(bin, pool_, &receipt.n_instances));
  receipt.bin_us += watch.lap();

  BlendArgs blend{};
  blend.splat = project.splat;
  blend.lists = bin.lists;
  blend.instances = instances_.data();
  blend.precision = args.precision;
  blend.finish = {args.image, args.background, args.drawn};
  blend_cpu(blend, blend_.data(), kernels_, pool_);
  receipt.blend_us += watch.lap();

  receipt.n_gaussians = static_cast<uint32_t>(n);
  receipt.n_visible = 0;
  for (int p = 0; p < n_parts; ++p) receipt.n_visible += static_cast<uint32_t>(parts_[p].n_visible);
  return {};
}

uint64_t Rasterizer::scratch_bytes() const {
  return splats_.bytes() + visible_.bytes() + lists_.bytes() + instances_.bytes() + blend_.bytes() + bin_.bytes();
}

}  // namespace ts
