// emit_spans — one part's visible splats to the 4x4-pixel blocks that they may touch, by tile row.
// Maths    the ellipse (a dx + b dy)^2 + (d dy)^2 <= reach cut by the 4-pixel-high band of each block row: its x
// interval
//          is exact (Speedy-Splat's AccuTile, Hanson et al. 2025, here per block row instead of per tile row)
// Launch   one part; one splat at a time, a lane per block row (AVX-512: two small splats share a register)
// Reads    splat [n] 64 B     Writes   Span, 20 B each
// Cost     about 30 operations per 16 block rows and 30 per span; bound by arithmetic
// Order    a tile row's spans are in the order of their splats' indices
// Edges    the caller has made room for every span that a splat's tiles allow
// Oracle   tests/reference/bin.py      Bench  bench/ops/bench_raster.py
#include "cpu/kernels/kernels.h"
#include "math/lanes.h"

TS_TARGET_BEGIN

namespace {

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

// Where the spans go: each tile row has its own place, filled from begin to end.
struct Writer {
  Span* spans;
  SpanRow* rows;

  TS_INLINE void add(int y, const Span& span) const { spans[rows[y].end++] = span; }

  // Writes in any case and keeps it when wanted. four: splat, tile_and_count, blocks.
  TS_INLINE void add_if(bool wanted, int y, const uint32_t* four, uint32_t key) const {
    Span& span = spans[rows[y].end];
    __builtin_memcpy(&span, four, 16);
    span.key = key;
    rows[y].end += wanted;
  }
};

TS_INLINE uint32_t depth_key(const Splat& s) {
  uint32_t key;
  __builtin_memcpy(&key, &s.depth, sizeof key);
  return key;
}

// The spans of one tile row.
TS_INLINE void emit_row(uint32_t id, uint32_t key, int y, const int32_t* first, const int32_t* last,
                        const Writer& out) {
  const int last_tile = max4(last) >> 2;  // -1 where all rows are missed: then there is nothing to do
  for (int tile_x = min4(first) >> 2; tile_x <= last_tile; tile_x += kSpanTiles) {
    const int count = last_tile - tile_x < kSpanTiles ? last_tile - tile_x : kSpanTiles - 1;
    const int origin = tile_x * kTileBlocks;
    out.add(y, {id,
                static_cast<uint32_t>(tile_x << 2 | count),
                {row_bits(first[0], last[0], origin) | row_bits(first[1], last[1], origin) << 16,
                 row_bits(first[2], last[2], origin) | row_bits(first[3], last[3], origin) << 16},
                key});
  }
}

#if defined(TS_TARGET_IS_AVX512)

// Four tile rows, four lanes each, none wider than a span.
struct NarrowSpans {
  alignas(64) uint32_t span[kStepTiles][4];  // splat, tile_and_count, blocks
  uint32_t wanted;                           // lanes of tile rows that are touched

  // Four rows, from tile row y: a branch per row would be a coin toss.
  template <int kFirst, int kCount>
  TS_INLINE void add(int y, uint32_t key, const Writer& out) const {
    for (int r = 0; r < kCount; ++r)
      out.add_if(wanted >> (kTileBlocks * (kFirst + r)) & 1, y + r, span[kFirst + r], key);
  }
};

// False when one of the wanted lanes' tile rows is wider than a span.
TS_INLINE bool narrow_spans(i32 id, i32 first, i32 last, uint32_t lanes, NarrowSpans& out) {
  // Over the four block rows of a tile row: neighbours, then pairs.
  constexpr auto kNeighbour = static_cast<_MM_PERM_ENUM>(0xb1), kPair = static_cast<_MM_PERM_ENUM>(0x4e);
  i32 low = min(first, i32(_mm512_shuffle_epi32(first.v, kNeighbour)));
  i32 high = max(last, i32(_mm512_shuffle_epi32(last.v, kNeighbour)));
  low = min(low, i32(_mm512_shuffle_epi32(low.v, kPair)));
  high = max(high, i32(_mm512_shuffle_epi32(high.v, kPair)));
  const i32 first_tile = low >> 2, count = (high >> 2) - first_tile;
  out.wanted = lanes & bits(first_tile <= (high >> 2));
  if (out.wanted & bits(i32(kSpanTiles - 1) < count)) return false;

  const i32 origin = first_tile << 2, one(1), width(kSpanBlocks);
  const i32 begin = min(first - origin, width), end = max(last - origin + one, begin);
  const i32 row_bits = (one << end) - (one << begin);
  // Sixteen bits of each of a tile row's four block rows are its 64-bit `blocks`, which goes behind splat and tile.
  __m512i spans = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 0, 1, 0, 2, 0, 3),
                                           _mm512_castsi256_si512(_mm512_cvtepi32_epi16(row_bits.v)));
  spans = _mm512_mask_mov_epi32(spans, 0x1111, id.v);
  spans = _mm512_mask_mov_epi32(spans, 0x2222, ((first_tile << 2) | count).v);
  _mm512_store_si512(out.span, spans);
  return true;
}

// Two splats of at most two tile rows each, side by side: most splats of a detailed avatar are that small. False when
// one is wider than a span.
TS_INLINE bool emit_pair(uint32_t id_a, uint32_t id_b, const Splat& a, const Splat& b, const Writer& out) {
  constexpr int kHalf = kStepTiles / 2;
  const mask upper{0xff00};
  const auto both = [&](float lower_value, float upper_value) {
    return select(upper, f32(upper_value), f32(lower_value));
  };
  Chords s;
  s.x_px = both(a.x_px, b.x_px), s.d = both(a.d, b.d), s.reach = both(a.reach, b.reach);
  s.y_at_x_extreme = both(a.y_at_x_extreme, b.y_at_x_extreme);
  s.inv_a = both(a.inv_a, b.inv_a), s.slope = both(a.slope, b.slope);
  s.low = both(a.block_x0, b.block_x0), s.high = both(a.block_x1, b.block_x1);
  const f32 corner =
      both(static_cast<float>(a.tile_y0 * kTile) - a.y_px, static_cast<float>((b.tile_y0 - kHalf) * kTile) - b.y_px);
  i32 first, last;
  cut(s, fma(f32::iota(), f32(kBlock), corner), first, last);
  const int n_a = a.tile_y1 - a.tile_y0, n_b = b.tile_y1 - b.tile_y0;
  NarrowSpans narrow;
  const i32 id = select(upper, i32(static_cast<int>(id_b)), i32(static_cast<int>(id_a)));
  if (!narrow_spans(id, first, last, ((1u << kTileBlocks * n_a) - 1) | ((1u << kTileBlocks * n_b) - 1) << 8, narrow))
    return false;
  narrow.add<0, kHalf>(a.tile_y0, depth_key(a), out);
  narrow.add<kHalf, kHalf>(b.tile_y0, depth_key(b), out);
  return true;
}

#endif

// kStepTiles tile rows from tile_y.
TS_INLINE void emit_step(uint32_t id, const Splat& s, int tile_y, const Writer& out) {
  const int n_rows = s.tile_y1 - tile_y < kStepTiles ? s.tile_y1 - tile_y : kStepTiles;
  const float top = static_cast<float>(tile_y * kTile) - s.y_px;
  const uint32_t key = depth_key(s);
  const Chords chords(s);
  BlockRows rows;
  for (int r = 0; r < kStepRows; r += kLanes) {
    i32 first, last;
    cut(chords, fma(f32::iota(), f32(kBlock), f32(top + static_cast<float>(r * kBlock))), first, last);
#if defined(TS_TARGET_IS_AVX512)
    static_assert(kLanes == kStepRows);
    NarrowSpans narrow;
    if (narrow_spans(i32(static_cast<int>(id)), first, last, (1u << kTileBlocks * n_rows) - 1, narrow))
      return narrow.add<0, kStepTiles>(tile_y, key, out);
#endif
    store(rows.first + r, first), store(rows.last + r, last);
  }
  for (int row = 0; row < n_rows; ++row)
    emit_row(id, key, tile_y + row, rows.first + row * kTileBlocks, rows.last + row * kTileBlocks, out);
}

}  // namespace

void emit_spans(const BinArgs& args, int part, Span* spans, SpanRow* rows) {
  const Writer out{spans, rows};
  const uint32_t* visible = args.visible + args.parts[part].begin;
  const int64_t n = args.parts[part].n_visible;
  for (int64_t i = 0; i < n; ++i) {
    const Splat& s = args.splat[visible[i]];
#if defined(TS_TARGET_IS_AVX512)
    if (i + 1 < n && s.tile_y1 - s.tile_y0 <= kStepTiles / 2) {
      const Splat& next = args.splat[visible[i + 1]];
      if (next.tile_y1 - next.tile_y0 <= kStepTiles / 2 && emit_pair(visible[i], visible[i + 1], s, next, out)) {
        ++i;
        continue;
      }
    }
#endif
    for (int tile_y = s.tile_y0; tile_y < s.tile_y1; tile_y += kStepTiles) emit_step(visible[i], s, tile_y, out);
  }
}

TS_TARGET_END
