// emit_spans — splats in depth order to the 4x4-pixel blocks that they may touch.
// Maths    the ellipse (a dx + b dy)^2 + (d dy)^2 <= reach cut by the 4-pixel-high band of each block row: its x
// interval
//          is exact (Speedy-Splat's AccuTile, Hanson et al. 2025, here per block row instead of per tile row)
// Launch   one part of the depth order; one splat at a time, a lane per block row
// Reads    splat [n] 64 B, gathered     Writes   Span, 16 B each
// Cost     about 30 operations per 16 block rows and 30 per span; bound by arithmetic and, past L2, by the gather
// Order    a splat's spans follow those of every nearer splat
// Edges    a full span buffer: stops before the splat that overflowed and is called again
// Oracle   tests/reference/bin.py      Bench  bench/ops/bench_raster.py
#include "cpu/kernels/kernels.h"
#include "math/lanes.h"

TS_TARGET_BEGIN

namespace {

constexpr int kSpanTiles = 4;
constexpr int kSpanBlocks = kSpanTiles * kTile / kBlock;
constexpr int kTileBlocks = kTile / kBlock;
constexpr int kStepTiles = 4;  // tile rows at a time
constexpr int kStepRows = kStepTiles * kTileBlocks;
constexpr int kMissed = INT32_MAX / 2;

// What a splat's cuts need, a lane per block row.
struct Chords {
  f32 x_px, d, reach, y_at_x_extreme, inv_a, slope;
  f32 low, high;  // block columns that it may touch

  TS_INLINE explicit Chords(const Splat& s)
      : x_px(s.x_px),
        d(s.d),
        reach(s.reach),
        y_at_x_extreme(s.y_at_x_extreme),
        inv_a(s.inv_a),
        slope(s.slope),
        low(s.block_x0),
        high(s.block_x1) {}
  Chords() = default;
};

// First and last block column that the splat touches in kLanes block rows; kMissed and -1 where it does not. top: of
// the rows, from the splat's centre.
TS_INLINE void cut(const Chords& s, f32 top, i32& first, i32& last) {
  const f32 quarter(1.0f / kBlock);
  const f32 bottom = top + f32(kBlock - 1.0f);
  // The band's points nearest the ellipse's right-most and left-most point.
  const f32 y_right = clamp(s.y_at_x_extreme, top, bottom), y_left = clamp(-s.y_at_x_extreme, top, bottom);
  const f32 v_right = s.d * y_right, v_left = s.d * y_left;
  const f32 rest_right = fnma(v_right, v_right, s.reach), rest_left = fnma(v_left, v_left, s.reach);
  const f32 right = fma(s.slope, y_right, fma(sqrt_above(rest_right), s.inv_a, s.x_px));
  const f32 left = fma(s.slope, y_left, fnma(sqrt_above(rest_left), s.inv_a, s.x_px));
  // Block c holds pixel columns 4c .. 4c+3.
  const f32 begin = max(-floor((f32(kBlock - 1.0f) - left) * quarter), s.low);
  const f32 end = min(floor(right * quarter), s.high);
  const mask hit = (max(rest_right, rest_left) >= f32(0.0f)) && (begin <= end);
  first = select(hit, truncate_to_int(begin), i32(kMissed));
  last = select(hit, truncate_to_int(end), i32(-1));
}

struct BlockRows {
  alignas(64) int32_t first[kStepRows];
  alignas(64) int32_t last[kStepRows];
};

TS_INLINE int min4(const int32_t* v) {
  const int a = v[0] < v[1] ? v[0] : v[1], b = v[2] < v[3] ? v[2] : v[3];
  return a < b ? a : b;
}
TS_INLINE int max4(const int32_t* v) {
  const int a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
  return a > b ? a : b;
}

// Bits begin .. end-1 of a block row of the span that starts at block column origin.
TS_INLINE uint32_t row_bits(int first, int last, int origin) {
  int begin = first - origin, end = last - origin + 1;
  begin = begin < 0 ? 0 : begin;
  end = end > kSpanBlocks ? kSpanBlocks : end;
  return end > begin ? (1u << end) - (1u << begin) : 0;
}

// The spans of one tile row. False: no room.
TS_INLINE bool emit_row(uint32_t id, int row_tile, const int32_t* first, const int32_t* last, SpanWriter& writer) {
  const int last_tile = max4(last) >> 2;  // -1 where all rows are missed: then there is nothing to do
  for (int tile_x = min4(first) >> 2; tile_x <= last_tile; tile_x += kSpanTiles) {
    if (writer.n == writer.capacity) return false;
    const int count = last_tile - tile_x < kSpanTiles ? last_tile - tile_x : kSpanTiles - 1;
    const int origin = tile_x * kTileBlocks;
    writer.spans[writer.n++] = {id,
                                static_cast<uint32_t>((row_tile + tile_x) << 2 | count),
                                {row_bits(first[0], last[0], origin) | row_bits(first[1], last[1], origin) << 16,
                                 row_bits(first[2], last[2], origin) | row_bits(first[3], last[3], origin) << 16}};
  }
  return true;
}

#if defined(TS_TARGET_IS_AVX512)

// The spans of four tile rows, four lanes each, without a branch, when none is wider than a span; false when one is, or
// there is no room. rows: the lanes of wanted tile rows; row_tile: the first tile of a lane's tile row.
TS_INLINE bool emit_narrow(i32 id, i32 row_tile, uint32_t rows, i32 first, i32 last, SpanWriter& writer) {
  // Over the four block rows of a tile row: neighbours, then pairs.
  constexpr auto kNeighbour = static_cast<_MM_PERM_ENUM>(0xb1), kPair = static_cast<_MM_PERM_ENUM>(0x4e);
  i32 low = min(first, i32(_mm512_shuffle_epi32(first.v, kNeighbour)));
  i32 high = max(last, i32(_mm512_shuffle_epi32(last.v, kNeighbour)));
  low = min(low, i32(_mm512_shuffle_epi32(low.v, kPair)));
  high = max(high, i32(_mm512_shuffle_epi32(high.v, kPair)));
  const i32 first_tile = low >> 2, count = (high >> 2) - first_tile;
  const uint32_t wanted = rows & bits(first_tile <= (high >> 2));
  if ((wanted & bits(i32(kSpanTiles - 1) < count)) || writer.n + kStepTiles > writer.capacity) return false;

  const i32 origin = first_tile << 2, one(1), width(kSpanBlocks);
  const i32 begin = min(first - origin, width), end = max(last - origin + one, begin);
  const i32 row_bits = (one << end) - (one << begin);
  // Sixteen bits of each of a tile row's four block rows are its 64-bit `blocks`, which goes behind id and tile.
  const __m512i blocks = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 0, 1, 0, 2, 0, 3),
                                                  _mm512_castsi256_si512(_mm512_cvtepi32_epi16(row_bits.v)));
  __m512i spans = _mm512_mask_mov_epi32(blocks, 0x1111, id.v);
  spans = _mm512_mask_mov_epi32(spans, 0x2222, (((row_tile + first_tile) << 2) | count).v);
  const __mmask8 halves = static_cast<__mmask8>(_pext_u32(wanted, 0x3333));
  _mm512_storeu_si512(writer.spans + writer.n, _mm512_maskz_compress_epi64(halves, spans));
  writer.n += __builtin_popcount(halves) / 2;
  return true;
}

// Two splats of at most two tile rows each, the nearer in the lower lanes: most splats of a detailed avatar are that
// small. False as emit_narrow.
TS_INLINE bool emit_pair(uint32_t id_a, uint32_t id_b, const Splat& a, const Splat& b, int tiles_x, i32 row_offset,
                         SpanWriter& writer) {
  const mask upper{0xff00};
  const auto both = [&](float lower_value, float upper_value) {
    return select(upper, f32(upper_value), f32(lower_value));
  };
  Chords s;
  s.x_px = both(a.x_px, b.x_px), s.d = both(a.d, b.d), s.reach = both(a.reach, b.reach);
  s.y_at_x_extreme = both(a.y_at_x_extreme, b.y_at_x_extreme);
  s.inv_a = both(a.inv_a, b.inv_a), s.slope = both(a.slope, b.slope);
  s.low = both(a.block_x0, b.block_x0), s.high = both(a.block_x1, b.block_x1);
  const f32 corner = both(static_cast<float>(a.tile_y0 * kTile) - a.y_px,
                          static_cast<float>(b.tile_y0 * kTile - kTile * kStepTiles / 2) - b.y_px);
  i32 first, last;
  cut(s, fma(f32::iota(), f32(kBlock), corner), first, last);
  const i32 id = select(upper, i32(static_cast<int>(id_b)), i32(static_cast<int>(id_a)));
  const i32 row_tile =
      row_offset + select(upper, i32((b.tile_y0 - kStepTiles / 2) * tiles_x), i32(a.tile_y0 * tiles_x));
  const uint32_t rows =
      ((1u << kTileBlocks * (a.tile_y1 - a.tile_y0)) - 1) | ((1u << kTileBlocks * (b.tile_y1 - b.tile_y0)) - 1) << 8;
  return emit_narrow(id, row_tile, rows, first, last, writer);
}

#endif

// kStepTiles tile rows from tile_y. False: no room.
TS_INLINE bool emit_step(uint32_t id, const Splat& s, int tile_y, int tiles_x, i32 row_offset, SpanWriter& writer) {
  const int n_rows = s.tile_y1 - tile_y < kStepTiles ? s.tile_y1 - tile_y : kStepTiles;
  const int row_tile = tile_y * tiles_x;
  const float top = static_cast<float>(tile_y * kTile) - s.y_px;
  const Chords chords(s);
  BlockRows rows;
  (void)row_offset;
  for (int r = 0; r < kStepRows; r += kLanes) {
    i32 first, last;
    cut(chords, fma(f32::iota(), f32(kBlock), f32(top + static_cast<float>(r * kBlock))), first, last);
#if defined(TS_TARGET_IS_AVX512)
    static_assert(kLanes == kStepRows);
    if (emit_narrow(i32(static_cast<int>(id)), i32(row_tile) + row_offset, (1u << kTileBlocks * n_rows) - 1, first,
                    last, writer))
      return true;
#endif
    store(rows.first + r, first), store(rows.last + r, last);
  }
  for (int row = 0; row < n_rows; ++row)
    if (!emit_row(id, row_tile + row * tiles_x, rows.first + row * kTileBlocks, rows.last + row * kTileBlocks, writer))
      return false;
  return true;
}

}  // namespace

void emit_spans(const BinArgs& args, const uint64_t* order, SpanWriter& writer) {
  const int tiles_x = tiles_across(args.width);
  const i32 row_offset =
      truncate_to_int(f32::iota() * f32(1.0f / kTileBlocks)) * i32(tiles_x);  // of a block row's tile
  for (; writer.next < writer.end; ++writer.next) {
    if (writer.next + 8 < writer.end) __builtin_prefetch(args.splat + static_cast<uint32_t>(order[writer.next + 8]));
    const uint32_t id = static_cast<uint32_t>(order[writer.next]);
    const Splat& s = args.splat[id];
#if defined(TS_TARGET_IS_AVX512)
    if (writer.next + 1 < writer.end && s.tile_y1 - s.tile_y0 <= kStepTiles / 2) {
      const uint32_t next_id = static_cast<uint32_t>(order[writer.next + 1]);
      const Splat& next = args.splat[next_id];
      if (next.tile_y1 - next.tile_y0 <= kStepTiles / 2 &&
          emit_pair(id, next_id, s, next, tiles_x, row_offset, writer)) {
        if (writer.next + 9 < writer.end)
          __builtin_prefetch(args.splat + static_cast<uint32_t>(order[writer.next + 9]));
        ++writer.next;
        continue;
      }
    }
#endif
    const int64_t n_before = writer.n;
    for (int tile_y = s.tile_y0; tile_y < s.tile_y1; tile_y += kStepTiles) {
      if (!emit_step(id, s, tile_y, tiles_x, row_offset, writer)) {
        writer.n = n_before;
        return;
      }
    }
  }
}

TS_TARGET_END
