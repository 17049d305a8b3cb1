// SPDX-License-Identifier: Apache-2.0
// bin.cu against three oracles: lists made splat by splat with the same cuts, to which they must be equal; the ellipse
// in float64, which block masks must cover and may exceed by rounding alone; and the CPU's lists.
#include "kernels/cuda/bin.cu"
//
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "cpp/check.h"
#include "cpu/bin.h"
#include "cpu/kernel_table.h"
#include "cuda/capacity.h"

namespace {

using ts::Instance;
using ts::TileList;
using ts::cuda::BinJob;
using ts::cuda::BinSplat;
using ts::cuda::BlendSplat;
using ts::cuda::kBinChunk;
using ts::cuda::kBinWindow;

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
constexpr uint64_t kUntouched = 0xabababababababab;

// ThreadSanitizer sees a race in any order, and takes a hundred times as long: there a few scenes run, in one order.
#if defined(SIMT_TSAN)
constexpr bool kRacesOnly = true;
constexpr simt::Order kTried[] = {simt::Order::kRandom};
#else
constexpr bool kRacesOnly = false;
constexpr auto& kTried = simt::kOrders;
#endif

// A layer's splats on a canvas, in depth order by `order`.
struct Layer {
  int tiles_x, tiles_y;
  std::vector<BlendSplat> blend;
  std::vector<BinSplat> bin;
  std::vector<uint32_t> order;  // [n] those that are visible first
  uint32_t n_visible = 0;

  Layer(int width, int height) : tiles_x(ts::tiles_across(width)), tiles_y(ts::tiles_across(height)) {}
  int tiles() const { return tiles_x * tiles_y; }
  int n() const { return static_cast<int>(blend.size()); }

  // Splats in random order, every eighth of those that `hides` hidden.
  void shuffle(unsigned seed, bool hides) {
    std::mt19937 random(seed);
    std::vector<uint32_t> hidden;
    order.clear();
    for (uint32_t i = 0; i < static_cast<uint32_t>(n()); ++i)
      (hides && random() % 8 == 0 ? hidden : order).push_back(i);
    std::shuffle(order.begin(), order.end(), random);
    n_visible = static_cast<uint32_t>(order.size());
    order.insert(order.end(), hidden.begin(), hidden.end());
  }
};

// Tiles of an axis from centre - extent to centre + extent, first | last << 16.
uint32_t tile_range(double centre, double extent, int tiles) {
  const auto tile = [&](double px) {
    return static_cast<uint32_t>(std::clamp(std::floor(px / ts::kTile), 0.0, tiles - 1.0));
  };
  return tile(centre - extent) | tile(centre + extent) << 16;
}

// A splat of a covariance, in px^2, as math/project.h makes it; its rectangle is cut by the canvas.
void add(Layer& layer, double x, double y, double xx, double xy, double yy, double log2_opacity) {
  const double k = 0.5 / std::log(2.0), det = xx * yy - xy * xy, reach = (log2_opacity + 7.994353437) * 1.0001 + 1e-4;
  const double a = std::sqrt(k * yy / det), x_extent = std::sqrt(reach / k * xx), y_extent = std::sqrt(reach / k * yy);
  BlendSplat blend{};
  blend.x_px = static_cast<float>(x), blend.y_px = static_cast<float>(y);
  blend.a = static_cast<float>(a), blend.d = static_cast<float>(std::sqrt(k / yy));
  blend.slope = static_cast<float>(xy / yy);
  blend.log2_opacity = static_cast<float>(log2_opacity);
  BinSplat bin{};
  bin.reach = static_cast<float>(reach), bin.inv_a = static_cast<float>(1 / a);
  bin.y_at_x_extreme = static_cast<float>(xy * x_extent / xx);
  const uint32_t tile_x = tile_range(x, x_extent + 1, layer.tiles_x),
                 tile_y = tile_range(y, y_extent + 1, layer.tiles_y);
  bin.block_x = (tile_x & 0xffff) * 4 | ((tile_x >> 16) * 4 + 3) << 16;
  bin.tile_y = (tile_y & 0xffff) | ((tile_y >> 16) + 1) << 16;
  layer.blend.push_back(blend), layer.bin.push_back(bin);
}

// Splats of all sizes and shapes, from a part of a pixel to `largest` px.
Layer random_layer(int width, int height, int n, double largest, unsigned seed) {
  Layer layer(width, height);
  std::mt19937 random(seed);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  for (int i = 0; i < n; ++i) {
    const double long_px = 0.5 * std::pow(2 * largest, uniform(0, 1)),
                 wide_px = long_px * std::pow(0.02, uniform(0, 1));
    const double turn = uniform(0, 3.14159265), c = std::cos(turn), s = std::sin(turn);
    const double u = long_px * long_px, v = wide_px * wide_px + 0.3;
    add(layer, uniform(-0.1, 1.1) * width, uniform(-0.1, 1.1) * height, c * c * u + s * s * v, c * s * (u - v),
        s * s * u + c * c * v, uniform(-7, 0));
  }
  layer.shuffle(seed + 1, true);
  return layer;
}

// ---- the lists, splat by splat ----

struct Lists {
  std::vector<std::vector<Instance>> of_tile;
  uint64_t n_instances = 0;
  uint32_t n_dropped = 0;
};

// Of each tile that a splat's list is in. The mask may be empty.
template <class Visit>
void for_tiles(const Layer& layer, uint32_t i, const Visit& visit) {
  const BlendSplat& b = layer.blend[i];
  const BinSplat& s = layer.bin[i];
  const ts::Chords chords{ts::f32(b.x_px),           ts::f32(b.y_px),  ts::f32(b.d),    ts::f32(s.reach),
                          ts::f32(s.y_at_x_extreme), ts::f32(s.inv_a), ts::f32(b.slope)};
  const auto low = static_cast<float>(s.block_x & 0xffff), high = static_cast<float>(s.block_x >> 16);
  for (int y = static_cast<int>(s.tile_y & 0xffff); y < static_cast<int>(s.tile_y >> 16); ++y) {
    ts::BlockRows blocks;
    ts::cut_blocks(chords, ts::f32(low), ts::f32(high), ts::i32(y), blocks);
    ts::i32 first, last;
    ts::cut_tiles(chords, ts::f32(std::floor(low / 4)), ts::f32(std::floor(high / 4)), ts::i32(y), first, last);
    for (int x = first.v; x <= last.v; ++x) {
      uint32_t mask = 0;
      for (int block = 0; block < 16; ++block) {
        const int column = 4 * x + block % 4, row = block / 4;
        if (blocks.first[row].v <= column && column <= blocks.last[row].v) mask |= 1u << block;
      }
      visit(y * layer.tiles_x + x, mask);
    }
  }
}

Lists expected(const Layer& layer, uint32_t capacity) {
  Lists lists;
  lists.of_tile.resize(static_cast<size_t>(layer.tiles()));
  bool full = false;
  for (uint32_t first = 0; first < layer.n_visible; first += kBinChunk) {
    const uint32_t end = std::min<uint32_t>(first + kBinChunk, layer.n_visible);
    for (uint32_t rank = first; rank < end; ++rank)
      for_tiles(layer, layer.order[rank], [&](int, uint32_t) { ++lists.n_instances; });
    full = full || lists.n_instances > capacity;
    if (full) {
      lists.n_dropped += end - first;
      continue;
    }
    for (uint32_t rank = first; rank < end; ++rank) {
      const uint32_t i = layer.order[rank];
      for_tiles(layer, i, [&](int tile, uint32_t mask) {
        lists.of_tile[static_cast<size_t>(tile)].push_back(Instance{mask} << 32 | i);
      });
    }
  }
  return lists;
}

// ---- the kernels ----

// A layer's arrays on the device, each as long as bin.h says.
struct Device {
  std::vector<uint32_t> count, chunk_total;
  std::vector<TileList> lists;
  std::vector<Instance> instances;
  ts::cuda::LayerStatus status;

  BinJob job(const Layer& layer, uint32_t capacity) {
    const auto chunks = static_cast<size_t>(ts::cuda::bin_chunks(layer.n()));
    const auto tiles = static_cast<size_t>(layer.tiles());
    count.assign((chunks + 1) * tiles, 0xcccccccc);
    chunk_total.assign(chunks * static_cast<size_t>(ts::cuda::bin_windows(layer.tiles())), 0xcccccccc);
    lists.assign(tiles, {0xcccccccc, 0xcccccccc});
    instances.assign(capacity, kUntouched);
    status = {};
    status.n_visible = layer.n_visible;
    BinJob job{};
    job.n = layer.n();
    job.tiles_x = layer.tiles_x, job.tiles_y = layer.tiles_y;
    job.capacity = capacity;
    job.order = layer.order.data(), job.blend = layer.blend.data(), job.bin = layer.bin.data();
    job.count = count.data(), job.chunk_total = chunk_total.data(), job.lists = lists.data();
    job.instances = instances.data(), job.status = &status;
    return job;
  }
};

void launch(const std::vector<BinJob>& jobs, simt::Order order) {
  int64_t parts = 0, scans = 0, windows = 0;
  for (const BinJob& job : jobs) {
    const int64_t tiles = int64_t{job.tiles_x} * job.tiles_y;
    parts = std::max(parts, ts::cuda::bin_chunks(job.n) * ts::cuda::bin_windows(tiles));
    scans = std::max(scans, (tiles + ts::cuda::kBinScanTiles - 1) / ts::cuda::kBinScanTiles);
    windows = std::max(windows, ts::cuda::bin_windows(tiles));
  }
  const ts::cuda::Jobs<BinJob> args{jobs.data()};
  const simt::Options options{order, 3};
  const auto run = [&](const char* name, int64_t x, int threads, void (*kernel)(ts::cuda::Jobs<BinJob>)) {
    if (x == 0) return;  // no splats: the host launches nothing
    simt::launch(name, dim3(static_cast<unsigned>(x), static_cast<unsigned>(jobs.size())),
                 dim3(static_cast<unsigned>(threads)), 0, options, [&] { kernel(args); });
  };
  run("bin_count_kernel", parts, kBinChunk, [](auto a) { ts::cuda::bin_count_kernel(a); });
  run("bin_scan_kernel", scans, ts::cuda::kBinScanThreads, [](auto a) { ts::cuda::bin_scan_kernel(a); });
  run("bin_lists_kernel", windows, kBinWindow, [](auto a) { ts::cuda::bin_lists_kernel(a); });
  run("bin_scatter_kernel", parts, kBinChunk, [](auto a) { ts::cuda::bin_scatter_kernel(a); });
}

void require_equal(const Device& device, const Lists& want, const std::string& what) {
  uint32_t place = 0;
  bool in_place = true, same = true;
  for (size_t tile = 0; tile < want.of_tile.size(); ++tile) {
    const TileList list = device.lists[tile];
    in_place = in_place && list.begin == place && list.end - list.begin == want.of_tile[tile].size();
    if (!in_place) break;
    same = same && std::equal(want.of_tile[tile].begin(), want.of_tile[tile].end(), device.instances.begin() + place);
    place = list.end;
  }
  CHECK_MESSAGE(in_place, what + ": lists lie one after the other, each as long as it should");
  CHECK_MESSAGE(same, what + ": instances");
  const bool untouched =
      std::all_of(device.instances.begin() + place, device.instances.end(), [](Instance i) { return i == kUntouched; });
  CHECK_MESSAGE(untouched, what + ": what lies after the lists");
  CHECK_MESSAGE(device.status.n_instances == std::min<uint64_t>(want.n_instances, UINT32_MAX), what + ": n_instances");
  CHECK_MESSAGE(device.status.n_dropped == want.n_dropped, what + ": n_dropped");
}

// The layers in one launch, in each order.
void require_lists(const std::vector<Layer>& layers, const std::vector<uint32_t>& capacities, const std::string& what) {
  std::vector<Lists> want;
  for (size_t k = 0; k < layers.size(); ++k) want.push_back(expected(layers[k], capacities[k]));
  for (const simt::Order order : kTried) {
    std::vector<Device> devices(layers.size());
    std::vector<BinJob> jobs;
    for (size_t k = 0; k < layers.size(); ++k) jobs.push_back(devices[k].job(layers[k], capacities[k]));
    launch(jobs, order);
    for (size_t k = 0; k < layers.size(); ++k)
      require_equal(devices[k], want[k],
                    what + ", layer " + std::to_string(k) + ", order " + std::to_string(static_cast<int>(order)));
  }
}

uint32_t enough(const Layer& layer) { return static_cast<uint32_t>(expected(layer, UINT32_MAX).n_instances); }

void require_lists(const Layer& layer, const std::string& what) { require_lists({layer}, {enough(layer) + 3}, what); }

// ---- the ellipse in float64 ----

// Whether the ellipse, with its reach times `grown`, passes block column c of the band of pixel rows top .. top + 3
// (below the splat's centre), all within `slack` pixels.
bool passes(const Layer& layer, uint32_t i, double top, int column, double grown, double slack) {
  const double d = layer.blend[i].d, slope = layer.blend[i].slope, inv_a = layer.bin[i].inv_a;
  const double reach = double{layer.bin[i].reach} * grown, y_end = std::sqrt(reach) / d;
  const double low = std::max(top - slack, -y_end), high = std::min(top + 3 + slack, y_end);
  if (low > high) return false;
  const double y_extreme = slope * std::sqrt(reach) / (d * std::hypot(d * inv_a, slope));
  const auto chord = [&](double y) { return inv_a * std::sqrt(std::max(0.0, reach - d * d * y * y)); };
  const double y_right = std::clamp(y_extreme, low, high), y_left = std::clamp(-y_extreme, low, high);
  const double right = layer.blend[i].x_px + slope * y_right + chord(y_right);
  const double left = layer.blend[i].x_px + slope * y_left - chord(y_left);
  return left <= 4 * column + 3 + slack && right >= 4 * column - slack;
}

// Every block that the ellipse passes is in `mask`, and no other that it does not nearly pass.
bool covers(const Layer& layer, uint32_t i, int tile, uint32_t mask, double grown) {
  for (int block = 0; block < 16; ++block) {
    const int row = tile / layer.tiles_x * 4 + block / 4, column = tile % layer.tiles_x * 4 + block % 4;
    const double top = 4.0 * row - layer.blend[i].y_px;
    const bool in_mask = mask >> block & 1;
    if (!in_mask && passes(layer, i, top, column, 1 - 1e-5, -2e-3)) return false;
    if (in_mask && !passes(layer, i, top, column, grown, 2e-3)) return false;
  }
  return true;
}

void test_masks() {
  const Layer layer = random_layer(300, 250, 400, 90, 11);
  const uint32_t capacity = enough(layer);
  Device device;
  launch({device.job(layer, capacity)}, simt::Order::kAscending);
  int n_wrong = 0;
  for (uint32_t rank = 0; rank < layer.n_visible; ++rank) {
    const uint32_t i = layer.order[rank];
    for (int tile = 0; tile < layer.tiles(); ++tile) {
      uint32_t mask = 0;
      for (uint32_t k = device.lists[tile].begin; k < device.lists[tile].end; ++k)
        if (static_cast<uint32_t>(device.instances[k]) == i) mask = static_cast<uint32_t>(device.instances[k] >> 32);
      n_wrong += !covers(layer, i, tile, mask, 1 + 1e-5);
    }
  }
  CHECK_MESSAGE(n_wrong == 0, "block masks that the ellipse contradicts: " + std::to_string(n_wrong));
}

// ---- the CPU's lists ----

// They may have blocks more, since its square root is an upper bound. Instances without blocks count for neither.
void test_cpu() {
  const int width = 500, height = 400;
  Layer layer = random_layer(width, height, 900, 60, 23);
  std::vector<ts::Splat> splats(layer.blend.size());
  std::vector<uint32_t> visible(layer.order.begin(), layer.order.begin() + layer.n_visible);
  for (uint32_t rank = 0; rank < layer.n_visible; ++rank) {
    const uint32_t i = layer.order[rank];
    const BlendSplat& b = layer.blend[i];
    const BinSplat& s = layer.bin[i];
    ts::Splat& splat = splats[i];
    splat = {};
    splat.x_px = b.x_px, splat.y_px = b.y_px, splat.a = b.a, splat.d = b.d, splat.slope = b.slope;
    splat.reach = s.reach, splat.y_at_x_extreme = s.y_at_x_extreme, splat.inv_a = s.inv_a;
    splat.block_x0 = static_cast<float>(s.block_x & 0xffff), splat.block_x1 = static_cast<float>(s.block_x >> 16);
    splat.tile_y0 = static_cast<uint16_t>(s.tile_y), splat.tile_y1 = static_cast<uint16_t>(s.tile_y >> 16);
    splat.depth = 1 + static_cast<float>(rank);
  }
  std::sort(visible.begin(), visible.end());
  ts::ProjectPart part{0, layer.n(), static_cast<int64_t>(visible.size())};
  ts::BinScratch scratch;
  std::vector<TileList> lists(static_cast<size_t>(layer.tiles()));
  ts::Buffer<Instance> instances;
  ts::BinArgs args{splats.data(),     visible.data(), &part,        1,         width, height,
                   ts::kMaxPairBytes, &scratch,       lists.data(), &instances};
  const ts::KernelTable* kernels = nullptr;
  CHECK(ts::find_kernels(nullptr, &kernels).ok());
  ts::ThreadPool pool(1);
  ts::prepare_bin(args, 1);
  CHECK(ts::bin_part(args, 0, *kernels));
  uint64_t n_instances = 0;
  CHECK(ts::bin_rows(args, pool, &n_instances).ok());

  Device device;
  launch({device.job(layer, enough(layer))}, simt::Order::kAscending);
  const auto with_blocks = [](const Instance* all, TileList list) {
    std::vector<Instance> kept;
    std::copy_if(all + list.begin, all + list.end, std::back_inserter(kept), [](Instance i) { return i >> 32 != 0; });
    return kept;
  };
  int n_wrong = 0, n_equal = 0, n_all = 0;
  for (int tile = 0; tile < layer.tiles(); ++tile) {
    const auto gpu = with_blocks(device.instances.data(), device.lists[tile]);
    const auto cpu = with_blocks(instances.data(), lists[tile]);
    size_t k = 0;
    for (const Instance of_cpu : cpu) {
      const auto i = static_cast<uint32_t>(of_cpu);
      const bool in_both = k < gpu.size() && static_cast<uint32_t>(gpu[k]) == i;
      const Instance of_gpu = in_both ? gpu[k++] : i;
      n_equal += of_gpu == of_cpu;
      n_wrong += of_gpu != of_cpu && !(covers(layer, i, tile, static_cast<uint32_t>(of_gpu >> 32), 1 + 1e-5) &&
                                       covers(layer, i, tile, static_cast<uint32_t>(of_cpu >> 32), 1.003));
    }
    n_all += static_cast<int>(cpu.size());
    n_wrong += k != gpu.size();  // a splat that the CPU lacks, or has elsewhere
  }
  CHECK_MESSAGE(n_wrong == 0, "lists that differ from the CPU's: " + std::to_string(n_wrong));
  CHECK_MESSAGE(n_equal > 0.99 * n_all,
                "masks equal to the CPU's: " + std::to_string(n_equal) + " of " + std::to_string(n_all));
}

// ---- scenes ----

void test_sizes() {
  for (int n : {1, 31, 32, 33, 255, 256, 257, 513}) {
    Layer layer = random_layer(200, 150, n, 20, static_cast<unsigned>(n));
    require_lists(layer, std::to_string(n) + " splats");
    if (n % 32 != 0) continue;
    layer.shuffle(7, false);
    require_lists(layer, std::to_string(n) + " visible splats");
  }
  for (const auto& [width, height] : {std::pair{1, 1}, {16, 16}, {17, 16}, {16, 17}, {511, 33}, {512, 512}})
    require_lists(random_layer(width, height, 100, 20, 5), std::to_string(width) + "x" + std::to_string(height));
}

// More tiles than a window has: windows that begin in the middle of a row, a row of several windows' tiles, a column.
void test_windows() {
  require_lists(random_layer(1040, 600, 270, 60, 31), "three windows");
  require_lists(random_layer(16384, 40, 60, 500, 32), "rows of a window each");
  require_lists(random_layer(40, 16384, 60, 500, 33), "columns");
}

void test_nothing() {
  require_lists({Layer(100, 100)}, {5}, "no splats");
  Layer hidden = random_layer(100, 100, 300, 20, 41);
  hidden.n_visible = 0;
  require_lists({hidden}, {5}, "nothing visible");
  // A tile's corner that a rectangle has and the ellipse has not.
  Layer beside(64, 64);
  for (int i = 0; i < 40; ++i) add(beside, 20, 20, 0.3, 0, 0.3, -1), beside.bin.back().block_x = 15u << 16 | 12;
  beside.shuffle(1, false);
  require_lists({beside}, {5}, "rectangles that no ellipse touches");
}

// Splats over all of the canvas, more than a warp shares evenly, and none beside them.
void test_large() {
  Layer layer(400, 300);
  for (int i = 0; i < 100; ++i) {
    if (i % 4 == 0)
      add(layer, 200, 150, 1e6, 0, 1e6, 0);
    else
      add(layer, 4 * i, 3 * i, 2, 1, 2, -2);
  }
  layer.shuffle(3, true);
  require_lists(layer, "splats over all of the canvas");
}

// Thin splats, nearly level: between two pixel rows their ellipses pass tiles without touching any of their blocks.
void test_thin() {
  Layer layer(600, 200);
  for (int i = 0; i < 64; ++i) add(layer, 300, 20 + 2.3 * i, 4e4, 700 + 10 * i, 40 + 0.2 * i * i, -0.5);
  layer.shuffle(4, false);
  require_lists(layer, "thin splats");
}

void test_hostile_numbers() {
  Layer layer(300, 200);
  const float odd[] = {0, 1e-30f, 1, 1e10f, -1e10f, 3e38f, -3e38f, kInf, -kInf, kNan};
  for (float x : odd)
    for (float y : odd)
      for (float other : {-1.0f, 3e38f, kInf, kNan}) {
        add(layer, 150, 100, 400, 100, 300, 0);
        BlendSplat& blend = layer.blend.back();
        BinSplat& bin = layer.bin.back();
        blend.x_px = x, blend.y_px = y, blend.slope = other;
        if (layer.n() % 3 == 0) bin.y_at_x_extreme = other;
        if (layer.n() % 5 == 0) bin.reach = other, bin.inv_a = x;
        if (layer.n() % 7 == 0) blend.d = other;
      }
  layer.shuffle(6, false);
  require_lists(layer, "numbers that are huge or none");
}

// Chunks are left out from the first that does not fit, also where a later one would.
void test_capacity() {
  Layer layer = random_layer(200, 150, 800, 12, 51);
  std::vector<uint64_t> up_to;  // pairs of the first chunks
  for (uint32_t n = 0; n < layer.n_visible; n += kBinChunk) {
    Layer first = layer;
    first.n_visible = std::min<uint32_t>(n + kBinChunk, layer.n_visible);
    up_to.push_back(enough(first));
  }
  CHECK(up_to.size() == 3);
  for (const uint64_t pairs : up_to)
    for (const int more : {-1, 0, 1})
      require_lists({layer}, {static_cast<uint32_t>(pairs) + static_cast<uint32_t>(more)},
                    std::to_string(pairs) + " pairs and " + std::to_string(more) + " more");
  require_lists({layer}, {0}, "no capacity");
  require_lists({layer}, {1}, "capacity of one");

  // In the windows of a chunk one after the other; and a dense chunk before sparse ones.
  Layer wide = random_layer(1040, 600, 300, 30, 52);
  require_lists({wide}, {enough(wide) / 2}, "half the capacity, three windows");
  Layer dense(100, 80);
  for (int i = 0; i < 700; ++i) {
    if (i / kBinChunk == 1)
      add(dense, 50, 40, 1e6, 0, 1e6, 0);
    else
      add(dense, i % 100, 40, 1, 0, 1, -3);
  }
  dense.shuffle(1, false);
  for (uint32_t i = 0; i < dense.n_visible; ++i) dense.order[i] = i;
  require_lists({dense}, {5000}, "a dense chunk");
}

void test_instance_capacity() {
  using ts::cuda::instance_capacity;
  for (const auto& [n, side, per_gaussian] :
       {std::tuple{20018, 2048, 93.7}, {20018, 1024, 26.1}, {20018, 512, 8.0}, {20018, 256, 3.2}, {152746, 2048, 17.4}})
    CHECK(instance_capacity(n, side, side) > 3 * per_gaussian * n);
  CHECK(instance_capacity(1, 16, 16) == 1);  // no more than there can be
  CHECK(instance_capacity(100, 17, 16) == 200);
  CHECK(instance_capacity(0, 512, 512) == 0);
  CHECK(instance_capacity(10000, 2048, 2048) >= uint32_t{kBinChunk} * 128 * 128);
  CHECK(instance_capacity(int64_t{1} << 30, 16384, 16384) == UINT32_MAX);
}

// More chunks than warps that scan them, and a capacity that ends with one.
void test_many_chunks() {
  Layer layer(64, 48);
  for (int i = 0; i < 34 * kBinChunk - 5; ++i) add(layer, i % 64, i % 48, 1, 0, 1, -4);
  layer.shuffle(8, false);
  Layer first = layer;
  first.n_visible = 5 * kBinChunk;
  require_lists({layer}, {enough(first)}, "34 chunks, of which 5 fit");
}

// scan alone, of more chunks than are worth binning.
void test_scan() {
  std::mt19937 random(71);
  for (const int chunks : {0, 1, 31, 33, 256, 257, 1000}) {
    const int tiles = chunks % 2 ? 33 : 70;
    std::vector<uint32_t> count(static_cast<size_t>((chunks + 1) * tiles));
    for (uint32_t& c : count) c = random() % 257;
    std::vector<uint32_t> want(static_cast<size_t>(tiles), 0);  // row after row
    for (int row = 0; row < chunks; ++row)
      for (int tile = 0; tile < tiles; ++tile)
        want.push_back(want[static_cast<size_t>(row * tiles + tile)] + count[static_cast<size_t>(row * tiles + tile)]);
    ts::cuda::LayerStatus status;
    status.n_visible = static_cast<uint32_t>(chunks * kBinChunk);
    BinJob job{};
    job.tiles_x = tiles, job.tiles_y = 1;
    job.count = count.data(), job.status = &status;
    const ts::cuda::Jobs<BinJob> args{&job};
    simt::launch("bin_scan_kernel", 3, ts::cuda::kBinScanThreads, 0, {}, [&] { ts::cuda::bin_scan_kernel(args); });
    CHECK_MESSAGE(count == want, "scan of " + std::to_string(chunks) + " chunks");
  }
}

// lists alone: more pairs than 32 bits count.
void test_huge_totals() {
  for (const int chunks : {3, 100}) {
    std::vector<uint32_t> chunk_total(static_cast<size_t>(chunks), 1u << 31);
    std::vector<uint32_t> count(static_cast<size_t>(chunks + 1));
    for (size_t row = 0; row < count.size(); ++row) count[row] = static_cast<uint32_t>(7 * row);
    TileList list{};
    ts::cuda::LayerStatus status;
    status.n_visible = static_cast<uint32_t>(chunks * kBinChunk - 10);
    BinJob job{};
    job.tiles_x = job.tiles_y = 1;
    job.capacity = UINT32_MAX;
    job.count = count.data(), job.chunk_total = chunk_total.data(), job.lists = &list, job.status = &status;
    const ts::cuda::Jobs<BinJob> args{&job};
    simt::launch("bin_lists_kernel", 2, kBinWindow, 0, {}, [&] { ts::cuda::bin_lists_kernel(args); });
    CHECK(status.n_instances == UINT32_MAX);
    CHECK(status.n_dropped == status.n_visible - kBinChunk);  // one chunk fits
    CHECK(list.begin == 0 && list.end == 7);
  }
}

// Jobs of different sizes in one launch, one of them with nothing to do, one over its capacity, one without a picture.
void test_jobs() {
  std::vector<Layer> layers{random_layer(300, 200, 300, 30, 61), Layer(64, 64),
                            random_layer(900, 700, 40, 100, 62), random_layer(33, 47, 500, 10, 63),
                            random_layer(300, 200, 300, 60, 64), Layer(0, 0)};
  layers[4].n_visible = 0;
  std::vector<uint32_t> capacities;
  for (const Layer& layer : layers) capacities.push_back(enough(layer));
  capacities[3] /= 3;
  require_lists(layers, capacities, "six jobs");
}

}  // namespace

int main() {
  test_jobs();
  test_scan();
  test_huge_totals();
  test_instance_capacity();
  if (!kRacesOnly) {
    test_sizes();
    test_windows();
    test_nothing();
    test_large();
    test_thin();
    test_hostile_numbers();
    test_capacity();
    test_many_chunks();
    test_masks();
    test_cpu();
  }
  return ts_test::report("test_bin");
}
