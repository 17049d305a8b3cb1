// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/cuda/job.h"
#include "kernels/cuda/splat.h"
#include "ops/bin.h"
#include "ops/image.h"

namespace ts::cuda {

constexpr int kBlendThreads = 256;   // a tile
constexpr int kDilateThreads = 256;  // a pixel each

enum class Behind : int32_t { kNothing, kColor, kImageF32, kImageU8 };

// One picture in the stack, from the front: a layer's lists, or a dilated layer, which was drawn before.
struct BlendLayer {
  const TileList* lists;  // [tiles]; nullptr: `alone`
  const Instance* instances;
  const BlendSplat* splat;
  const SplatColor* color;   // nullptr in fast precision
  const uint32_t* key;       // depth's bits, for depth in fast precision
  const float4* alone;       // [height,width] premultiplied red, green, blue, and coverage
  const float* alone_depth;  // [height,width]; Nullable
  const float* reach;        // [height,width] the largest coverage near a pixel: how much it hides
};

// A frame, or one layer of it that is drawn alone.
struct BlendJob {
  int32_t width, height;  // pixels
  int32_t n_layers;
  Format format;
  Behind behind;
  float background[3];           // of kColor
  const void* background_image;  // [height,width,3] of kImageF32 or kImageU8
  int64_t stride_bytes;          // of a row of the image, as in ops/image.h
  void* image;
  float* alpha;                  // [height,width] Nullable
  float* depth;                  // [height,width] Nullable
  float4* alone;                 // [height,width] Nullable: instead of the image, what BlendLayer::alone is read from
  BlendLayer layer[kMaxLayers];  // from the front
};

// The largest coverage of a square of px by px pixels around each: along rows, then along columns.
struct DilateJob {
  int32_t width, height;
  int32_t px;
  const float4* alone;  // [height,width]
  float* rows;          // [height,width]                                      (scratch)
  float* reach;         // [height,width]                                      (out)
};

}  // namespace ts::cuda
