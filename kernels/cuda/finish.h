// SPDX-License-Identifier: Apache-2.0
// finish — a pixel over what lies behind, and into the picture's format: the end of blend.cu.
// Maths    ops/finish.h, math/finish.h
// Launch   by every thread of a warp of 8x4 pixels, the ones outside the picture too: NV12 sums over neighbours
// Order    none: a thread writes what is its own
#pragma once
#include "kernels/cuda/blend.h"
#include "kernels/cuda/device.h"
#include "math/finish.h"

namespace ts::cuda {

// Premultiplied. The two transmittances differ where a dilated layer hides more colour than it covers.
struct Pixel {
  float red, green, blue, depth;
  float color_t;     // of the colours behind
  float coverage_t;  // 1 - alpha
};

TS_DEVICE void put_over_background(const BlendJob& job, int at, Pixel& p) {
  float behind[3];
  if (job.behind == Behind::kColor) {
    for (int c = 0; c < 3; ++c) behind[c] = job.background[c];
  } else if (job.behind == Behind::kImageF32) {
    const float* rgb = static_cast<const float*>(job.background_image) + 3 * at;
    for (int c = 0; c < 3; ++c) behind[c] = rgb[c];
  } else if (job.behind == Behind::kImageU8) {
    const uint8_t* rgb = static_cast<const uint8_t*>(job.background_image) + 3 * at;
    for (int c = 0; c < 3; ++c) behind[c] = static_cast<float>(rgb[c]) * (1.0f / 255);
  } else {
    return;
  }
  p.red = fmaf(p.color_t, behind[0], p.red);
  p.green = fmaf(p.color_t, behind[1], p.green);
  p.blue = fmaf(p.color_t, behind[2], p.blue);
}

TS_DEVICE void write_rgba8(const BlendJob& job, uint8_t* row, int x, const Pixel& p) {
  f32 r(p.red), g(p.green), b(p.blue);
  i32 a(255);
  if (job.behind == Behind::kNothing) {
    const f32 alpha = f32(1.0f) - f32(p.coverage_t), scale = straight_scale(alpha);
    r = r * scale, g = g * scale, b = b * scale;
    a = to_byte(alpha);
  }
  const auto word = static_cast<uint32_t>(word_of(to_byte(r), to_byte(g), to_byte(b), a).v);
  uint8_t* to = row + 4 * static_cast<int64_t>(x);
  // The same for all rows of a picture whose stride is whole words.
  if (reinterpret_cast<uintptr_t>(to) % 4 == 0) {
    *reinterpret_cast<uint32_t*>(to) = word;
  } else {
    for (int k = 0; k < 4; ++k) to[k] = static_cast<uint8_t>(word >> 8 * k);
  }
}

// A cell of 2x2 pixels is four lanes: neighbours in x and eight lanes apart in y. Size and tiles are even, so none
// straddles a border.
TS_DEVICE void write_nv12(const BlendJob& job, int x, int y, bool inside, const Pixel& p) {
  const float rgb[3] = {saturate(f32(p.red)).v, saturate(f32(p.green)).v, saturate(f32(p.blue)).v};
  float mean[3];
  for (int c = 0; c < 3; ++c) {
    const float rows = rgb[c] + __shfl_xor_sync(~0u, rgb[c], 8);
    mean[c] = (rows + __shfl_xor_sync(~0u, rows, 1)) * 0.25f;
  }
  if (!inside) return;
  auto* luma = static_cast<uint8_t*>(job.image) + y * job.stride_bytes;
  luma[x] = static_cast<uint8_t>(luma_code(luma_of(f32(rgb[0]), f32(rgb[1]), f32(rgb[2]))).v);
  if (x % 2 || y % 2) return;
  const auto codes = static_cast<uint32_t>(chroma_codes(f32(mean[0]), f32(mean[1]), f32(mean[2])).v);
  uint8_t* chroma = static_cast<uint8_t*>(job.image) + (job.height + y / 2) * job.stride_bytes + x;
  chroma[0] = static_cast<uint8_t>(codes), chroma[1] = static_cast<uint8_t>(codes >> 8);
}

// inside: the pixel is one of the picture.
TS_DEVICE void finish_pixel(const BlendJob& job, int x, int y, bool inside, Pixel p) {
  const int at = y * job.width + x;
  if (inside) {
    put_over_background(job, at, p);
    if (job.alpha) job.alpha[at] = 1.0f - p.coverage_t;
    if (job.depth) job.depth[at] = p.depth;
  }
  if (job.format == Format::kNv12) return write_nv12(job, x, y, inside, p);
  if (!inside) return;
  uint8_t* row = static_cast<uint8_t*>(job.image) + y * job.stride_bytes;
  if (job.format == Format::kRgba8) {
    write_rgba8(job, row, x, p);
  } else if (job.format == Format::kRgb8) {
    uint8_t* to = row + 3 * static_cast<int64_t>(x);
    to[0] = static_cast<uint8_t>(to_byte(f32(p.red)).v);
    to[1] = static_cast<uint8_t>(to_byte(f32(p.green)).v);
    to[2] = static_cast<uint8_t>(to_byte(f32(p.blue)).v);
  } else {
    float* to = reinterpret_cast<float*>(row) + 3 * static_cast<int64_t>(x);
    to[0] = p.red, to[1] = p.green, to[2] = p.blue;
  }
}

}  // namespace ts::cuda
