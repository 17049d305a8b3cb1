// SPDX-License-Identifier: Apache-2.0
// sort_count_kernel and sort_scatter_kernel, pass by pass, against std::stable_sort.
#include "kernels/cuda/sort.cu"
//
#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cpp/check.h"

namespace {

using ts::cuda::kHidden;
using ts::cuda::kSortBlock;
using ts::cuda::kSortDigits;
using ts::cuda::kSortMaxBlocks;
using ts::cuda::kSortThreads;
using ts::cuda::LayerStatus;
using ts::cuda::SortArgs;
using ts::cuda::SortJob;

constexpr uint32_t kUnwritten = 0xbdbdbdbd;

// ThreadSanitizer looks for races, and takes thirty times as long: it gets one order of threads, and two blocks of the
// largest layer.
#if defined(SIMT_TSAN)
constexpr bool kForRaces = true;
#else
constexpr bool kForRaces = false;
#endif

// A layer's keys, as project leaves them.
struct Layer {
  std::vector<uint32_t> key;
  bool fast;
  LayerStatus status;

  Layer(std::vector<uint32_t> keys, bool is_fast) : key(std::move(keys)), fast(is_fast) {
    for (const uint32_t k : key) {
      if (k == kHidden) continue;
      ++status.n_visible;
      status.depth_min = std::min(status.depth_min, k), status.depth_max = std::max(status.depth_max, k);
    }
  }
};

using Order = std::vector<uint32_t>;

// All layers in one launch each of count and scatter; the grid is one block too wide, or max_blocks. Orders are longer
// than n.
std::vector<Order> sorted(const std::vector<Layer>& layers, int passes, simt::Order threads,
                          int max_blocks = kSortMaxBlocks) {
  std::vector<SortJob> jobs;
  std::vector<Order> orders(layers.size()), counts(layers.size());
  std::vector<std::vector<uint2>> pairs(2 * layers.size());
  int blocks = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const int n = static_cast<int>(layer.key.size());
    blocks = std::max(blocks, ts::cuda::sort_grid(n));
    orders[i].assign(layer.key.size() + 2, kUnwritten);
    counts[i].assign(static_cast<size_t>(ts::cuda::sort_grid(n)) * kSortDigits, 0);
    pairs[2 * i].resize(layer.key.size());
    pairs[2 * i + 1].resize(layer.key.size());
    jobs.push_back({n,
                    layer.fast,
                    layer.key.data(),
                    &layer.status,
                    counts[i].data(),
                    {pairs[2 * i].data(), pairs[2 * i + 1].data()},
                    orders[i].data()});
  }
  const dim3 grid(static_cast<unsigned>(std::min(blocks + 1, max_blocks)), static_cast<unsigned>(jobs.size()));
  for (int pass = 0; pass < passes; ++pass) {
    const SortArgs args{jobs.data(), pass, passes};
    simt::launch("sort_count", grid, kSortThreads, 0, {threads, 3}, [&] { ts::cuda::sort_count_kernel(args); });
    simt::launch("sort_scatter", grid, kSortThreads, 0, {threads, 4}, [&] { ts::cuda::sort_scatter_kernel(args); });
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    CHECK(orders[i].back() == kUnwritten && orders[i][orders[i].size() - 2] == kUnwritten);
    orders[i].resize(layers[i].key.size());
  }
  return orders;
}

Order by_depth(const std::vector<uint32_t>& key) {
  Order order(key.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return key[a] < key[b]; });
  return order;
}

// What 24 bits allow: visible ones first; a splat comes before a nearer one only if the two are closer than a step and in
// the order of their indices, and equal depths are in that order.
void check_within_a_step(const Layer& layer, const Order& order) {
  std::vector<bool> seen(order.size());
  for (const uint32_t i : order) {
    if (!CHECK(i < order.size() && !seen[i])) return;
    seen[i] = true;
  }
  const uint32_t range = layer.status.n_visible ? layer.status.depth_max - layer.status.depth_min : 0;
  uint32_t step = 1;  // splats less than this apart may be swapped
  while (range / step > 0xfffffe) step *= 2;
  int n_swapped = 0;
  for (size_t k = 1; k < order.size(); ++k) {
    const uint32_t a = layer.key[order[k - 1]], b = layer.key[order[k]];
    if (a < b) continue;
    CHECK(order[k - 1] < order[k]);
    if (a == b) continue;
    ++n_swapped;
    if (!CHECK_MESSAGE(a != kHidden && a - b < step,
                       "place " + std::to_string(k) + ": " + std::to_string(a) + " before " + std::to_string(b)))
      return;
  }
  CHECK(step > 1 || n_swapped == 0);
}

uint32_t bits(float depth) { return __float_as_uint(depth); }

// Depths of a head, some of them alike and some hidden.
std::vector<uint32_t> head(int n, uint32_t seed, float spread = 0.3f) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> depth(1.0f, 1.0f + spread);
  std::vector<uint32_t> key(static_cast<size_t>(n));
  for (size_t i = 0; i < key.size(); ++i) {
    key[i] = random() % 5 == 0 ? kHidden : bits(depth(random));
    if (i > 10 && random() % 4 == 0) key[i] = key[i - random() % 10];
  }
  return key;
}

std::vector<Layer> layers_of(bool fast) {
  std::vector<Layer> layers;
  uint32_t seed = 0;
  for (const int n :
       {0, 1, 2, 31, 32, 33, 255, 256, 257, kSortBlock - 1, kSortBlock, kSortBlock + 1, 3 * kSortBlock, 7001})
    layers.emplace_back(head(n, ++seed), fast);
  const auto all = [fast](size_t n, uint32_t key) { return Layer(std::vector<uint32_t>(n, key), fast); };
  layers.push_back(all(2500, kHidden));
  layers.push_back(all(2500, bits(1.25f)));
  // One visible; two; one far behind all others; from the smallest float to infinity; as far apart as 24 bits reach.
  std::vector<uint32_t> key(2500, kHidden);
  key[2499] = bits(0.5f);
  layers.emplace_back(key, fast);
  key[7] = bits(3.0f);
  layers.emplace_back(key, fast);
  key = head(2500, 99);
  key[1200] = bits(1e6f);
  layers.emplace_back(key, fast);
  key[0] = bits(std::numeric_limits<float>::infinity()), key[1] = bits(std::numeric_limits<float>::max());
  key[2499] = 1;
  layers.emplace_back(key, fast);
  for (const uint32_t range : {1u, 255u, 0xfffffdu, 0xfffffeu, 0xffffffu, 0x1fffffeu}) {
    std::mt19937 random(range);
    for (uint32_t& k : key) k = bits(2.0f) + random() % (range + 1);
    key[5] = bits(2.0f), key[6] = bits(2.0f) + range;
    layers.emplace_back(key, fast);
  }
  return layers;
}

}  // namespace

int main() {
  for (const bool fast : {false, true}) {
    const std::vector<Layer> layers = layers_of(fast);
    // Four passes sort keys of 24 bits too, as where a launch has layers of both precisions.
    for (const int passes : {ts::cuda::kFastSortPasses, ts::cuda::kReferenceSortPasses}) {
      if (!fast && passes == ts::cuda::kFastSortPasses) continue;
      const std::vector<Order> orders = sorted(layers, passes, simt::Order::kRandom);
      for (size_t i = 0; i < layers.size(); ++i) {
        if (fast)
          check_within_a_step(layers[i], orders[i]);
        else
          CHECK(orders[i] == by_depth(layers[i].key));
      }
      if (kForRaces) break;
      for (const simt::Order threads : {simt::Order::kAscending, simt::Order::kDescending})
        CHECK(sorted(layers, passes, threads) == orders);
    }
  }

  // More keys than kSortMaxBlocks blocks take in a turn: two turns each, the last one in part.
  const int many = kSortMaxBlocks * kSortBlock + 5 * kSortBlock + 77;
  CHECK(ts::cuda::sort_turns(many) == 2 && ts::cuda::sort_blocks(many) == kSortMaxBlocks / 2 + 3);
  CHECK(ts::cuda::sort_turns(kSortMaxBlocks * kSortBlock) == 1 && ts::cuda::sort_grid(100000) == 49);
  CHECK(ts::cuda::sort_grid(0) == 0);
  for (int n = 1, most = 0; n < 1 << 24; n += n < 5000 ? 1 : 997) {
    most = std::max(most, ts::cuda::sort_blocks(n));
    CHECK(ts::cuda::sort_grid(n) >= most && ts::cuda::sort_grid(n) <= kSortMaxBlocks);
  }
  const Layer large(head(many, 6, 40.0f), true);
  const Layer beside(head(3000, 7), true);
  const std::vector<Order> orders =
      sorted({large, beside}, ts::cuda::kFastSortPasses, simt::Order::kDescending, kForRaces ? 2 : kSortMaxBlocks);
  if (!kForRaces) check_within_a_step(large, orders[0]);
  check_within_a_step(beside, orders[1]);
  return ts_test::report("test_sort");
}
