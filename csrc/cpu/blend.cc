// SPDX-License-Identifier: Apache-2.0
#include "cpu/blend.h"

#include "cpu/kernel_table.h"

namespace ts {

void blend_cpu(const BlendArgs& args, BlendScratch* scratch, const KernelTable& kernels, ThreadPool& pool) {
  const Image& image = args.finish.image;
  const int64_t tiles = int64_t{tiles_across(image.width)} * tiles_across(image.height);
  pool.run(tiles, [&](int64_t tile, int slot) { kernels.blend_tile(args, static_cast<int>(tile), scratch[slot]); });
}

}  // namespace ts
