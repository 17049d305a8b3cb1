// SPDX-License-Identifier: Apache-2.0
// Picture — where a frame's pixels are made, in the GPU's memory, how they come to the host, and what lies behind them.
#pragma once
#include <cstdint>

#include "core/status.h"
#include "cuda/arena.h"
#include "cuda/jobs.h"
#include "cuda/stream.h"
#include "ops/backend.h"
#include "ops/image.h"

namespace ts::cuda {

class Picture {
 public:
  explicit Picture(const Device& device) : host_(device, MemoryKind::kPinned), plate_(device), backdrop_(device) {}

  // Its size and planes; place(), make_host() and reserve() follow.
  void shape(const Canvas& canvas);
  void place(Layout& layout);  // the GPU's memory
  Status make_host();          // and the host's, page-locked
  // Memory for the background's picture, if it has one. Gives up a smaller one: what still uses it must be done.
  Status reserve(const Background& background);
  bool has_room(const Background& background) const;
  uint64_t bytes() const { return host_.bytes() + plate_.arena.bytes() + backdrop_.arena.bytes(); }

  // job: all but its layers. on_device: the image is in the GPU's memory already.
  void write_job(const Image& image, const Background& background, bool on_device, BlendJob& job) const;
  // Whether it has a picture that is another with every call.
  static bool comes_with_the_call(const Background& background) {
    return !background.constant && (background.image_f32 || background.image_u8);
  }
  // The background's picture, if it has one that is not there yet.
  Status upload(const Stream& stream, const Background& background);
  // What was drawn, to the host; when the stream has done that, to the image.
  Status download(const Stream& stream, const Image& image) const;
  void copy_to(const Image& image) const;

 private:
  // A picture that lies behind, in the GPU's memory.
  struct Backdrop {
    explicit Backdrop(const Device& device) : arena(device, MemoryKind::kDevice) {}
    Arena arena;
    unsigned char* pixels = nullptr;
    const void* copy_of = nullptr;  // the caller's pixels, where they are constant
  };
  const Backdrop& backdrop_of(const Background& background) const { return background.constant ? plate_ : backdrop_; }
  uint64_t backdrop_bytes(const Background& background) const;
  int64_t rows() const { return canvas_.format == Format::kNv12 ? canvas_.height * 3 / 2 : canvas_.height; }
  uint64_t pixels() const { return static_cast<uint64_t>(canvas_.width) * static_cast<uint64_t>(canvas_.height); }
  uint64_t image_bytes() const { return static_cast<uint64_t>(stride_bytes_ * rows()); }

  Canvas canvas_;
  int64_t row_bytes_ = 0;     // of the image's pixels
  int64_t stride_bytes_ = 0;  // of its rows in the GPU's memory and in the host's page-locked
  unsigned char* image_ = nullptr;
  float *alpha_ = nullptr, *depth_ = nullptr;  // nullptr: the canvas has none
  Arena host_;
  unsigned char* host_image_ = nullptr;
  float *host_alpha_ = nullptr, *host_depth_ = nullptr;
  Backdrop plate_, backdrop_;  // of a constant background, and of one that comes with every draw
};

}  // namespace ts::cuda
