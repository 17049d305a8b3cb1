// SPDX-License-Identifier: Apache-2.0
// Overlay — the branches of a deform program drawn one over the other, from the last to the first: each is a picture of its
// own, with its own depth order, over what lies behind it (TalkingGaussian: mouth over torso, face over both).
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "cpu/rasterize.h"
#include "ops/deform.h"

namespace ts {

class Overlay {
 public:
  // args: all branches' Gaussians. Adds its stages to the receipt.
  Status draw(const RasterizeArgs& args, const DeformProgram& program, Rasterizer& rasterizer, ThreadPool& pool,
              Receipt& receipt);

  uint64_t scratch_bytes() const { return behind_.bytes() + alone_.bytes() + reach_.bytes() + drawn_.bytes(); }

 private:
  // A picture in memory: red, green and blue, coverage, depth.
  struct Picture {
    Image image;
    Background as_background(bool transparent) const;
  };
  static Picture picture(Buffer<float>& memory, const Image& like, bool alpha);
  void dilate(const Picture& top, int px, const Picture& behind, ThreadPool& pool);

  Buffer<float> behind_, alone_, reach_;
  Buffer<uint8_t> drawn_;
};

}  // namespace ts
