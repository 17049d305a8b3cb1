// SPDX-License-Identifier: Apache-2.0
// blend.cu, dilate.cu and finish.h against a float64 oracle, in every order of threads.
#include <cstring>
#include <random>
#include <string>

#include "cpp/check.h"
#include "kernels/cuda/blend.cu"
#include "kernels/cuda/dilate.cu"
#include "simt/blend_oracle.h"

namespace {

using namespace ts;
using namespace ts::cuda;
using namespace ts_test;

constexpr uint8_t kUntouched = 0xa5;

// A layer as bin and project leave it.
struct Layer {
  std::vector<BlendSplat> splats;
  std::vector<SplatColor> colors;
  std::vector<uint32_t> keys;
  std::vector<TileList> lists;
  std::vector<Instance> instances;
  std::vector<float4> alone;
  std::vector<float> alone_depth, rows, reach;
  OracleLayer oracle;
};

// masks: of every block that the splat may touch; else of all, which must draw the same.
Layer make_layer(int n, int width, int height, float opacity, int dilate_px, bool masks, unsigned seed) {
  std::mt19937 random(seed);
  const auto between = [&](float low, float high) {
    return low + (high - low) * static_cast<float>(random() >> 8) / static_cast<float>(1 << 24);
  };
  Layer layer;
  layer.oracle.dilate_px = dilate_px;
  const int tiles_x = tiles_across(width), tiles = tiles_x * tiles_across(height);
  std::vector<std::vector<Instance>> of_tile(static_cast<size_t>(tiles));
  for (int i = 0; i < n; ++i) {
    BlendSplat s{};
    s.x_px = between(-5, static_cast<float>(width) + 5), s.y_px = between(-5, static_cast<float>(height) + 5);
    s.a = between(0.05f, 0.6f), s.d = between(0.05f, 0.6f), s.slope = between(-1, 1);
    s.log2_opacity = std::log2(opacity * between(0.1f, 1));
    const SplatColor color{between(0, 1.2f), between(0, 1), between(0, 1), 1 + 0.01f * static_cast<float>(i)};
    s.red_green = half2_of(color.red, color.green), s.blue = half2_of(color.blue, 0);
    layer.splats.push_back(s);
    layer.colors.push_back(color);
    layer.keys.push_back(__float_as_uint(color.depth));
    layer.oracle.splats.push_back(
        {s.x_px, s.y_px, s.a, s.d, s.slope, s.log2_opacity, {color.red, color.green, color.blue}, color.depth});
    for (int tile = 0; tile < tiles; ++tile) {
      uint32_t mask = 0;
      for (int p = 0; p < kTilePixels; ++p) {
        const double dx = tile % tiles_x * kTile + p % kTile - double{s.x_px};
        const double dy = tile / tiles_x * kTile + p / kTile - double{s.y_px};
        const double u = double{s.a} * (dx - double{s.slope} * dy), v = double{s.d} * dy;
        if (double{s.log2_opacity} - u * u - v * v >= double{kLog2MinAlpha} - 1e-4)
          mask |= 1u << (p / kTile / kBlock * 4 + p % kTile / kBlock);
      }
      if (mask) of_tile[static_cast<size_t>(tile)].push_back(uint64_t{masks ? mask : 0xffff} << 32 | uint32_t(i));
    }
  }
  for (const auto& instances : of_tile) {
    const auto begin = static_cast<uint32_t>(layer.instances.size());
    layer.instances.insert(layer.instances.end(), instances.begin(), instances.end());
    layer.lists.push_back({begin, static_cast<uint32_t>(layer.instances.size())});
  }
  const auto pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  layer.alone.resize(pixels), layer.alone_depth.resize(pixels);
  layer.rows.resize(pixels), layer.reach.resize(pixels);
  return layer;
}

struct Case {
  int width, height;
  Format format;
  Behind behind;
  bool fast, planes;
  int padding = 0;  // bytes behind every row
};

struct Drawn {
  std::vector<uint8_t> image;
  std::vector<float> alpha, depth;
};

BlendLayer lists_of(const Layer& layer, bool fast) {
  BlendLayer of{};
  of.lists = layer.lists.data(), of.instances = layer.instances.data();
  of.splat = layer.splats.data();
  (fast ? of.color = nullptr : of.color = layer.colors.data());
  of.key = layer.keys.data();
  return of;
}

int tiles_of(const BlendJob& job) { return tiles_across(job.width) * tiles_across(job.height); }

void launch_blend(const std::vector<BlendJob>& jobs, bool fast, simt::Order order) {
  int tiles = 0;
  for (const BlendJob& job : jobs) tiles = std::max(tiles, tiles_of(job));
  const Jobs<BlendJob> args{jobs.data()};
  simt::launch(fast ? "blend_fast" : "blend_reference",
               dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(jobs.size())), kBlendThreads, 0, {order, 3},
               [&] { fast ? blend_fast_kernel(args) : blend_reference_kernel(args); });
}

// Draws dilated layers alone and dilates them; then the job that shows all layers.
BlendJob prepare(const Case& c, std::vector<Layer>& layers, simt::Order order) {
  BlendJob job{};
  job.width = c.width, job.height = c.height, job.format = c.format, job.behind = c.behind;
  job.n_layers = static_cast<int>(layers.size());
  for (size_t l = 0; l < layers.size(); ++l) {
    Layer& layer = layers[l];
    job.layer[l] = lists_of(layer, c.fast);
    if (layer.oracle.dilate_px < 2) continue;
    BlendJob alone{};
    alone.width = c.width, alone.height = c.height, alone.n_layers = 1;
    alone.layer[0] = job.layer[l];
    alone.alone = layer.alone.data();
    if (c.planes) alone.depth = layer.alone_depth.data();
    launch_blend({alone}, c.fast, order);
    const DilateJob dilate{c.width,           c.height,          layer.oracle.dilate_px, layer.alone.data(),
                           layer.rows.data(), layer.reach.data()};
    const Jobs<DilateJob> args{&dilate};
    const auto blocks = static_cast<unsigned>((c.width * c.height + kDilateThreads - 1) / kDilateThreads);
    simt::launch("dilate_rows", blocks, kDilateThreads, 0, {order, 3}, [&] { dilate_rows_kernel(args); });
    simt::launch("dilate_columns", blocks, kDilateThreads, 0, {order, 3}, [&] { dilate_columns_kernel(args); });
    job.layer[l] = BlendLayer{};
    job.layer[l].alone = layer.alone.data(), job.layer[l].reach = layer.reach.data();
    if (c.planes) job.layer[l].alone_depth = layer.alone_depth.data();
  }
  return job;
}

struct Behinds {
  float color[3] = {0.2f, 0.5f, 0.9f};
  std::vector<float> f32;
  std::vector<uint8_t> u8;
};

Behinds make_behinds(int width, int height) {
  Behinds made;
  for (int i = 0; i < 3 * width * height; ++i) {
    made.u8.push_back(static_cast<uint8_t>(i * 37 % 256));
    made.f32.push_back(static_cast<float>(i * 13 % 101) / 100);
  }
  return made;
}

void set_behind(BlendJob& job, const Behinds& behinds) {
  std::memcpy(job.background, behinds.color, sizeof job.background);
  job.background_image = job.behind == Behind::kImageF32  ? static_cast<const void*>(behinds.f32.data())
                         : job.behind == Behind::kImageU8 ? static_cast<const void*>(behinds.u8.data())
                                                          : nullptr;
}

void give_memory(BlendJob& job, const Case& c, Drawn& drawn) {
  job.stride_bytes = row_bytes(c.format, c.width) + c.padding;
  const int rows = c.format == Format::kNv12 ? c.height * 3 / 2 : c.height;
  drawn.image.assign(static_cast<size_t>(job.stride_bytes * rows), kUntouched);
  job.image = drawn.image.data();
  if (!c.planes) return;
  drawn.alpha.assign(static_cast<size_t>(c.width * c.height), -1);
  drawn.depth = drawn.alpha;
  job.alpha = drawn.alpha.data(), job.depth = drawn.depth.data();
}

// The largest difference to the oracle, and whether padding was left alone.
void compare(const Case& c, const BlendJob& job, const Drawn& drawn, std::vector<OraclePixel> want,
             const Behinds& behinds, const std::string& name) {
  std::vector<double> background;
  for (size_t i = 0; i < 3 * want.size() && c.behind != Behind::kNothing; ++i) {
    background.push_back(c.behind == Behind::kColor      ? double{behinds.color[i % 3]}
                         : c.behind == Behind::kImageF32 ? double{behinds.f32[i]}
                                                         : behinds.u8[i] / 255.0);
  }
  if (!background.empty()) put_over(want, background);
  const bool floats = c.format == Format::kRgbF32;
  const std::vector<double> values = format_values(want, c.width, c.height, c.format, c.behind != Behind::kNothing);
  const int64_t row = row_bytes(c.format, c.width), size = floats ? 4 : 1;
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t byte = static_cast<int64_t>(i) * size;
    const uint8_t* at = drawn.image.data() + byte / row * job.stride_bytes + byte % row;
    float value;
    if (floats) std::memcpy(&value, at, sizeof value);
    // A straight colour of little coverage is a quotient of two small numbers.
    const size_t pixel = i / 4;
    if (c.format == Format::kRgba8 && c.behind == Behind::kNothing && want[pixel].coverage_t > 0.9) continue;
    worst = std::max(worst, std::fabs((floats ? double{value} : *at) - values[i]));
  }
  // Codes are rounded: half of one.
  const double limit = floats ? (c.fast ? 1.5 / 255 : 2e-5) : (c.fast ? 1.5 : 0.51);
  const bool stacked_fast = c.fast && c.format == Format::kRgba8 && c.behind == Behind::kNothing;  // a quotient
  CHECK_MESSAGE(worst <= (stacked_fast ? 4 : limit), name + ": image differs by " + std::to_string(worst));
  for (size_t i = 0; i < drawn.image.size(); ++i) {
    if (static_cast<int64_t>(i) % job.stride_bytes >= row) CHECK(drawn.image[i] == kUntouched);
  }
  double alpha = 0, depth = 0;
  for (size_t i = 0; i < drawn.alpha.size(); ++i) {
    alpha = std::max(alpha, std::fabs(double{drawn.alpha[i]} - (1 - want[i].coverage_t)));
    depth = std::max(depth, std::fabs(double{drawn.depth[i]} - want[i].depth));
  }
  CHECK_MESSAGE(alpha <= (c.fast ? 1.5 / 255 : 2e-5), name + ": alpha differs by " + std::to_string(alpha));
  CHECK_MESSAGE(depth <= (c.fast ? 4.0 / 255 : 1e-4), name + ": depth differs by " + std::to_string(depth));
}

void test_case(const Case& c, std::vector<Layer> layers, const std::string& name) {
  const Behinds behinds = make_behinds(c.width, c.height);
  std::vector<OracleLayer> oracles;
  for (const Layer& layer : layers) oracles.push_back(layer.oracle);
  const std::vector<OraclePixel> want = draw_layers(oracles, c.width, c.height);
  Drawn first;
  for (const simt::Order order : simt::kOrders) {
    BlendJob job = prepare(c, layers, order);
    set_behind(job, behinds);
    Drawn drawn;
    give_memory(job, c, drawn);
    launch_blend({job}, c.fast, order);
    if (order == simt::Order::kAscending) {
      compare(c, job, drawn, want, behinds, name);
      first = drawn;
    }
    CHECK_MESSAGE(drawn.image == first.image && drawn.alpha == first.alpha && drawn.depth == first.depth,
                  name + ": differs in another order of threads");
  }
}

void test_formats() {
  constexpr Format kFormats[] = {Format::kRgbF32, Format::kRgba8, Format::kRgb8, Format::kNv12};
  constexpr Behind kBehinds[] = {Behind::kNothing, Behind::kColor, Behind::kImageF32, Behind::kImageU8};
  for (const Format format : kFormats) {
    for (const Behind behind : kBehinds) {
      for (const bool fast : {false, true}) {
        const Case c{34,
                     18,
                     format,
                     behind,
                     fast,
                     fast == (behind == Behind::kColor),
                     format == Format::kRgbF32 ? 4 * static_cast<int>(behind) : static_cast<int>(behind)};
        std::vector<Layer> layers;
        layers.push_back(make_layer(40, c.width, c.height, 0.9f, 0, true, 11));
        test_case(c, std::move(layers),
                  "format " + std::to_string(static_cast<int>(format)) + " over " +
                      std::to_string(static_cast<int>(behind)) + (fast ? " fast" : ""));
      }
    }
  }
}

// Batches have 64 splats; opaque ones end early.
void test_lists() {
  for (const int n : {0, 1, 63, 64, 65, 300}) {
    for (const float opacity : {0.05f, 1.0f}) {
      for (const bool fast : {false, true}) {
        std::vector<Layer> layers;
        layers.push_back(make_layer(n, 16, 16, opacity, 0, n % 2 == 0, static_cast<unsigned>(n)));
        test_case({16, 16, Format::kRgbF32, Behind::kColor, fast, true}, std::move(layers),
                  std::to_string(n) + " splats of opacity " + std::to_string(opacity));
      }
    }
  }
}

void test_sizes() {
  const int sizes[][2] = {{1, 1}, {15, 17}, {33, 2}, {17, 16}};
  for (const auto& size : sizes) {
    for (const bool fast : {false, true}) {
      std::vector<Layer> layers;
      layers.push_back(make_layer(25, size[0], size[1], 0.8f, 0, true, 5));
      test_case({size[0], size[1], Format::kRgb8, Behind::kImageU8, fast, true, 1}, std::move(layers), "sizes");
    }
  }
}

void test_layers() {
  for (const int dilate_px : {0, 1, 3, 7}) {
    for (const bool fast : {false, true}) {
      for (const Behind behind : {Behind::kNothing, Behind::kColor}) {
        std::vector<Layer> layers;
        layers.push_back(make_layer(20, 35, 20, 0.6f, 0, true, 1));
        layers.push_back(make_layer(15, 35, 20, 0.9f, dilate_px, true, 2));
        layers.push_back(make_layer(30, 35, 20, 0.9f, 0, true, 3));
        test_case({35, 20, Format::kRgbF32, behind, fast, true}, std::move(layers),
                  "dilated by " + std::to_string(dilate_px));
      }
    }
  }
}

// Several in one launch are what each is by itself.
void test_jobs() {
  for (const bool fast : {false, true}) {
    const Case cases[] = {{34, 18, Format::kRgba8, Behind::kColor, fast, true},
                          {16, 16, Format::kNv12, Behind::kImageU8, fast, false},
                          {50, 40, Format::kRgbF32, Behind::kNothing, fast, true}};
    std::vector<std::vector<Layer>> layers;
    std::vector<Behinds> behinds;
    std::vector<Drawn> together(3), alone(3);
    for (int i = 0; i < 3; ++i) {
      layers.emplace_back();
      layers.back().push_back(make_layer(20 + 30 * i, cases[i].width, cases[i].height, 0.7f, 0, true, unsigned(i)));
      behinds.push_back(make_behinds(cases[i].width, cases[i].height));
    }
    std::vector<BlendJob> jobs;
    for (size_t i = 0; i < 3; ++i) {
      BlendJob job = prepare(cases[i], layers[i], simt::Order::kAscending);
      set_behind(job, behinds[i]);
      give_memory(job, cases[i], together[i]);
      jobs.push_back(job);
      give_memory(job, cases[i], alone[i]);
      launch_blend({job}, fast, simt::Order::kDescending);
    }
    // A place that nobody uses: a picture of no pixels.
    jobs.emplace_back();
    launch_blend(jobs, fast, simt::Order::kRandom);
    for (size_t i = 0; i < 3; ++i)
      CHECK(together[i].image == alone[i].image && together[i].alpha == alone[i].alpha &&
            together[i].depth == alone[i].depth);
  }
}

}  // namespace

int main() {
  test_formats();
  test_lists();
  test_sizes();
  test_layers();
  test_jobs();
  return ts_test::report("test_blend");
}
