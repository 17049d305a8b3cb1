// bin — visible splats to per-tile lists in depth order.
// Maths    an exact least-significant-digit radix sort of depth keys, then a counting sort to tiles; both stable
// Phase 1  sort: one or two passes (three when depths span more than 2^24 floats), each a histogram and a scatter per
//          part. Digits are of key - smallest key, so a head at arm's length needs 22 bits, not 32
// Phase 2  emit_spans (cpu/kernels/bin.cc) for a part of the depth order, then count its instances per tile
// Phase 3  scatter: each part owns a cursor into every tile's list, so order does not depend on who runs it
// Cost     O(visible + instances + parts * tiles); bound by memory
// Edges    nothing visible: every list is empty. More than 2^32 - 1 instances: an error
// Oracle   tests/reference/bin.py      Bench  bench/ops/bench_raster.py
#include "ops/bin.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "cpu/kernel_table.h"

namespace ts {
namespace {

constexpr int kMaxDigitBits = 12;  // a histogram of 16 KiB stays in L1

int bit_length(uint32_t x) { return x ? 32 - __builtin_clz(x) : 0; }

struct Range {
  int64_t begin, end;
};

Range part_of(int64_t n, int part, int n_parts) { return {n * part / n_parts, n * (part + 1) / n_parts}; }

// Sorts the visible entries of all parts into one list; returns it.
const uint64_t* sort_by_depth(const BinArgs& args, int64_t n_visible, ThreadPool& pool) {
  BinScratch& scratch = *args.scratch;
  uint32_t key_min = UINT32_MAX, key_max = 0;
  for (int p = 0; p < args.n_parts; ++p) {
    if (args.parts[p].n_visible == 0) continue;
    key_min = std::min(key_min, args.parts[p].key_min);
    key_max = std::max(key_max, args.parts[p].key_max);
  }
  const int key_bits = std::max(1, bit_length(key_max - key_min));
  const int passes = (key_bits + kMaxDigitBits - 1) / kMaxDigitBits;
  const int digit_bits = (key_bits + passes - 1) / passes;
  const int digits = 1 << digit_bits;
  uint64_t* buffers[2] = {scratch.order[0].reserve(n_visible), scratch.order[1].reserve(n_visible)};
  uint32_t* histogram = scratch.histogram.reserve(static_cast<size_t>(args.n_parts) * digits);

  const uint64_t* source = nullptr;  // the first pass reads the parts of `visible`
  for (int pass = 0; pass < passes; ++pass) {
    uint64_t* target = buffers[pass & 1];
    const int shift = pass * digit_bits;
    const auto entries = [&](int part) -> std::pair<const uint64_t*, const uint64_t*> {
      if (!source) {
        const uint64_t* first = args.visible + args.parts[part].begin;
        return {first, first + args.parts[part].n_visible};
      }
      const Range range = part_of(n_visible, part, args.n_parts);
      return {source + range.begin, source + range.end};
    };
    const auto digit_of = [=](uint64_t entry) {
      return ((static_cast<uint32_t>(entry >> 32) - key_min) >> shift) & static_cast<uint32_t>(digits - 1);
    };
    pool.run(args.n_parts, [&](int64_t part, int) {
      uint32_t* count = histogram + part * digits;
      std::memset(count, 0, digits * sizeof *count);
      const auto [first, last] = entries(static_cast<int>(part));
      for (const uint64_t* e = first; e != last; ++e) ++count[digit_of(*e)];
    });
    uint32_t sum = 0;
    for (int d = 0; d < digits; ++d) {
      for (int p = 0; p < args.n_parts; ++p) {
        uint32_t& slot = histogram[static_cast<size_t>(p) * digits + d];
        sum += std::exchange(slot, sum);
      }
    }
    pool.run(args.n_parts, [&](int64_t part, int) {
      uint32_t* cursor = histogram + part * digits;
      const auto [first, last] = entries(static_cast<int>(part));
      for (const uint64_t* e = first; e != last; ++e) target[cursor[digit_of(*e)]++] = *e;
    });
    source = target;
  }
  return source;
}

// Twice the room, contents kept.
void grow(Buffer<Span>& spans, SpanWriter& writer) {
  Buffer<Span> larger(std::max<size_t>(1024, spans.capacity() * 2));
  if (writer.n) std::memcpy(larger.data(), spans.data(), writer.n * sizeof(Span));
  spans = std::move(larger);
  writer.spans = spans.data();
  writer.capacity = static_cast<int64_t>(spans.capacity());
}

void emit_part(const BinArgs& args, const uint64_t* order, Range range, int part, int64_t tiles,
               const KernelTable& kernels) {
  BinScratch& scratch = *args.scratch;
  Buffer<Span>& spans = scratch.spans[part];
  SpanWriter& writer = scratch.writers[part];
  writer = {range.begin, range.end, spans.data(), 0, static_cast<int64_t>(spans.capacity())};
  while (kernels.emit_spans(args, order, writer), writer.next < writer.end) grow(spans, writer);

  uint32_t* count = scratch.cursor.data() + part * tiles;
  std::memset(count, 0, tiles * sizeof *count);
  for (int64_t i = 0; i < writer.n; ++i) {
    const uint32_t first = writer.spans[i].tile_and_count >> 2, last = first + (writer.spans[i].tile_and_count & 3);
    for (uint32_t tile = first; tile <= last; ++tile) ++count[tile];
  }
}

// The 16-bit block mask of the span's t-th tile: four bits of each of the four block rows.
inline uint32_t tile_mask(uint64_t blocks, int t) {
  const uint64_t rows = (blocks >> (4 * t)) & 0x000f000f000f000full;
  return static_cast<uint32_t>(rows | rows >> 12 | rows >> 24 | rows >> 36) & 0xffff;
}

void scatter_part(const BinArgs& args, int part, int64_t tiles) {
  const SpanWriter& writer = args.scratch->writers[part];
  uint32_t* cursor = args.scratch->cursor.data() + part * tiles;
  Instance* instances = args.instances->data();
  for (int64_t i = 0; i < writer.n; ++i) {
    const Span& span = writer.spans[i];
    const uint64_t blocks = span.blocks[0] | static_cast<uint64_t>(span.blocks[1]) << 32;
    const uint32_t first = span.tile_and_count >> 2;
    const int last = span.tile_and_count & 3;
    for (int t = 0; t <= last; ++t)
      instances[cursor[first + t]++] = static_cast<uint64_t>(tile_mask(blocks, t)) << 32 | span.splat;
  }
}

}  // namespace

Status bin_cpu(const BinArgs& args, const KernelTable& kernels, ThreadPool& pool) {
  const int64_t tiles = static_cast<int64_t>(tiles_across(args.width)) * tiles_across(args.height);
  BinScratch& scratch = *args.scratch;
  int64_t n_visible = 0;
  for (int p = 0; p < args.n_parts; ++p) n_visible += args.parts[p].n_visible;
  if (n_visible == 0) {
    std::memset(args.tile_start, 0, (tiles + 1) * sizeof *args.tile_start);
    return {};
  }
  const uint64_t* order = sort_by_depth(args, n_visible, pool);

  scratch.cursor.reserve(args.n_parts * tiles);
  if (static_cast<int>(scratch.spans.size()) < args.n_parts) {
    scratch.spans.resize(args.n_parts);
    scratch.writers.resize(args.n_parts);
  }
  pool.run(args.n_parts, [&](int64_t part, int) {
    const int p = static_cast<int>(part);
    emit_part(args, order, part_of(n_visible, p, args.n_parts), p, tiles, kernels);
  });

  uint64_t sum = 0;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    args.tile_start[tile] = static_cast<uint32_t>(sum);
    for (int p = 0; p < args.n_parts; ++p) {
      uint32_t& slot = scratch.cursor[p * tiles + tile];
      sum += std::exchange(slot, static_cast<uint32_t>(sum));
    }
  }
  if (sum > std::numeric_limits<uint32_t>::max())
    return error(StatusCode::kOutOfMemory,
                 "bin: %llu (Gaussian, tile) pairs, at most 2^32 - 1 fit. Render a smaller image.",
                 static_cast<unsigned long long>(sum));
  args.tile_start[tiles] = static_cast<uint32_t>(sum);
  args.instances->reserve(sum);
  pool.run(args.n_parts, [&](int64_t part, int) { scatter_part(args, static_cast<int>(part), tiles); });
  return {};
}

}  // namespace ts
