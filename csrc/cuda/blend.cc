// SPDX-License-Identifier: Apache-2.0
#include "cuda/blend.h"

#include <algorithm>

namespace ts::cuda {

void AloneMemory::place(Layout& layout, int width, int height, bool has_depth) {
  const uint64_t pixels = static_cast<uint64_t>(width) * static_cast<uint64_t>(height);
  picture = reinterpret_cast<float4*>(layout.take<float>(4 * pixels));
  depth = has_depth ? layout.take<float>(pixels) : nullptr;
  rows = layout.take<float>(pixels);
  reach = layout.take<float>(pixels);
}

void AloneMemory::write_jobs(const BlendLayer& layer, int width, int height, int px, JobCursor& cursor) const {
  BlendJob& blend = cursor.host.blend_alone[cursor.alone];
  blend = {};
  blend.width = width, blend.height = height;
  blend.n_layers = 1;
  blend.layer[0] = layer;
  blend.alone = picture, blend.depth = depth;
  DilateJob& dilate = cursor.host.dilate[cursor.alone];
  dilate = {};
  dilate.width = width, dilate.height = height;
  dilate.px = px;
  dilate.alone = picture, dilate.rows = rows, dilate.reach = reach;
  ++cursor.alone;
}

BlendLayer AloneMemory::blend_layer() const {
  BlendLayer layer{};
  layer.alone = picture, layer.alone_depth = depth, layer.reach = reach;
  return layer;
}

void add_alone(int width, int height, Extents& extents) {
  ++extents.alone;
  extents.width = std::max<int64_t>(extents.width, width), extents.height = std::max<int64_t>(extents.height, height);
}

Status launch_blend(const Stream& stream, const Extents& extents, const DrawJobs& jobs) {
  const Kernels& kernels = stream.device().kernels();
  const Kernel<Jobs<BlendJob>>& blend = extents.fast ? kernels.blend_fast_kernel : kernels.blend_reference_kernel;
  if (extents.alone > 0) {
    const Jobs<DilateJob> dilate{jobs.dilate};
    const int64_t pixels = extents.width * extents.height, blocks = (pixels + kBlendThreads - 1) / kBlendThreads;
    TS_RETURN_IF_ERROR(
        stream.launch(blend, extents.tiles, extents.alone, kBlendThreads, Jobs<BlendJob>{jobs.blend_alone}));
    TS_RETURN_IF_ERROR(stream.launch(kernels.dilate_rows_kernel, blocks, extents.alone, kBlendThreads, dilate));
    TS_RETURN_IF_ERROR(stream.launch(kernels.dilate_columns_kernel, blocks, extents.alone, kBlendThreads, dilate));
  }
  return stream.launch(blend, extents.tiles, extents.frames, kBlendThreads, Jobs<BlendJob>{jobs.blend});
}

}  // namespace ts::cuda
