// SPDX-License-Identifier: Apache-2.0
// bin — a layer's splats, in depth order, to per-tile lists in that order. Four kernels, one after the other.
// Maths    math/tile_span.h. A splat is in the lists of the tiles that cut_tiles() gives; which of their blocks it
//          touches is an instance's mask, empty in one of 3,000 (where an ellipse ends between two pixel rows)
// Launch   grid (x, jobs), x as bin.h has it. count, scatter: block 256, 32 KiB of shared memory; scan: block 1024,
//          4.1 KiB; lists: block 1024, 0.5 KiB
// Reads    order 4 B and BinSplat 32 B of each splat once per window, BlendSplat 32 B where its rows meet the window;
//          all this twice, by count and by scatter
// Writes   count 4 B a chunk and tile, lists 8 B a tile, instances 8 B a pair
// Cost     O(windows n + chunks tiles + pairs). A splat's tiles are walked in spans of four, which the 32 lanes of its
//          warp share: a turn takes 156 instructions in count, and in scatter 156 and about 490 (sm_75). A head of 30 k
//          (100 k) splats at 512x512 takes 3.0 (2.1) turns a warp, not the 8.3 (4.1) of a splat a lane. At worst, 32
//          splats that each fill the window, a warp takes 256 turns, or up to 768 where windows cut tile rows and a
//          row is no power of two of spans; one such splat adds 8 to 24. Bound by arithmetic at 512x512, by memory for
//          count where tiles are many
// Order    deterministic: bits set by atomics in any order are the same bits, and a place is a number of bits
// Edges    n_visible = 0 and tiles without splats: empty lists. Too many pairs: chunks are left out whole, from the
//          first that does not fit on, which are the farthest splats. A capacity of 0 leaves out all
// Oracle   tests/simt/test_bin.cc      Bench  bench/gpu
//
// count    A block is for a chunk of 256 splats and a window of 1024 tiles. `touched` has a bit for each splat at each
//          tile: word w, in which warp w alone sets bits, has the splats of warp w. How many are set is the tile's
//          count.
// scan     A block is for 32 tiles, a lane each; warp g has the g-th 32nd of the chunks. Warps add up their chunks, the
//          sums are scanned across warps, and warps go over their chunks once more: counts become places in the list.
// lists    A block is for a window, a thread for a tile. Each block finds by itself how many chunks fit; a list's
//          length is then its place in the first chunk that does not. Block 0 writes the status.
// scatter  As count; then a pair's rank among its chunk's is the number of bits before its own, which orders them as
//          the splats are.
//
// The bits of 256 splats by 1024 tiles are 32 KiB, of which sm_75 holds two blocks an SM, 16 warps (so nothing else may
// be in shared memory). Windows of half the size would hold twice the warps, but read splats twice at 512x512, where a
// warp would take 1.7 turns in each of two windows, not 3.0 in one.
#include "kernels/cuda/device.h"
//
#include "kernels/cuda/bin.h"
#include "math/tile_span.h"

namespace ts::cuda {
namespace {

constexpr int kWarp = 32;
constexpr uint32_t kAllLanes = 0xffffffffu;
constexpr int kWords = kBinChunk / kWarp;  // of a tile's bits

template <class T>
TS_DEVICE T smaller(T a, T b) {
  return a < b ? a : b;
}
template <class T>
TS_DEVICE T larger(T a, T b) {
  return a > b ? a : b;
}

TS_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
TS_DEVICE int lane_index() { return thread_index() % kWarp; }
TS_DEVICE int warp_index() { return thread_index() / kWarp; }

TS_DEVICE int tiles_of(const BinJob& job) { return job.tiles_x * job.tiles_y; }

// The chunk and window that a block is for.
struct Part {
  int chunk, window;
  int first_tile;
};
TS_DEVICE Part part_of(const BinJob& job) {
  const uint32_t windows = larger(static_cast<uint32_t>(bin_windows(tiles_of(job))), 1u);  // also of an empty job
  Part part;
  part.chunk = static_cast<int>(blockIdx.x / windows), part.window = static_cast<int>(blockIdx.x % windows);
  part.first_tile = part.window * kBinWindow;
  return part;
}

// Sum over this lane and those before it.
template <class T>
TS_DEVICE T inclusive_sum(T x) {
  TS_UNROLL
  for (int by = 1; by < kWarp; by *= 2) {
    const T before = __shfl_up_sync(kAllLanes, x, by);
    if (lane_index() >= by) x += before;
  }
  return x;
}

// A warp's splats, one a lane. The spans of their rectangles in the window are numbered: lane 0's first, row by row,
// then lane 1's. A splat has a power of two of them in a tile row, the last of which may lie beside its rectangle, so
// that a number's row and column take no division.
struct WarpSplats {
  uint32_t splat;
  float x_px, y_px, d, slope, reach, y_at_x_extreme, inv_a;
  uint32_t tile_x;  // tile columns: first | last << 16, both inclusive
  int first_row;    // of the tile rows in the window
  int log2_across;  // spans in a tile row
  int begin, end;   // numbers of its spans
  int n_spans;      // of the warp
};

TS_DEVICE WarpSplats load_warp(const BinJob& job, const Part& part, int n_splats) {
  WarpSplats s{};
  const int64_t rank = int64_t{part.chunk} * kBinChunk + thread_index();
  int spans = 0;
  if (rank < n_splats) {
    s.splat = job.order[rank];
    const BinSplat& of_bin = job.bin[s.splat];
    const uint32_t tile_y = of_bin.tile_y;
    const int last_tile = smaller(part.first_tile + kBinWindow, tiles_of(job)) - 1;
    s.first_row = larger(static_cast<int>(tile_y & 0xffff), part.first_tile / job.tiles_x);
    const int rows = smaller(static_cast<int>(tile_y >> 16), last_tile / job.tiles_x + 1) - s.first_row;
    if (rows > 0) {
      const BlendSplat& of_blend = job.blend[s.splat];
      s.x_px = of_blend.x_px, s.y_px = of_blend.y_px, s.d = of_blend.d, s.slope = of_blend.slope;
      s.reach = of_bin.reach, s.y_at_x_extreme = of_bin.y_at_x_extreme, s.inv_a = of_bin.inv_a;
      const int first = static_cast<int>(of_bin.block_x & 0xffff) / kTileBlocks;
      const int last = static_cast<int>(of_bin.block_x >> 16) / kTileBlocks;
      s.tile_x = static_cast<uint32_t>(first | last << 16);
      s.log2_across = 32 - __clz((last - first) / kSpanTiles);
      spans = rows << s.log2_across;
    }
  }
  s.end = inclusive_sum(spans);
  s.begin = s.end - spans;
  s.n_spans = __shfl_sync(kAllLanes, s.end, kWarp - 1);
  return s;
}

// A splat in up to four tiles side by side.
struct WarpSpan {
  int lane;             // that has the splat
  int row, tile_x;      // of the first tile
  int in_window;        // that tile, counted from the window's first; it may lie before the window
  int n_tiles;          // 0 or less: none
  int first_x, last_x;  // tile columns of the whole splat
  Chords chords;
};

// The span of a number. All lanes of the warp call this together.
TS_DEVICE WarpSpan span_of(const BinJob& job, const Part& part, const WarpSplats& s, int number) {
  WarpSpan span;
  // The first lane whose numbers end after this one, by bisection.
  span.lane = 0;
  TS_UNROLL
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const int end = __shfl_sync(kAllLanes, s.end, span.lane + step - 1);
    if (end <= number) span.lane += step;
  }
  const auto of_lane = [&](auto value) { return __shfl_sync(kAllLanes, value, span.lane); };
  span.chords = {f32(of_lane(s.x_px)),           f32(of_lane(s.y_px)),  f32(of_lane(s.d)),    f32(of_lane(s.reach)),
                 f32(of_lane(s.y_at_x_extreme)), f32(of_lane(s.inv_a)), f32(of_lane(s.slope))};
  const uint32_t tile_x = of_lane(s.tile_x);
  const int in_splat = number - of_lane(s.begin), log2_across = of_lane(s.log2_across);
  span.first_x = static_cast<int>(tile_x & 0xffff), span.last_x = static_cast<int>(tile_x >> 16);
  span.row = of_lane(s.first_row) + (in_splat >> log2_across);
  span.tile_x = span.first_x + (in_splat & ((1 << log2_across) - 1)) * kSpanTiles;
  span.in_window = span.row * job.tiles_x + span.tile_x - part.first_tile;
  span.n_tiles = number < s.n_spans ? smaller(span.last_x - span.tile_x + 1, kSpanTiles) : 0;
  return span;
}

// Whether the span has a k-th tile, and the window has that.
TS_DEVICE bool has_tile(const WarpSpan& span, int k) {
  return k < span.n_tiles && static_cast<uint32_t>(span.in_window + k) < static_cast<uint32_t>(kBinWindow);
}

// Fills touched [kWords][kBinWindow]: tiles side by side in banks side by side.
TS_DEVICE void mark_tiles(const BinJob& job, const Part& part, const WarpSplats& s, uint32_t* touched) {
  for (int i = thread_index(); i < kWords * kBinWindow; i += kBinChunk) touched[i] = 0;
  __syncthreads();  // words of one warp were cleared by others
  uint32_t* word = touched + warp_index() * kBinWindow;
  for (int first = 0; first < s.n_spans; first += kWarp) {
    const WarpSpan span = span_of(job, part, s, first + lane_index());
    i32 first_x, last_x;
    cut_tiles(span.chords, to_float(i32(span.first_x)), to_float(i32(span.last_x)), i32(span.row), first_x, last_x);
    TS_UNROLL
    for (int k = 0; k < kSpanTiles; ++k) {
      const int tile_x = span.tile_x + k;
      if (has_tile(span, k) && first_x.v <= tile_x && tile_x <= last_x.v)
        atomicOr(&word[span.in_window + k], 1u << span.lane);
    }
  }
  __syncthreads();  // what follows reads the words of all warps
}

// The block masks of a span's four tiles, sixteen bits each.
TS_DEVICE uint64_t block_masks(const WarpSpan& span) {
  const f32 low = to_float(i32(span.first_x * kTileBlocks)), high = to_float(i32((span.last_x + 1) * kTileBlocks - 1));
  BlockRows rows;
  cut_blocks(span.chords, low, high, i32(span.row), rows);
  i32 upper, lower;
  span_blocks(rows, i32(span.tile_x * kTileBlocks), upper, lower);
  return tile_masks(static_cast<uint32_t>(upper.v) | static_cast<uint64_t>(static_cast<uint32_t>(lower.v)) << 32);
}

}  // namespace

TS_KERNEL void __launch_bounds__(kBinChunk) bin_count_kernel(const Jobs<BinJob> args) {
  __shared__ uint32_t touched[kWords * kBinWindow];
  const BinJob job = args.job[blockIdx.y];
  const Part part = part_of(job);
  const int n_visible = static_cast<int>(job.status->n_visible);
  if (int64_t{part.chunk} * kBinChunk >= n_visible) return;
  mark_tiles(job, part, load_warp(job, part, n_visible), touched);

  const int tiles = tiles_of(job), in_window = smaller(tiles - part.first_tile, kBinWindow);
  uint32_t* count = job.count + int64_t{part.chunk} * tiles + part.first_tile;
  uint32_t total = 0;
  for (int tile = thread_index(); tile < in_window; tile += kBinChunk) {
    uint32_t pairs = 0;
    TS_UNROLL
    for (int w = 0; w < kWords; ++w) pairs += static_cast<uint32_t>(__popc(touched[w * kBinWindow + tile]));
    count[tile] = pairs;
    total += pairs;
  }
  // The masks have been read: the warps' sums take their place.
  __syncthreads();
  total = inclusive_sum(total);
  if (lane_index() == kWarp - 1) touched[warp_index()] = total;
  __syncthreads();
  if (thread_index() != 0) return;
  uint32_t sum = 0;
  TS_UNROLL
  for (int w = 0; w < kWords; ++w) sum += touched[w];
  job.chunk_total[int64_t{part.chunk} * bin_windows(tiles) + part.window] = sum;
}

TS_KERNEL void __launch_bounds__(kBinScanThreads) bin_scan_kernel(const Jobs<BinJob> args) {
  constexpr int kGroups = kBinScanThreads / kWarp;
  constexpr int kAtOnce = 8;  // chunks whose counts are on their way from memory together
  static_assert(kGroups == kWarp && kBinScanTiles == kWarp, "sums are scanned a tile a warp, a group a lane");
  __shared__ uint32_t sums[kGroups][kBinScanTiles + 1];  // one more, so that a column lies in different banks
  const BinJob job = args.job[blockIdx.y];
  const int tiles = tiles_of(job);
  if (blockIdx.x >= static_cast<uint32_t>((tiles + kBinScanTiles - 1) / kBinScanTiles)) return;
  const int lane = lane_index(), group = warp_index();
  const int tile = static_cast<int>(blockIdx.x) * kBinScanTiles + lane;
  const int chunks = static_cast<int>(bin_chunks(job.status->n_visible));
  const int per_group = (chunks + kGroups - 1) / kGroups;
  const int begin = smaller(group * per_group, chunks);
  // Lanes past the last tile have no chunks.
  const int n_chunks = tile < tiles ? smaller(per_group, chunks - begin) : 0;
  uint32_t* const group_count = job.count + int64_t{begin} * tiles + tile;

  uint32_t sum = 0;
  uint32_t* at = group_count;
  for (int left = n_chunks; left > 0; left -= kAtOnce) {
    TS_UNROLL
    for (int k = 0; k < kAtOnce; ++k)
      if (k < left) sum += at[int64_t{k} * tiles];
    at += int64_t{kAtOnce} * tiles;
  }
  sums[group][lane] = sum;
  __syncthreads();  // from a group a warp to a tile a warp
  const uint32_t of_group = sums[lane][group];
  const uint32_t before = inclusive_sum(of_group) - of_group;
  sums[lane][group] = before;
  __syncthreads();  // and back

  uint32_t place = sums[group][lane];
  at = group_count;
  for (int left = n_chunks; left > 0; left -= kAtOnce) {
    uint32_t pairs[kAtOnce];
    TS_UNROLL
    for (int k = 0; k < kAtOnce; ++k) pairs[k] = k < left ? at[int64_t{k} * tiles] : 0;
    TS_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      if (k < left) at[int64_t{k} * tiles] = place;
      place += pairs[k];
    }
    at += int64_t{kAtOnce} * tiles;
  }
  if (group == kGroups - 1 && tile < tiles) job.count[int64_t{chunks} * tiles + tile] = place;
}

namespace {

constexpr int kListWarps = kBinWindow / kWarp;

// Sum over the block's threads before this one; total: over all. One barrier; warp_sum is free again after the next.
TS_DEVICE uint32_t exclusive_sum_of_block(uint32_t x, uint32_t* warp_sum, uint32_t& total) {
  const uint32_t inclusive = inclusive_sum(x);
  if (lane_index() == kWarp - 1) warp_sum[warp_index()] = inclusive;
  __syncthreads();
  const uint32_t of_warps = inclusive_sum(warp_sum[lane_index()]);
  total = __shfl_sync(kAllLanes, of_warps, kListWarps - 1);
  const uint32_t before = __shfl_sync(kAllLanes, of_warps, larger(warp_index() - 1, 0));
  return inclusive - x + (warp_index() > 0 ? before : 0);
}

// How many chunks fit into the capacity; wanted: the pairs of all chunks. Each warp adds up a piece of chunk_total;
// where the sum passes the capacity, every warp goes over that piece again, to the entry that does it.
TS_DEVICE int chunks_that_fit(const BinJob& job, int chunks, uint64_t* warp_sum, uint64_t& wanted) {
  // Fits an int: count has a thousand times as many entries, or there is one window.
  const int windows = static_cast<int>(bin_windows(tiles_of(job))), entries = chunks * windows;
  const int piece = (entries + kListWarps - 1) / kListWarps;
  const int begin = warp_index() * piece, end = smaller(begin + piece, entries);
  uint64_t sum = 0;
  for (int i = begin + lane_index(); i < end; i += kWarp) sum += job.chunk_total[i];
  sum = inclusive_sum(sum);
  if (lane_index() == kWarp - 1) warp_sum[warp_index()] = sum;
  __syncthreads();
  const uint64_t of_piece = warp_sum[lane_index()], up_to_piece = inclusive_sum(of_piece);
  wanted = __shfl_sync(kAllLanes, up_to_piece, kListWarps - 1);
  const uint32_t over = __ballot_sync(kAllLanes, up_to_piece > job.capacity);
  if (over == 0) return chunks;

  const int passing = __ffs(static_cast<int>(over)) - 1;
  uint64_t before = __shfl_sync(kAllLanes, up_to_piece - of_piece, passing);
  for (int first = passing * piece;; first += kWarp) {
    const int i = first + lane_index();
    const uint64_t up_to = before + inclusive_sum<uint64_t>(i < entries ? job.chunk_total[i] : 0);
    const uint32_t passed = __ballot_sync(kAllLanes, up_to > job.capacity);
    if (passed != 0) return (first + __ffs(static_cast<int>(passed)) - 1) / windows;
    before = __shfl_sync(kAllLanes, up_to, kWarp - 1);
  }
}

}  // namespace

TS_KERNEL void __launch_bounds__(kBinWindow) bin_lists_kernel(const Jobs<BinJob> args) {
  __shared__ uint64_t piece_sum[kListWarps];
  __shared__ uint32_t warp_sum[2][kListWarps];
  const BinJob job = args.job[blockIdx.y];
  const int tiles = tiles_of(job);
  if (blockIdx.x >= static_cast<uint32_t>(bin_windows(tiles))) return;
  const int first_tile = static_cast<int>(blockIdx.x) * kBinWindow, tile = first_tile + thread_index();
  const uint32_t n_visible = job.status->n_visible;
  uint64_t wanted;
  const int fit = chunks_that_fit(job, static_cast<int>(bin_chunks(n_visible)), piece_sum, wanted);

  // Pairs that fit, of the windows before this and of this one's tiles.
  const uint32_t* length = job.count + int64_t{fit} * tiles;
  uint32_t before = 0;
  for (int i = thread_index(); i < first_tile; i += kBinWindow) before += length[i];
  uint32_t first;
  exclusive_sum_of_block(before, warp_sum[0], first);
  const uint32_t of_tile = tile < tiles ? length[tile] : 0;
  uint32_t total;
  const uint32_t begin = first + exclusive_sum_of_block(of_tile, warp_sum[1], total);
  if (tile < tiles) job.lists[tile] = {begin, begin + of_tile};
  if (tile > 0) return;
  job.status->n_instances = static_cast<uint32_t>(smaller(wanted, uint64_t{0xffffffffu}));
  job.status->n_dropped = n_visible - static_cast<uint32_t>(smaller(int64_t{n_visible}, int64_t{fit} * kBinChunk));
}

TS_KERNEL void __launch_bounds__(kBinChunk) bin_scatter_kernel(const Jobs<BinJob> args) {
  __shared__ uint32_t touched[kWords * kBinWindow];
  const BinJob job = args.job[blockIdx.y];
  const Part part = part_of(job);
  const int n_drawn = static_cast<int>(job.status->n_visible - job.status->n_dropped);
  if (int64_t{part.chunk} * kBinChunk >= n_drawn) return;
  const int tiles = tiles_of(job);
  if (job.chunk_total[int64_t{part.chunk} * bin_windows(tiles) + part.window] == 0) return;
  const WarpSplats s = load_warp(job, part, n_drawn);
  mark_tiles(job, part, s, touched);

  const uint32_t* count = job.count + int64_t{part.chunk} * tiles + part.first_tile;
  const TileList* lists = job.lists + part.first_tile;
  for (int first = 0; first < s.n_spans; first += kWarp) {
    const WarpSpan span = span_of(job, part, s, first + lane_index());
    const uint32_t splat = __shfl_sync(kAllLanes, s.splat, span.lane);
    const uint64_t masks = block_masks(span);
    const uint32_t below = (1u << span.lane) - 1;
    // Of the four tiles together, so that no load waits for another's.
    bool is_touched[kSpanTiles];
    uint32_t place[kSpanTiles] = {};
    TS_UNROLL
    for (int k = 0; k < kSpanTiles; ++k) {
      const int tile = span.in_window + k;
      const uint32_t word = has_tile(span, k) ? touched[warp_index() * kBinWindow + tile] : 0;
      is_touched[k] = word >> span.lane & 1;
      if (is_touched[k]) place[k] = lists[tile].begin + count[tile] + static_cast<uint32_t>(__popc(word & below));
    }
#pragma unroll 1  // left to itself, nvcc takes 127 registers for this loop
    for (int w = 0; w < warp_index(); ++w) {
      TS_UNROLL
      for (int k = 0; k < kSpanTiles; ++k)
        if (is_touched[k]) place[k] += static_cast<uint32_t>(__popc(touched[w * kBinWindow + span.in_window + k]));
    }
    TS_UNROLL
    for (int k = 0; k < kSpanTiles; ++k)
      if (is_touched[k]) job.instances[place[k]] = (masks >> 16 * k & 0xffff) << 32 | splat;
  }
}

}  // namespace ts::cuda
