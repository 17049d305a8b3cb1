// SPDX-License-Identifier: Apache-2.0
#include "cuda/picture.h"

#include <algorithm>
#include <cstring>

namespace ts::cuda {
namespace {

constexpr int64_t kRowAlign = 16;  // bytes: rows of whole words, whatever the width

const void* pixels_of(const Background& background) {
  return background.image_f32 ? static_cast<const void*>(background.image_f32) : background.image_u8;
}

}  // namespace

void Picture::shape(const Canvas& canvas) {
  canvas_ = canvas;
  row_bytes_ = row_bytes(canvas.format, canvas.width);
  stride_bytes_ = (row_bytes_ + kRowAlign - 1) / kRowAlign * kRowAlign;
  plate_.copy_of = nullptr;
}

void Picture::place(Layout& layout) {
  image_ = layout.take<unsigned char>(image_bytes());
  alpha_ = canvas_.alpha ? layout.take<float>(pixels()) : nullptr;
  depth_ = canvas_.depth ? layout.take<float>(pixels()) : nullptr;
}

Status Picture::make_host() {
  return host_.fit("a picture's way to the host, page-locked,", [&](Layout& layout) {
    host_image_ = layout.take<unsigned char>(image_bytes());
    host_alpha_ = canvas_.alpha ? layout.take<float>(pixels()) : nullptr;
    host_depth_ = canvas_.depth ? layout.take<float>(pixels()) : nullptr;
  });
}

uint64_t Picture::backdrop_bytes(const Background& background) const {
  if (!pixels_of(background)) return 0;
  return 3 * pixels() * (background.image_f32 ? sizeof(float) : sizeof(uint8_t));
}

bool Picture::has_room(const Background& background) const {
  return backdrop_bytes(background) <= backdrop_of(background).arena.bytes();
}

Status Picture::reserve(const Background& background) {
  if (has_room(background)) return {};
  Backdrop& backdrop = background.constant ? plate_ : backdrop_;
  backdrop.copy_of = nullptr;
  return backdrop.arena.fit("a background", [&](Layout& layout) {
    backdrop.pixels = layout.take<unsigned char>(backdrop_bytes(background));
  });
}

void Picture::write_job(const Image& image, const Background& background, bool on_device, BlendJob& job) const {
  job = {};
  job.width = canvas_.width, job.height = canvas_.height;
  job.format = canvas_.format;
  if (background.color) {
    job.behind = Behind::kColor;
    std::copy_n(background.color, 3, job.background);
  } else if (pixels_of(background)) {
    job.behind = background.image_f32 ? Behind::kImageF32 : Behind::kImageU8;
    job.background_image = backdrop_of(background).pixels;
  }
  job.stride_bytes = on_device ? image.stride_bytes : stride_bytes_;
  job.image = on_device ? image.data : image_;
  job.alpha = on_device || !image.alpha ? image.alpha : alpha_;
  job.depth = on_device || !image.depth ? image.depth : depth_;
}

Status Picture::upload(const Stream& stream, const Background& background) {
  const void* pixels = pixels_of(background);
  if (!pixels) return {};
  Backdrop& backdrop = background.constant ? plate_ : backdrop_;
  if (background.constant && backdrop.copy_of == pixels) return {};
  backdrop.copy_of = nullptr;
  TS_RETURN_IF_ERROR(stream.upload(backdrop.pixels, pixels, backdrop_bytes(background)));
  backdrop.copy_of = pixels;
  return {};
}

Status Picture::download(const Stream& stream, const Image& image) const {
  TS_RETURN_IF_ERROR(stream.download(host_image_, image_, image_bytes()));
  const uint64_t plane_bytes = pixels() * sizeof(float);
  if (image.alpha) TS_RETURN_IF_ERROR(stream.download(host_alpha_, alpha_, plane_bytes));
  if (image.depth) TS_RETURN_IF_ERROR(stream.download(host_depth_, depth_, plane_bytes));
  return {};
}

void Picture::copy_to(const Image& image) const {
  auto* to = static_cast<unsigned char*>(image.data);
  for (int64_t row = 0; row < rows(); ++row)
    std::memcpy(to + row * image.stride_bytes, host_image_ + row * stride_bytes_, static_cast<size_t>(row_bytes_));
  if (image.alpha) std::copy_n(host_alpha_, pixels(), image.alpha);
  if (image.depth) std::copy_n(host_depth_, pixels(), image.depth);
}

}  // namespace ts::cuda
