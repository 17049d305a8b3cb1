// SPDX-License-Identifier: Apache-2.0
#include "capi_translate.h"

#include <algorithm>

namespace ts::capi {
namespace {

static_assert(static_cast<int>(Format::kRgbF32) == TS_FORMAT_RGB_F32 &&
              static_cast<int>(Format::kNv12) == TS_FORMAT_NV12);
static_assert(static_cast<int>(Format::kRgba8) == TS_FORMAT_RGBA8 && static_cast<int>(Format::kRgb8) == TS_FORMAT_RGB8);
static_assert(static_cast<int>(Precision::kFast) == TS_PRECISION_FAST);
static_assert(static_cast<int>(Precision::kDefault) == TS_PRECISION_DEFAULT);
static_assert(static_cast<int>(SampleFormat::kF32) == TS_SAMPLE_F32 &&
              static_cast<int>(SampleFormat::kS16) == TS_SAMPLE_S16);
static_assert(kMaxSide == TS_MAX_SIDE && kMaxGaussians == TS_MAX_GAUSSIANS && kDilation == TS_DILATION);
static_assert(kMaxShCoefficients == TS_MAX_SH_COEFFICIENTS);

}  // namespace

Status to_format(const ts_format& given, Format& format) {
  const int number = number_of(given);
  if (number < TS_FORMAT_RGB_F32 || number > TS_FORMAT_NV12)
    return error(StatusCode::kInvalidArgument,
                 "image: format must be one of ts_format, 0 (RGB_F32) to 3 (NV12); got %d.", number);
  format = static_cast<Format>(number);
  return {};
}

Status to_precision(const ts_precision& given, Precision& precision) {
  const int number = number_of(given);
  if (number < TS_PRECISION_REFERENCE || number > TS_PRECISION_DEFAULT)
    return error(StatusCode::kInvalidArgument,
                 "precision must be one of ts_precision, 0 (reference), 1 (fast) or 2 (default); got %d.", number);
  precision = static_cast<Precision>(number);
  return {};
}

Status to_sample_format(const ts_sample_format& given, SampleFormat& format) {
  const int number = number_of(given);
  if (number != TS_SAMPLE_F32 && number != TS_SAMPLE_S16)
    return error(StatusCode::kInvalidArgument, "format must be TS_SAMPLE_F32 or TS_SAMPLE_S16; got %d.", number);
  format = static_cast<SampleFormat>(number);
  return {};
}

Status to_image(const ts_image& given, Image& image) {
  TS_RETURN_IF_ERROR(to_format(given.format, image.format));
  TS_RETURN_IF_ERROR(check_size(image.format, given.width, given.height));
  image.width = static_cast<int>(given.width), image.height = static_cast<int>(given.height);
  image.stride_bytes = given.stride_bytes ? given.stride_bytes : row_bytes(image.format, image.width);
  image.data = given.data;
  image.alpha = given.alpha, image.depth = given.depth;
  return {};
}

Status to_canvas(uint32_t width, uint32_t height, const ts_format& format, const ts_precision& precision,
                 const AvatarFile& file, Canvas& canvas) {
  TS_RETURN_IF_ERROR(to_format(format, canvas.format));
  TS_RETURN_IF_ERROR(to_precision(precision, canvas.precision));
  const bool own = width == 0 && height == 0;
  const int64_t w = own ? file.width : width, h = own ? file.height : height;
  TS_RETURN_IF_ERROR(check_size(canvas.format, w, h));
  canvas.width = static_cast<int>(w), canvas.height = static_cast<int>(h);
  return {};
}

Status to_background(const char* function, const ts_background& given, Background& background) {
  if (given.color && given.image_f32)
    return error(StatusCode::kInvalidArgument, "%s: background has both color and image_f32; set at most one.",
                 function);
  background.color = given.color;
  background.image_f32 = given.image_f32;
  return {};
}

Camera to_camera(const ts_camera& given) {
  Camera camera;
  std::copy(given.cam_from_world, given.cam_from_world + 16, camera.cam_from_world);
  camera.fx = given.fx, camera.fy = given.fy, camera.cx = given.cx, camera.cy = given.cy;
  camera.near_plane = given.near_plane;
  return camera;
}

ts_camera to_c(const Camera& camera) {
  ts_camera given;
  std::copy(camera.cam_from_world, camera.cam_from_world + 16, given.cam_from_world);
  given.fx = camera.fx, given.fy = camera.fy, given.cx = camera.cx, given.cy = camera.cy;
  given.near_plane = camera.near_plane;
  return given;
}

ts_receipt to_c(const Receipt& r) {
  return {sizeof(ts_receipt), r.pose_us,     r.deform_us, r.project_us,  r.bin_us,   r.blend_us,
          r.total_us,         r.n_gaussians, r.n_visible, r.n_instances, r.n_dropped};
}

Status made_here(const char* function, const Backend& backend) {
  if (!backend.forked()) return {};
  return error(StatusCode::kDeviceError,
               "%s: the engine was made before fork(), and a child process has none of its threads. Make an engine and "
               "load the avatar in the child, or start processes with multiprocessing's \"spawn\" (Python).",
               function);
}

}  // namespace ts::capi
