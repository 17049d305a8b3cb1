#include "ops/rasterize.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "core/scan.h"
#include "cpu/kernel_table.h"

namespace ts {
namespace {

constexpr uint32_t kMaxSide = 16384;
constexpr int64_t kMaxGaussians = (1 << 24) - 1;  // times the spans of the widest image: still a uint32_t

// A C caller may put any number into an enum; C++ may not read it as one.
template <class Enum>
int number_of(const Enum& value) {
  static_assert(sizeof(Enum) == sizeof(int));
  int number;
  std::memcpy(&number, &value, sizeof number);
  return number;
}

Status check_color(const float* color) {
  const int64_t i = color ? find_non_finite(color, 3) : -1;
  if (i < 0) return {};
  return error(StatusCode::kInvalidArgument, "background: color must be finite; number %lld is %g.",
               static_cast<long long>(i), static_cast<double>(color[i]));
}

int64_t row_bytes(const ts_image& image) {
  switch (image.format) {
    case TS_FORMAT_RGB_F32:
      return 12 * static_cast<int64_t>(image.width);
    case TS_FORMAT_RGBA8:
      return 4 * static_cast<int64_t>(image.width);
    case TS_FORMAT_RGB8:
      return 3 * static_cast<int64_t>(image.width);
    case TS_FORMAT_NV12:
      return image.width;
  }
  return 0;
}

}  // namespace

Status validate(const Scene& scene) {
  const auto invalid = StatusCode::kInvalidArgument;
  if (scene.n < 0 || scene.n > kMaxGaussians)
    return error(invalid, "rasterize: n must be in 0..%lld; got %lld.", static_cast<long long>(kMaxGaussians),
                 static_cast<long long>(scene.n));
  const struct {
    const char* name;
    const float* data;
  } arrays[] = {{"mean_w", scene.mean_w},
                {"quat", scene.quat},
                {"scale", scene.scale},
                {"opacity", scene.opacity},
                {"color", scene.color}};
  for (const auto& array : arrays)
    if (scene.n > 0 && !array.data)
      return error(invalid, "rasterize: %s must not be NULL when n = %lld.", array.name,
                   static_cast<long long>(scene.n));
  if (scene.sh_degree < -1 || scene.sh_degree > 3)
    return error(invalid, "rasterize: sh_degree must be -1 (RGB) or 0..3; got %d.", scene.sh_degree);
  const int needed = (scene.sh_degree + 1) * (scene.sh_degree + 1);
  if (scene.sh_degree >= 0 && (scene.sh_stride < needed || scene.sh_stride > 16))
    return error(invalid, "rasterize: sh_stride must be in %d..16 coefficients for sh_degree %d; got %d.", needed,
                 scene.sh_degree, scene.sh_stride);
  return {};
}

Status validate(const ts_precision& precision) {
  const int number = number_of(precision);
  if (number != TS_PRECISION_REFERENCE && number != TS_PRECISION_FAST)
    return error(StatusCode::kInvalidArgument,
                 "precision must be one of ts_precision, 0 (reference) or 1 (fast); got %d.", number);
  return {};
}

Status validate(const ts_camera& camera) {
  const auto invalid = StatusCode::kInvalidArgument;
  for (int i = 0; i < 16; ++i)
    if (!std::isfinite(camera.cam_from_world[i]))
      return error(invalid, "camera: cam_from_world[%d] must be finite; got %g.", i, camera.cam_from_world[i]);
  const float* last = camera.cam_from_world + 12;
  if (last[0] != 0 || last[1] != 0 || last[2] != 0 || last[3] != 1)
    return error(invalid, "camera: the last row of cam_from_world must be 0 0 0 1; got %g %g %g %g. Is it transposed?",
                 last[0], last[1], last[2], last[3]);
  if (!(camera.fx > 0 && camera.fy > 0 && std::isfinite(camera.fx) && std::isfinite(camera.fy)))
    return error(invalid, "camera: fx and fy must be positive pixels; got %g, %g.", camera.fx, camera.fy);
  if (!std::isfinite(camera.cx) || !std::isfinite(camera.cy))
    return error(invalid, "camera: cx and cy must be finite pixels; got %g, %g.", camera.cx, camera.cy);
  if (!(camera.near_plane > 0 && std::isfinite(camera.near_plane)))
    return error(invalid, "camera: near_plane must be positive; got %g. The reference uses 0.2.", camera.near_plane);
  return {};
}

Status validate(const ts_image& image) {
  const auto invalid = StatusCode::kInvalidArgument;
  if (image.width < 1 || image.height < 1 || image.width > kMaxSide || image.height > kMaxSide)
    return error(invalid, "image: width and height must be in 1..%u pixels; got %ux%u.", kMaxSide, image.width,
                 image.height);
  if (number_of(image.format) < TS_FORMAT_RGB_F32 || number_of(image.format) > TS_FORMAT_NV12)
    return error(invalid, "image: format must be one of ts_format, 0 (RGB_F32) to 3 (NV12); got %d.",
                 number_of(image.format));
  if (image.format == TS_FORMAT_NV12 && (image.width % 2 || image.height % 2))
    return error(invalid, "image: NV12 needs an even width and height; got %ux%u.", image.width, image.height);
  if (!image.data) return error(invalid, "image: data must not be NULL.");
  if (image.stride_bytes != 0 && image.stride_bytes < row_bytes(image))
    return error(invalid, "image: stride_bytes must be 0 or at least %lld for this width and format; got %lld.",
                 static_cast<long long>(row_bytes(image)), static_cast<long long>(image.stride_bytes));
  return {};
}

Rasterizer::Rasterizer(const KernelTable& kernels, ThreadPool& pool, uint64_t max_pair_bytes)
    : kernels_(kernels), pool_(pool), max_pair_bytes_(max_pair_bytes), blend_(static_cast<size_t>(pool.threads())) {}

Status Rasterizer::draw(const Scene& scene, const ts_camera& camera, const Background& background, float dilation,
                        const ts_precision& precision, const ts_image& image, ts_receipt& receipt) {
  TS_RETURN_IF_ERROR(validate(scene));
  TS_RETURN_IF_ERROR(validate(camera));
  TS_RETURN_IF_ERROR(validate(image));
  if (!(dilation > 0 && std::isfinite(dilation)))
    return error(StatusCode::kInvalidArgument,
                 "rasterize: dilation must be positive px^2; got %g. The reference uses 0.3.", dilation);
  TS_RETURN_IF_ERROR(validate(precision));

  const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  TS_RETURN_IF_ERROR(check_color(background.color));
  // Two parts per thread: a thread that comes late leaves its second to the others.
  const int n_parts = pool_.threads() == 1 ? 1 : std::min(2 * pool_.threads(), kMaxParts);
  Stopwatch watch;

  ProjectArgs project{};
  project.n = scene.n;
  project.mean_w = scene.mean_w, project.quat = scene.quat, project.scale = scene.scale;
  project.opacity = scene.opacity, project.color = scene.color;
  project.sh_degree = scene.sh_degree, project.sh_stride = scene.sh_stride;
  project.camera = camera;
  project.width = width, project.height = height;
  project.dilation = dilation;
  project.splat = splats_.reserve(scene.n);
  project.visible = visible_.reserve(scene.n);
  project.parts = parts_, project.n_parts = n_parts;
  split_parts(project);

  BinArgs bin{};
  bin.splat = project.splat;
  bin.visible = project.visible;
  bin.parts = parts_, bin.n_parts = n_parts;
  bin.width = width, bin.height = height;
  bin.max_pair_bytes = max_pair_bytes_;
  bin.scratch = &bin_;
  const size_t tiles = static_cast<size_t>(tiles_across(width)) * tiles_across(height);
  bin.lists = lists_.reserve(tiles);
  bin.instances = &instances_;
  prepare_bin(bin, pool_.threads());

  std::atomic<bool> ok{true};
  pool_.run(n_parts, [&](int64_t part, int) {
    kernels_.project_part(project, static_cast<int>(part));
    if (!bin_part(bin, static_cast<int>(part), kernels_)) ok = false;
  });
  if (!ok) return no_memory_for_spans(bin);
  receipt.project_us += watch.lap();
  TS_RETURN_IF_ERROR(bin_rows(bin, pool_, &receipt.n_instances));
  receipt.bin_us += watch.lap();

  BlendArgs blend{};
  blend.splat = project.splat;
  blend.lists = bin.lists;
  blend.instances = instances_.data();
  blend.precision = precision;
  FinishArgs& finish = blend.finish;
  finish.width = width, finish.height = height;
  finish.format = image.format;
  finish.data = image.data;
  finish.stride_bytes = image.stride_bytes ? image.stride_bytes : row_bytes(image);
  finish.alpha = image.alpha, finish.depth = image.depth;
  finish.background_color = background.color;
  finish.background_f32 = background.image_f32;
  finish.background_u8 = background.image_u8;
  blend.scratch = blend_.data();
  blend_cpu(blend, kernels_, pool_);
  receipt.blend_us += watch.lap();

  receipt.n_gaussians = static_cast<uint32_t>(scene.n);
  receipt.n_visible = 0;
  for (int p = 0; p < n_parts; ++p) receipt.n_visible += static_cast<uint32_t>(parts_[p].n_visible);
  return {};
}

uint64_t Rasterizer::scratch_bytes() const {
  uint64_t bytes = splats_.bytes() + visible_.bytes() + lists_.bytes() + instances_.bytes() + blend_.bytes() +
                   bin_.rows.bytes() + bin_.places.bytes();
  for (const auto& spans : bin_.spans) bytes += spans.bytes();
  for (const auto& row : bin_.order)
    bytes += row.spans.bytes() + row.entries[0].bytes() + row.entries[1].bytes() + row.cursor.bytes();
  return bytes;
}

}  // namespace ts
