// SPDX-License-Identifier: Apache-2.0
#include "cpu/overlay.h"

#include <algorithm>

namespace ts {
namespace {

constexpr int64_t kStrip = 64;  // columns that a thread takes from top to bottom: a few cache lines of every row

// Each of n items, `stride` apart, becomes the largest of itself and the px - 1 after it; there are n + px - 1. An item is
// `width` numbers, each with those of its own place. In steps that double what an item knows of: log2(px) passes.
void largest_of(int px, float* item, int64_t n, int64_t stride, int64_t width) {
  const auto take = [&](int64_t count, int64_t ahead) {
    for (int64_t i = 0; i < count; ++i) {
      float *own = item + i * stride, *other = own + ahead * stride;
      for (int64_t c = 0; c < width; ++c) own[c] = std::max(own[c], other[c]);
    }
  };
  int64_t known = 1, count = n + px - 1;  // items that know of `known`
  for (; 2 * known <= px; known *= 2) take(count -= known, known);
  if (known < px) take(n, px - known);
}

}  // namespace

Background Overlay::Picture::as_background(bool transparent) const {
  Background background;
  background.image_f32 = static_cast<const float*>(image.data);
  background.alpha = image.alpha, background.depth = image.depth;
  background.transparent = transparent;
  return background;
}

// like: its size, and whether it has a depth.
Overlay::Picture Overlay::picture(Buffer<float>& memory, const Image& like, bool alpha) {
  const int64_t pixels = int64_t{like.width} * like.height;
  Picture made;
  made.image.width = like.width, made.image.height = like.height;
  made.image.format = Format::kRgbF32;
  made.image.stride_bytes = row_bytes(Format::kRgbF32, like.width);
  float* data = memory.reserve(static_cast<size_t>(5 * pixels));
  made.image.data = data;
  if (alpha) made.image.alpha = data + 3 * pixels;
  if (like.depth) made.image.depth = data + 4 * pixels;
  return made;
}

Status Overlay::draw(const RasterizeArgs& args, const DeformProgram& program, Rasterizer& rasterizer, ThreadPool& pool,
                     Receipt& receipt) {
  const std::vector<DeformBranch>& branches = program.branches;
  if (branches.size() < 2) return rasterizer.draw(args, receipt);
  TS_RETURN_IF_ERROR(check(args));
  const Background& given = args.background;
  const bool transparent = !given.color && !given.image_f32 && !given.image_u8;
  // Coverage is memory to be written and read again: only where somebody asks for it.
  Picture behind = picture(behind_, args.image, transparent || args.image.alpha || args.image.depth);
  // A mouth covers few tiles: the others of its picture are neither written nor read, until it must be whole.
  const int tiles = tiles_across(args.image.width) * tiles_across(args.image.height);
  uint8_t* drawn = drawn_.reserve(static_cast<size_t>(tiles));
  bool whole = false;
  receipt.n_gaussians = receipt.n_visible = 0, receipt.n_instances = 0;
  RasterizeArgs of = args;  // a branch's
  Receipt taken;            // and what it took
  int64_t end = args.gaussians.n;
  for (size_t b = branches.size(); b-- > 0;) {
    const DeformBranch& branch = branches[b];
    end -= branch.n;
    of.gaussians = rows_of(args.gaussians, end, branch.n);
    of.image = b == 0 ? args.image : behind.image;
    if (branch.dilate_px > 1) {  // over a whole picture: nothing over what lies behind makes it one
      whole = true;
      of.drawn = nullptr;
      of.gaussians.n = 0;
      TS_RETURN_IF_ERROR(rasterizer.draw(of, taken));
      of.gaussians.n = branch.n;
      Picture alone = picture(alone_, args.image, true);
      of.image = alone.image;
      of.background = Background{};
      TS_RETURN_IF_ERROR(rasterizer.draw(of, taken));
      dilate(alone, branch.dilate_px, behind, pool);
    } else {
      of.drawn = b == 0 || whole ? nullptr : drawn;
      TS_RETURN_IF_ERROR(rasterizer.draw(of, taken));
    }
    of.background = behind.as_background(transparent);
    if (!whole) of.background.drawn = drawn, of.background.elsewhere = &given;
    receipt.n_gaussians += taken.n_gaussians, receipt.n_visible += taken.n_visible;
    receipt.n_instances += taken.n_instances;
  }
  receipt.project_us += taken.project_us, receipt.bin_us += taken.bin_us, receipt.blend_us += taken.blend_us;
  return {};
}

// behind = top over behind, as if the top covered a pixel as much as it does the most covered one of a square of px
// pixels around it: this closes the gaps between a mouth's Gaussians.
void Overlay::dilate(const Picture& top, int px, const Picture& behind, ThreadPool& pool) {
  const int width = top.image.width, height = top.image.height, radius = px / 2;
  const float *color = static_cast<const float*>(top.image.data), *alpha = top.image.alpha;
  // [height + 2 radius][width + 2 radius] coverage with none around it; then, from each pixel on, the largest of px.
  const int64_t stride = width + 2 * radius, rows = height + 2 * radius;
  float* reach = reach_.reserve(static_cast<size_t>(stride * rows));
  pool.run(rows, [&](int64_t row, int) {
    float* to = reach + row * stride;
    std::fill_n(to, stride, 0.0f);
    if (row < radius || row >= radius + height) return;
    std::copy_n(alpha + (row - radius) * width, width, to + radius);
    largest_of(px, to, width, 1, 1);
  });
  const int64_t strips = (width + kStrip - 1) / kStrip;
  pool.run(strips, [&](int64_t strip, int) {
    const int64_t first = strip * kStrip;
    largest_of(px, reach + first, height, stride, std::min<int64_t>(kStrip, width - first));
  });
  auto* out = static_cast<float*>(behind.image.data);
  pool.run(height, [&](int64_t y, int) {
    for (int x = 0; x < width; ++x) {
      const int64_t i = y * width + x;
      const float covered = reach[y * stride + x];
      for (int c = 0; c < 3; ++c) out[3 * i + c] = color[3 * i + c] + (1 - covered) * out[3 * i + c];
      if (behind.image.alpha) behind.image.alpha[i] = alpha[i] + (1 - alpha[i]) * behind.image.alpha[i];
      if (behind.image.depth) behind.image.depth[i] = top.image.depth[i] + (1 - alpha[i]) * behind.image.depth[i];
    }
  });
}

}  // namespace ts
