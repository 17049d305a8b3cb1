// rasterize — project, bin, blend and finish in order: Gaussians to an image. Owns the scratch memory that they share.
#pragma once
#include <chrono>
#include <cstdint>

#include "core/buffer.h"
#include "core/status.h"
#include "core/thread_pool.h"
#include "ops/blend.h"
#include "talksplat.h"

namespace ts {

struct KernelTable;

// What to draw over. At most one is set.
struct Background {
  const float* color = nullptr;       // [3]
  const float* image_f32 = nullptr;   // [height,width,3]
  const uint8_t* image_u8 = nullptr;  // [height,width,3]
};

struct Scene {
  int64_t n = 0;
  const float *mean_w = nullptr, *quat = nullptr, *scale = nullptr, *opacity = nullptr, *color = nullptr;
  int sh_degree = -1, sh_stride = 0;  // as in ts_rasterize_params
};

class Rasterizer {
 public:
  Rasterizer(const KernelTable& kernels, ThreadPool& pool, uint64_t max_pair_bytes = kMaxPairBytes);

  // Draws scene into image; adds its stages to receipt.
  Status draw(const Scene& scene, const ts_camera& camera, const Background& background, float dilation,
              const ts_precision& precision, const ts_image& image, ts_receipt& receipt);

  uint64_t scratch_bytes() const;

 private:
  const KernelTable& kernels_;
  ThreadPool& pool_;
  const uint64_t max_pair_bytes_;
  Buffer<Splat> splats_;
  Buffer<uint32_t> visible_;
  ProjectPart parts_[kMaxParts];
  BinScratch bin_;
  Buffer<TileList> lists_;
  Buffer<Instance> instances_;
  Buffer<BlendScratch> blend_;
};

Status validate(const Scene& scene);
Status validate(const ts_camera& camera);
Status validate(const ts_image& image);
Status validate(const ts_precision& precision);

// Microseconds since the last lap.
class Stopwatch {
 public:
  float lap() {
    const auto now = std::chrono::steady_clock::now();
    const float us = std::chrono::duration<float, std::micro>(now - last_).count();
    last_ = now;
    return us;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace ts
