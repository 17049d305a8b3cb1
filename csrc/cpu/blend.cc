#include "ops/blend.h"

#include "cpu/kernel_table.h"

namespace ts {

void blend_cpu(const BlendArgs& args, const KernelTable& kernels, ThreadPool& pool) {
  const int64_t tiles = static_cast<int64_t>(tiles_across(args.finish.width)) * tiles_across(args.finish.height);
  pool.run(tiles,
           [&](int64_t tile, int slot) { kernels.blend_tile(args, static_cast<int>(tile), args.scratch[slot]); });
}

}  // namespace ts
