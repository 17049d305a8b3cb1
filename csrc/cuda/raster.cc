// SPDX-License-Identifier: Apache-2.0
#include "cuda/raster.h"

#include <algorithm>

#include "ops/project.h"

namespace ts::cuda {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t tiles_of(int width, int height) { return int64_t{tiles_across(width)} * tiles_across(height); }

}  // namespace

void LayerMemory::place(Layout& layout, const LayerSize& of) {
  size = of;
  const auto n = static_cast<uint64_t>(of.n);
  const auto tiles = static_cast<uint64_t>(tiles_of(of.width, of.height));
  const auto chunks = static_cast<uint64_t>(bin_chunks(of.n));
  const auto windows = static_cast<uint64_t>(bin_windows(tiles_of(of.width, of.height)));
  blend = layout.take<BlendSplat>(n);
  bin = layout.take<BinSplat>(n);
  color_px = of.fast ? nullptr : layout.take<SplatColor>(n);
  key = layout.take<uint32_t>(n);
  sort_count = layout.take<uint32_t>(static_cast<uint64_t>(sort_grid(static_cast<int>(of.n))) * kSortDigits);
  for (uint2*& p : pair) p = reinterpret_cast<uint2*>(layout.take<uint64_t>(n));
  order = layout.take<uint32_t>(n);
  bin_count = layout.take<uint32_t>((chunks + 1) * tiles);
  chunk_total = layout.take<uint32_t>(chunks * windows);
  lists = layout.take<TileList>(tiles);
  instances = layout.take<Instance>(of.capacity);
}

void LayerMemory::write_jobs(const GaussianView& gaussians, const Camera& camera, float dilation,
                             JobCursor& cursor) const {
  const int64_t layer = cursor.layer++;
  LayerStatus* status = cursor.device.status + layer;
  cursor.host.status[layer] = {};

  ProjectJob& project = cursor.host.project[layer];
  project = {};
  project.n = static_cast<int32_t>(size.n);
  project.width = size.width, project.height = size.height;
  project.sh_degree = gaussians.sh_degree, project.sh_stride = gaussians.sh_stride;
  project.mean_w = gaussians.mean, project.quat = gaussians.quat, project.scale = gaussians.scale;
  project.opacity = gaussians.opacity, project.color = gaussians.color;
  project.camera = project_camera(camera, size.width, size.height, dilation);
  project.blend = blend, project.bin = bin, project.color_px = color_px, project.key = key;
  project.status = status;

  SortJob& sort = cursor.host.sort[layer];
  sort = {};
  sort.n = static_cast<int32_t>(size.n);
  sort.fast = size.fast;
  sort.key = key, sort.status = status;
  sort.count = sort_count, sort.pair[0] = pair[0], sort.pair[1] = pair[1], sort.order = order;

  BinJob& of_bin = cursor.host.bin[layer];
  of_bin = {};
  of_bin.n = static_cast<int32_t>(size.n);
  of_bin.tiles_x = tiles_across(size.width), of_bin.tiles_y = tiles_across(size.height);
  of_bin.capacity = size.capacity;
  of_bin.order = order, of_bin.blend = blend, of_bin.bin = bin;
  of_bin.count = bin_count, of_bin.chunk_total = chunk_total;
  of_bin.lists = lists, of_bin.instances = instances;
  of_bin.status = status;
}

BlendLayer LayerMemory::blend_layer() const {
  BlendLayer layer{};
  layer.lists = lists, layer.instances = instances;
  layer.splat = blend, layer.color = color_px, layer.key = key;
  return layer;
}

void add_layer(const LayerSize& size, Extents& extents) {
  extents.fast = size.fast;
  ++extents.layers;
  extents.splats = std::max(extents.splats, size.n);
  extents.tiles = std::max(extents.tiles, tiles_of(size.width, size.height));
}

Status launch_raster(const Stream& stream, const Extents& extents, const DrawJobs& jobs) {
  const Kernels& kernels = stream.device().kernels();
  const int64_t splats = extents.splats, layers = extents.layers;
  TS_RETURN_IF_ERROR(stream.launch(kernels.project_kernel, ceil_div(splats, kProjectThreads), layers, kProjectThreads,
                                   Jobs<ProjectJob>{jobs.project}));
  const int passes = extents.fast ? kFastSortPasses : kReferenceSortPasses;
  for (int pass = 0; pass < passes; ++pass) {
    const SortArgs args{jobs.sort, pass, passes};
    const int64_t blocks = sort_grid(static_cast<int>(splats));
    TS_RETURN_IF_ERROR(stream.launch(kernels.sort_count_kernel, blocks, layers, kSortThreads, args));
    TS_RETURN_IF_ERROR(stream.launch(kernels.sort_scatter_kernel, blocks, layers, kSortThreads, args));
  }
  const Jobs<BinJob> args{jobs.bin};
  const int64_t windows = bin_windows(extents.tiles), parts = bin_chunks(splats) * windows;
  TS_RETURN_IF_ERROR(stream.launch(kernels.bin_count_kernel, parts, layers, kBinChunk, args));
  TS_RETURN_IF_ERROR(
      stream.launch(kernels.bin_scan_kernel, ceil_div(extents.tiles, kBinScanTiles), layers, kBinScanThreads, args));
  TS_RETURN_IF_ERROR(stream.launch(kernels.bin_lists_kernel, windows, layers, kBinWindow, args));
  return stream.launch(kernels.bin_scatter_kernel, parts, layers, kBinChunk, args);
}

}  // namespace ts::cuda
