// SPDX-License-Identifier: Apache-2.0
#include "ops/image.h"

#include "core/scan.h"

namespace ts {

int64_t row_bytes(Format format, int width) {
  switch (format) {
    case Format::kRgbF32:
      return 12 * int64_t{width};
    case Format::kRgba8:
      return 4 * int64_t{width};
    case Format::kRgb8:
      return 3 * int64_t{width};
    case Format::kNv12:
      return width;
  }
  return 0;
}

Status check_size(Format format, int64_t width, int64_t height) {
  const auto invalid = StatusCode::kInvalidArgument;
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide)
    return error(invalid, "image: width and height must be in 1..%d pixels; got %lldx%lld.", kMaxSide,
                 static_cast<long long>(width), static_cast<long long>(height));
  if (format == Format::kNv12 && (width % 2 || height % 2))
    return error(invalid, "image: NV12 needs an even width and height; got %lldx%lld.", static_cast<long long>(width),
                 static_cast<long long>(height));
  return {};
}

Status check(const Image& image) {
  const auto invalid = StatusCode::kInvalidArgument;
  TS_RETURN_IF_ERROR(check_size(image.format, image.width, image.height));
  if (!image.data) return error(invalid, "image: data must not be NULL.");
  const int64_t least = row_bytes(image.format, image.width);
  if (image.stride_bytes < least)
    return error(invalid, "image: stride_bytes must be 0 or at least %lld for this width and format; got %lld.",
                 static_cast<long long>(least), static_cast<long long>(image.stride_bytes));
  if (image.format == Format::kRgbF32 && image.stride_bytes % static_cast<int64_t>(sizeof(float)))
    return error(invalid, "image: stride_bytes must be whole floats, a multiple of 4, for RGB_F32; got %lld.",
                 static_cast<long long>(image.stride_bytes));
  return {};
}

Status check(const Background& background) {
  const int64_t i = background.color ? find_non_finite(background.color, 3) : -1;
  if (i < 0) return {};
  return error(StatusCode::kInvalidArgument, "background: color must be finite; number %lld is %g.",
               static_cast<long long>(i), static_cast<double>(background.color[i]));
}

}  // namespace ts
