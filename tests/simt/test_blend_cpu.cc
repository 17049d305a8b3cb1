// SPDX-License-Identifier: Apache-2.0
// blend.cu and finish.h against the CPU's kernels, to the bit. The two differ in 2^p alone, by a rounding: here places,
// axes and opacities are whole numbers of their units, so that p is whole and 2^p exact in both.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cpp/check.h"
#include "cpu/blend.h"
#include "cpu/kernel_table.h"
#include "kernels/cuda/blend.cu"

namespace {

using ts::Format;
using ts::Instance;
using ts::Splat;
using ts::TileList;
using ts::cuda::Behind;
using ts::cuda::BlendJob;
using ts::cuda::BlendSplat;
using ts::cuda::SplatColor;

constexpr uint8_t kUntouched = 0xa5;

struct Size {
  int width, height;
  size_t pixels() const { return static_cast<size_t>(width) * static_cast<size_t>(height); }
  int tiles() const { return ts::tiles_across(width) * ts::tiles_across(height); }
};

// Splats of a picture in depth order, as the CPU has them and as a GPU has them.
struct Layer {
  std::vector<Splat> cpu;
  std::vector<BlendSplat> gpu;
  std::vector<SplatColor> color;
  std::vector<uint32_t> key;
  std::vector<TileList> lists;
  std::vector<Instance> instances;
};

double exponent_at(const Splat& s, int x, int y) {
  const double dx = x - double{s.x_px}, dy = y - double{s.y_px};
  const double u = double{s.a} * (dx - double{s.slope} * dy), v = double{s.d} * dy;
  return double{s.log2_opacity} - u * u - v * v;
}

// A bit for each block of the tile that shows the splat. A warp of a GPU has 8x4 pixels: it names both blocks or none.
uint32_t mask_of(const Splat& s, Size size, int tile) {
  const int across = ts::tiles_across(size.width);
  uint32_t mask = 0;
  for (int p = 0; p < ts::kTilePixels; ++p) {
    const int x = p % ts::kTile, y = p / ts::kTile;
    if (exponent_at(s, tile % across * ts::kTile + x, tile / across * ts::kTile + y) >= double{ts::kLog2MinAlpha})
      mask |= 3u << (y / ts::kBlock * 4 + x / (2 * ts::kBlock) * 2);
  }
  return mask;
}

// The splats into the lists of the tiles that show them.
void list(Layer& layer, Size size) {
  for (int tile = 0; tile < size.tiles(); ++tile) {
    const auto begin = static_cast<uint32_t>(layer.instances.size());
    for (size_t i = 0; i < layer.cpu.size(); ++i) {
      const uint32_t mask = mask_of(layer.cpu[i], size, tile);
      if (mask) layer.instances.push_back(uint64_t{mask} << 32 | i);
    }
    layer.lists.push_back({begin, static_cast<uint32_t>(layer.instances.size())});
  }
}

void add(Layer& layer, const Splat& s) {
  layer.cpu.push_back(s);
  BlendSplat g{};
  g.x_px = s.x_px, g.y_px = s.y_px, g.a = s.a, g.d = s.d, g.slope = s.slope, g.log2_opacity = s.log2_opacity;
  g.red_green = ts::cuda::half2_of(s.red, s.green), g.blue = ts::cuda::half2_of(s.blue, 0);
  layer.gpu.push_back(g);
  layer.color.push_back({s.red, s.green, s.blue, s.depth});
  layer.key.push_back(__float_as_uint(s.depth));
}

// wide: one in so many has no shape, and covers all pixels. strongest: opacities are 2^-strongest at most.
Layer make_layer(Size size, int n, int wide, uint32_t seed, int strongest = 0) {
  std::mt19937 random(seed);
  const auto whole = [&](int low, int high) {
    return static_cast<float>(low + static_cast<int>(random() % static_cast<uint32_t>(high - low + 1)));
  };
  const auto fraction = [&] { return static_cast<float>(random() % 1024) / 1024; };  // a half holds it
  Layer layer;
  for (int i = 0; i < n; ++i) {
    Splat s{};
    s.x_px = whole(-3, size.width + 2), s.y_px = whole(-3, size.height + 2);
    s.a = whole(0, 2), s.d = whole(0, 2), s.slope = whole(-1, 1);
    if (i % wide == 0) s.a = s.d = s.slope = 0;
    s.log2_opacity = -whole(strongest, 8);  // 2^0 is capped, 2^-8 is below 1/255
    s.red = 2 * fraction() - 0.5f, s.green = fraction(), s.blue = fraction();
    s.depth = 1.0f + 0.01f * static_cast<float>(i);
    add(layer, s);
  }
  list(layer, size);
  return layer;
}

struct Picture {
  std::vector<uint8_t> image;
  std::vector<float> alpha, depth;
};

struct Wanted {
  Size size;
  Format format;
  Behind behind;
  bool alpha, depth;
  int padding = 0;  // bytes behind every row

  int64_t stride_bytes() const { return ts::row_bytes(format, size.width) + padding; }
};

Picture memory_of(const Wanted& w) {
  Picture made;
  const int rows = w.format == Format::kNv12 ? w.size.height * 3 / 2 : w.size.height;
  made.image.assign(static_cast<size_t>(w.stride_bytes() * rows), kUntouched);
  if (w.alpha) made.alpha.assign(w.size.pixels(), -1);
  if (w.depth) made.depth.assign(w.size.pixels(), -1);
  return made;
}

struct Background {
  float color[3] = {0.125f, 0.4f, 1.7f};
  std::vector<float> f32;
  std::vector<uint8_t> u8;

  explicit Background(Size size) {
    for (size_t i = 0; i < 3 * size.pixels(); ++i) {
      f32.push_back(static_cast<float>(i * 29 % 127) / 100 - 0.1f);
      u8.push_back(static_cast<uint8_t>(i * 37));
    }
    f32[0] = std::numeric_limits<float>::quiet_NaN(), f32[1] = std::numeric_limits<float>::infinity();
    f32[2] = -f32[1];
  }
};

float* data_of(std::vector<float>& plane) { return plane.empty() ? nullptr : plane.data(); }

ts::Background background_of(const Wanted& w, const Background& behind) {
  ts::Background made;
  if (w.behind == Behind::kColor) made.color = behind.color;
  if (w.behind == Behind::kImageF32) made.image_f32 = behind.f32.data();
  if (w.behind == Behind::kImageU8) made.image_u8 = behind.u8.data();
  return made;
}

Picture draw_cpu(const ts::KernelTable& kernels, const Layer& layer, const Wanted& w, const ts::Background& behind) {
  Picture drawn = memory_of(w);
  ts::BlendArgs args{};
  args.splat = layer.cpu.data(), args.lists = layer.lists.data(), args.instances = layer.instances.data();
  args.precision = ts::Precision::kReference;
  ts::Image& image = args.finish.image;
  image.width = w.size.width, image.height = w.size.height, image.format = w.format;
  image.stride_bytes = w.stride_bytes(), image.data = drawn.image.data();
  image.alpha = data_of(drawn.alpha), image.depth = data_of(drawn.depth);
  args.finish.background = behind;
  const auto scratch = std::make_unique<ts::BlendScratch>();
  for (int tile = 0; tile < w.size.tiles(); ++tile) kernels.blend_tile(args, tile, *scratch);
  return drawn;
}

// layers: from the front.
Picture draw_gpu(const std::vector<Layer>& layers, const Wanted& w, const Background& behind, simt::Order order,
                 bool fast = false) {
  Picture drawn = memory_of(w);
  BlendJob job{};
  job.width = w.size.width, job.height = w.size.height, job.n_layers = static_cast<int>(layers.size());
  job.format = w.format, job.behind = w.behind;
  std::memcpy(job.background, behind.color, sizeof job.background);
  if (w.behind == Behind::kImageF32) job.background_image = behind.f32.data();
  if (w.behind == Behind::kImageU8) job.background_image = behind.u8.data();
  job.stride_bytes = w.stride_bytes(), job.image = drawn.image.data();
  job.alpha = data_of(drawn.alpha), job.depth = data_of(drawn.depth);
  for (size_t l = 0; l < layers.size(); ++l) {
    job.layer[l].lists = layers[l].lists.data(), job.layer[l].instances = layers[l].instances.data();
    job.layer[l].splat = layers[l].gpu.data(), job.layer[l].key = layers[l].key.data();
    if (!fast) job.layer[l].color = layers[l].color.data();
  }
  const ts::cuda::Jobs<BlendJob> args{&job};
  const char* name = fast ? "blend_fast_kernel" : "blend_reference_kernel";
  simt::launch(name, static_cast<unsigned>(w.size.tiles()), ts::cuda::kBlendThreads, 0, {order, 9},
               [&] { fast ? ts::cuda::blend_fast_kernel(args) : ts::cuda::blend_reference_kernel(args); });
  return drawn;
}

// To the bit, but that a NaN is as good as another.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0 && (a[i] == a[i] || b[i] == b[i])) return false;
  }
  return true;
}

bool same_image(const Wanted& w, const Picture& a, const Picture& b) {
  if (w.format != Format::kRgbF32) return a.image == b.image;
  const auto floats = [](const std::vector<uint8_t>& bytes) {
    std::vector<float> made(bytes.size() / sizeof(float));
    std::memcpy(made.data(), bytes.data(), bytes.size());
    return made;
  };
  return same(floats(a.image), floats(b.image));
}

void compare(const ts::KernelTable& kernels, const Layer& layer, const Wanted& w, simt::Order order,
             const std::string& name, bool fast = false) {
  const Background behind(w.size);
  const Picture want = draw_cpu(kernels, layer, w, background_of(w, behind));
  const Picture got = draw_gpu({layer}, w, behind, order, fast);
  CHECK_MESSAGE(same_image(w, want, got), name + ": the image differs from the CPU's");
  CHECK_MESSAGE(same(want.alpha, got.alpha), name + ": alpha differs from the CPU's");
  CHECK_MESSAGE(same(want.depth, got.depth), name + ": depth differs from the CPU's");
}

constexpr Format kFormats[] = {Format::kRgbF32, Format::kRgba8, Format::kRgb8, Format::kNv12};
constexpr Behind kBehinds[] = {Behind::kNothing, Behind::kColor, Behind::kImageF32, Behind::kImageU8};

// A picture with empty tiles, others whose lists are of several batches, ragged borders, and odd strides where they may
// be.
void test_formats(const ts::KernelTable& kernels) {
  for (const Format format : kFormats) {
    const Size size = format == Format::kNv12 ? Size{38, 22} : Size{37, 21};
    const Layer layer = make_layer(size, 150, 50, 1), empty = make_layer(size, 0, 1, 2);
    for (const Behind behind : kBehinds) {
      for (const bool depth : {false, true}) {
        const int of = static_cast<int>(behind), padding = format == Format::kRgbF32 ? 4 * of : of;
        const Wanted w{size, format, behind, depth != (of % 2 == 0), depth, padding};
        const std::string name = "format " + std::to_string(static_cast<int>(format)) + " over " + std::to_string(of);
        compare(kernels, layer, w, simt::Order::kRandom, name);
        compare(kernels, empty, w, simt::Order::kAscending, name + ", empty");
      }
    }
  }
}

void test_sizes(const ts::KernelTable& kernels) {
  for (const Size size : {Size{1, 1}, Size{15, 17}, Size{16, 16}, Size{33, 2}, Size{2, 50}}) {
    for (const Format format : kFormats) {
      if (format == Format::kNv12 && (size.width % 2 || size.height % 2)) continue;
      const std::string name = std::to_string(size.width) + "x" + std::to_string(size.height);
      compare(kernels, make_layer(size, 40, 7, 3), {size, format, Behind::kColor, true, true}, simt::Order::kDescending,
              name);
    }
  }
}

// Lists that end at, before and behind a batch's end and a turn's; far more than one, which end early.
void test_lists(const ts::KernelTable& kernels) {
  const Size size{16, 16};
  for (const int n : {1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 128, 129, 500}) {
    for (const int wide : {1, 1000}) {
      for (const simt::Order order : simt::kOrders)
        compare(kernels, make_layer(size, n, wide, static_cast<uint32_t>(n)),
                {size, Format::kRgbF32, Behind::kNothing, true, true}, order, std::to_string(n) + " splats");
    }
  }
}

// A pixel takes splats down to a transmittance of 1e-4, and none from the first on that would take it below, be there
// weaker ones behind: 1/2 thirteen times is 1.2e-4, once more is less, and so is 1/8 twice.
void test_limit(const ts::KernelTable& kernels) {
  const Size size{16, 16};
  const Wanted w{size, Format::kRgbF32, Behind::kColor, true, true};
  const auto flat = [](float log2_opacity) {
    Splat s{};
    s.log2_opacity = log2_opacity, s.red = 1, s.green = 0.5f, s.depth = 2;
    return s;
  };
  const auto transmittance = [&](const Layer& layer) {
    return 1 - double{draw_gpu({layer}, w, Background(size), simt::Order::kAscending).alpha[0]};
  };
  struct Stack {
    std::vector<float> log2_opacity;
    double left;
  };
  const std::vector<float> halves(13, -1.0f);
  const auto then = [&](std::initializer_list<float> more) {
    std::vector<float> all = halves;
    all.insert(all.end(), more);
    return all;
  };
  const Stack stacks[] = {
      {halves, 0x1p-13},
      {then({-1.0f}), 0x1p-13},
      {then({-3.0f}), 0.875 * 0x1p-13},
      {then({-3.0f, -3.0f, -7.0f}), 0.875 * 0x1p-13},  // the second is refused, and what is behind it
      {then({-8.0f, -8.0f, -8.0f}), 0x1p-13},          // below 1/255: not there
      {{3.0f}, 0.01},                                  // capped
      {{3.0f, 3.0f, 3.0f}, 0.01},                      // 0.01 of that is below 1e-4 in float32
  };
  for (const Stack& stack : stacks) {
    Layer layer;
    for (const float log2_opacity : stack.log2_opacity) add(layer, flat(log2_opacity));
    list(layer, size);
    compare(kernels, layer, w, simt::Order::kRandom, "at the limit");
    CHECK(std::fabs(transmittance(layer) - stack.left) < 1e-6);
  }
}

// Colours that halves hold, and no pixel that ends early: fast precision is then what reference is.
void test_fast(const ts::KernelTable& kernels) {
  const Size size{37, 21};
  for (const Format format : {Format::kRgbF32, Format::kRgba8}) {
    for (const bool depth : {false, true})
      compare(kernels, make_layer(size, 7, 3, 4, 1), {size, format, Behind::kColor, true, depth}, simt::Order::kRandom,
              "fast", true);
  }
}

// The CPU draws a stack from the back, each layer over the picture of what is behind it (cpu/overlay.cc); a GPU draws
// from the front. They differ by roundings.
double stack_difference(const ts::KernelTable& kernels, const std::vector<Layer>& layers, const Wanted& w) {
  const Background given(w.size);
  Picture want;
  ts::Background over = background_of(w, given);
  for (size_t l = layers.size(); l-- > 0;) {
    Picture drawn = draw_cpu(kernels, layers[l], w, over);
    want = std::move(drawn);
    over = {};
    over.image_f32 = reinterpret_cast<const float*>(want.image.data());
    over.alpha = want.alpha.data(), over.depth = want.depth.data();
    over.transparent = w.behind == Behind::kNothing;
  }
  const Picture got = draw_gpu(layers, w, given, simt::Order::kDescending);
  double worst = 0;
  for (size_t i = 0; i < want.alpha.size(); ++i) {
    worst = std::max(worst, std::fabs(double{want.alpha[i]} - got.alpha[i]));
    worst = std::max(worst, std::fabs(double{want.depth[i]} - got.depth[i]));
  }
  for (size_t i = 0; i < want.image.size(); i += sizeof(float)) {
    float a, b;
    std::memcpy(&a, &want.image[i], sizeof a), std::memcpy(&b, &got.image[i], sizeof b);
    worst = std::max(worst, std::fabs(double{a} - b));
  }
  return worst;
}

void test_stack(const ts::KernelTable& kernels) {
  const Size size{38, 22};
  const std::vector<Layer> layers = {make_layer(size, 12, 4, 5, 1), make_layer(size, 30, 10, 6),
                                     make_layer(size, 20, 7, 7)};
  for (const Behind behind : {Behind::kNothing, Behind::kColor, Behind::kImageU8}) {
    const double worst = stack_difference(kernels, layers, {size, Format::kRgbF32, behind, true, true});
    CHECK_MESSAGE(worst < 5e-7, "a stack differs from the CPU's by " + std::to_string(worst));
  }
  // Each of the two in front lets through 1e-4 at most, and may do so: what is behind both is there nevertheless.
  std::vector<Layer> opaque(3);
  for (Layer& layer : opaque) {
    Splat s{};
    s.log2_opacity = 1, s.red = s.green = s.blue = 8, s.depth = 9;
    add(layer, s);
    list(layer, size);
  }
  const double worst = stack_difference(kernels, opaque, {size, Format::kRgbF32, Behind::kNothing, true, true});
  CHECK_MESSAGE(worst < 5e-6, "an opaque stack differs from the CPU's by " + std::to_string(worst));
}

}  // namespace

int main() {
  // Those that round as a GPU does; the scalar kernels have no fused multiply and add.
  const ts::KernelTable* kernels = nullptr;
  for (const char* isa : {"avx2", "neon"}) {
    if (!kernels && !ts::find_kernels(isa, &kernels).ok()) kernels = nullptr;
  }
  if (!kernels) {
    std::printf("test_blend_cpu: skipped, this build or CPU has neither avx2 nor neon\n");
    return 0;
  }
  test_formats(*kernels);
  test_sizes(*kernels);
  test_lists(*kernels);
  test_limit(*kernels);
  test_fast(*kernels);
  test_stack(*kernels);
  return ts_test::report("test_blend_cpu");
}
