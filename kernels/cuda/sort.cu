// SPDX-License-Identifier: Apache-2.0
// sort — a layer's splats from the nearest to the farthest: two kernels for each 8 bits of the key, the lowest first.
// Maths    radix sort from the least significant digit: a stable pass a digit, so that ties stay in the order of indices
// Launch   grid (sort_grid(n), jobs), block kSortThreads, for passes of count and scatter in turn; count 1 KB of shared
//          memory, scatter 8.2 KB
// Reads    key [n] in the first pass, then pair [n], 8 B each, by both kernels; count [blocks][256] by each block of scatter
// Writes   pair [n], 8 B each, in the last pass order [n], 4 B each; count [blocks][256]
// Cost     O(n + blocks^2 * 256) a pass; bound by latency where there are few keys: 100 k take 49 blocks, each of which
//          reads 49 KB of counts
// Order    deterministic: counts are sums of integers, and places follow from them
// Edges    n = 0 writes nothing; with no splat visible, order is that of indices; a grid that is too wide does no harm
// Oracle   tests/simt/test_sort.cc, std::stable_sort      Bench  bench/gpu
//
// Keys. Bits of positive floats are in the floats' order. In fast precision they are counted from the layer's nearest
// splat on, which takes 24 bits and leaves the order exact as long as the farthest is less than twice as far: a head. Where
// it is farther the lowest bits are left out; splats that differ in those alone are drawn by index. (16 bits would save a
// pass, but a step of them is what lies between neighbours of a head of 30 thousand splats, and a wrong order of two that
// overlap shows: 10/255 of a strand of hair.)
//
// Count. A block counts the digits of its keys. The lanes of a warp that have the same digit add up first, by ballots;
// keys that are alike, as the upper digits of neighbours are, would otherwise queue for one word of shared memory.
//
// Scatter. Thread d adds up digit d: of all keys, to know where the digit's places begin once the block has scanned the
// sums, and of the blocks before this one, to know where in them this block's begin. There is no kernel for that between
// the two: it would cost more than the blocks' reading.
//   Then the block takes its keys, kSortBlock a turn. Each warp owns a stretch of them and a row of counters in shared
// memory, and ranks its keys 32 at a time: a key's rank is how many of its digit the warp had before, plus those in lanes
// below. The first lane of each digit updates the counter; lanes of a warp are synchronised around that.
//   After a barrier thread d turns the warps' counters of digit d into their first places. After another, each key goes to
// its warp's first place of the digit plus its rank. Warps clear their own row for the next turn without a third.
#include "kernels/cuda/device.h"
//
#include "kernels/cuda/sort.h"
#include "kernels/cuda/splat.h"

namespace ts::cuda {

constexpr int kSortWarps = kSortThreads / 32;
static_assert(kSortThreads == kSortDigits, "a thread owns a digit");

constexpr uint32_t kFastHidden = 0xffffff;

// Where a pass reads its keys.
struct SortSource {
  const uint32_t* key;  // of the first pass, which makes pairs of them; else nullptr
  const uint2* pair;
  bool fast;
  uint32_t depth_min;
  int left_out;  // bits of the depth
  int shift;     // to the pass's digit
};

TS_DEVICE SortSource sort_source(const SortJob& job, int pass) {
  // Without visible splats the difference wraps around to 1.
  const uint32_t range = job.status->depth_max - job.status->depth_min;
  int left_out = 0;
  while (range >> left_out >= kFastHidden) ++left_out;
  return {pass == 0 ? job.key : nullptr,
          pass % 2 == 1 ? job.pair[0] : job.pair[1],
          job.fast != 0,
          job.status->depth_min,
          left_out,
          pass * kSortBits};
}

// Key and index.
TS_DEVICE uint2 sort_item(const SortSource& from, int i) {
  if (!from.key) return __ldg(from.pair + i);
  uint32_t key = __ldg(from.key + i);
  if (from.fast) key = key == kHidden ? kFastHidden : (key - from.depth_min) >> from.left_out;
  return make_uint2(key, static_cast<uint32_t>(i));
}

TS_DEVICE uint32_t sort_digit(const SortSource& from, uint32_t key) { return key >> from.shift & (kSortDigits - 1); }

// The lanes of the warp that have the same digit. By ballots, whose time does not depend on how many digits there are.
TS_DEVICE uint32_t lanes_alike(uint32_t digit) {
  uint32_t alike = ~0u;
#pragma unroll
  for (int bit = 0; bit < kSortBits; ++bit) {
    const bool set = digit >> bit & 1;
    alike &= __ballot_sync(~0u, set) ^ (set ? 0u : ~0u);
  }
  return alike;
}

// The sum of the values of threads before this one. warp_sum: [kSortWarps], shared. Has a barrier.
TS_DEVICE uint32_t sum_before(uint32_t value, uint32_t* warp_sum) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  uint32_t sum = value;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const uint32_t other = __shfl_up_sync(~0u, sum, step);
    if (lane >= step) sum += other;
  }
  if (lane == 31) warp_sum[thread / 32] = sum;
  __syncthreads();
  for (int warp = 0; warp < thread / 32; ++warp) sum += warp_sum[warp];
  return sum - value;
}

TS_KERNEL void __launch_bounds__(kSortThreads) sort_count_kernel(const SortArgs args) {
  const SortJob& job = args.job[blockIdx.y];
  const int n = job.n, keys = sort_turns(n) * kSortBlock;  // of a block
  const int begin = static_cast<int>(blockIdx.x) * keys, thread = static_cast<int>(threadIdx.x);
  if (begin >= n) return;
  const int end = begin + keys < n ? begin + keys : n;
  const SortSource from = sort_source(job, args.pass);
  __shared__ uint32_t count[kSortDigits];
  count[thread] = 0;
  __syncthreads();

  for (int first = begin; first < end; first += kSortBlock) {
    uint32_t digit[kSortItems];
#pragma unroll
    for (int k = 0; k < kSortItems; ++k) {
      const int i = first + k * kSortThreads + thread;
      digit[k] = i < end ? sort_digit(from, sort_item(from, i).x) : 0;
    }
#pragma unroll
    for (int k = 0; k < kSortItems; ++k) {
      const bool there = first + k * kSortThreads + thread < end;
      const uint32_t alike = lanes_alike(digit[k]) & __ballot_sync(~0u, there);
      if (there && (alike & lanes_below()) == 0) atomicAdd(&count[digit[k]], static_cast<uint32_t>(__popc(alike)));
    }
  }
  __syncthreads();
  job.count[blockIdx.x * kSortDigits + thread] = count[thread];
}

TS_KERNEL void __launch_bounds__(kSortThreads) sort_scatter_kernel(const SortArgs args) {
  const SortJob& job = args.job[blockIdx.y];
  const int n = job.n, keys = sort_turns(n) * kSortBlock;
  const int block = static_cast<int>(blockIdx.x), begin = block * keys;
  if (begin >= n) return;
  const int end = begin + keys < n ? begin + keys : n;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const SortSource from = sort_source(job, args.pass);
  uint2* const pair = args.pass % 2 == 0 ? job.pair[0] : job.pair[1];
  uint32_t* const order = args.pass == args.passes - 1 ? job.order : nullptr;

  __shared__ uint32_t count[kSortWarps][kSortDigits], warp_sum[kSortWarps];
  const int blocks = sort_blocks(n);
  uint32_t all = 0, before = 0;  // keys of digit `thread`
#pragma unroll 8
  for (int b = 0; b < blocks; ++b) {
    const uint32_t counted = __ldg(job.count + b * kSortDigits + thread);
    all += counted;
    before += b < block ? counted : 0;
  }
  uint32_t place = sum_before(all, warp_sum) + before;  // of the block's next key of that digit

  for (int first = begin; first < end; first += kSortBlock) {
    const int own = first + warp * kSortItems * 32 + lane;
    uint2 item[kSortItems];
    uint32_t rank[kSortItems];
    // Beyond the end are keys of the last digit, which come after all others and are not written.
#pragma unroll
    for (int k = 0; k < kSortItems; ++k)
      item[k] = own + 32 * k < end ? sort_item(from, own + 32 * k) : make_uint2(~0u, 0);
    for (int digit = lane; digit < kSortDigits; digit += 32) count[warp][digit] = 0;
    __syncwarp();
#pragma unroll
    for (int k = 0; k < kSortItems; ++k) {
      const uint32_t digit = sort_digit(from, item[k].x), alike = lanes_alike(digit), below = alike & lanes_below();
      const uint32_t had = count[warp][digit];
      __syncwarp();
      if (below == 0) count[warp][digit] = had + static_cast<uint32_t>(__popc(alike));
      __syncwarp();
      rank[k] = had + static_cast<uint32_t>(__popc(below));
    }
    __syncthreads();
#pragma unroll
    for (int w = 0; w < kSortWarps; ++w) {
      const uint32_t counted = count[w][thread];
      count[w][thread] = place;
      place += counted;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kSortItems; ++k) {
      if (own + 32 * k >= end) continue;
      const uint32_t to = count[warp][sort_digit(from, item[k].x)] + rank[k];
      if (order)
        order[to] = item[k].y;
      else
        pair[to] = item[k];
    }
    __syncwarp();
  }
}

}  // namespace ts::cuda
