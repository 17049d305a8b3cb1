// SPDX-License-Identifier: Apache-2.0
// Image and Background — where a picture is drawn to, and over what.
#pragma once
#include <cstdint>

#include "core/status.h"

namespace ts {

enum class Format {
  kRgbF32,  // [height,width,3] float32, not clamped
  kRgba8,   // [height,width,4]; alpha is 255 over a background, else straight coverage
  kRgb8,    // [height,width,3]
  kNv12,    // [height*3/2,width], BT.709 limited range; height and width even
};

enum class Precision {
  // The image that avatars were trained with: within 2e-5 of float64; the deform program in float32, on a GPU in sums of
  // float32 over inputs and weights of some 22 bits.
  kReference,
  // Within 1.5/255 of float64, each branch of a stack by itself; the deform program in bfloat16, on a GPU in halves with
  // sums of float32. There depth is ordered by 24 bits: exactly, where the farthest splat is less than twice as far as
  // the nearest.
  kFast,
  // On a CPU pictures as in kReference, the deform program as was chosen when the avatar was imported. On a GPU kFast.
  kDefault,
};

constexpr int kMaxSide = 16384;  // pixels

// The caller's memory.
struct Image {
  int width = 0, height = 0;  // pixels
  Format format = Format::kRgba8;
  int64_t stride_bytes = 0;  // of a row, of both planes for NV12; at least row_bytes(), and whole floats for kRgbF32
  void* data = nullptr;
  float* alpha = nullptr;  // [height,width] accumulated weight; Nullable: not wanted
  float* depth = nullptr;  // [height,width] sum of weight * camera depth; Nullable: not wanted
};

// At most one of the first three is set; none: nothing behind the Gaussians.
struct Background {
  const float* color = nullptr;       // [3] finite
  const float* image_f32 = nullptr;   // [height,width,3]
  const uint8_t* image_u8 = nullptr;  // [height,width,3]
  // Of an image_f32 that is a picture of Gaussians itself, over what lies behind those: their planes. Nullable: it has none.
  const float *alpha = nullptr, *depth = nullptr;  // [height,width]
  // Its tiles that were drawn (nullptr: all); `elsewhere` is what lies behind in the others.
  const uint8_t* drawn = nullptr;
  const Background* elsewhere = nullptr;
  bool transparent = false;  // nothing lies behind them: the picture is premultiplied
  // Of image_f32 and image_u8: whatever is drawn over this memory by the same frame is drawn over the same picture, so
  // that a device with memory of its own copies it once.
  bool constant = false;
};

int64_t row_bytes(Format format, int width);  // of a packed row
Status check_size(Format format, int64_t width, int64_t height);
Status check(const Image& image);
Status check(const Background& background);

}  // namespace ts
