// SPDX-License-Identifier: Apache-2.0
// lanes for AVX2 + FMA: 8 values.
#pragma once
#include <immintrin.h>

TS_TARGET_BEGIN

constexpr int kLanes = 8;

struct mask {
  __m256 v;  // all ones or all zeros per lane
};
struct i32 {
  __m256i v;
  i32() = default;
  TS_INLINE explicit i32(__m256i x) : v(x) {}
  TS_INLINE explicit i32(int32_t x) : v(_mm256_set1_epi32(x)) {}
  static TS_INLINE i32 iota() { return i32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
};
struct f32 {
  __m256 v;
  f32() = default;
  TS_INLINE explicit f32(__m256 x) : v(x) {}
  TS_INLINE explicit f32(float x) : v(_mm256_set1_ps(x)) {}
  static TS_INLINE f32 iota() { return f32(_mm256_cvtepi32_ps(i32::iota().v)); }
};

TS_INLINE f32 load(const float* p) { return f32(_mm256_loadu_ps(p)); }
TS_INLINE i32 load(const int32_t* p) { return i32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
TS_INLINE f32 load_half(const uint16_t* p) {
  return f32(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
TS_INLINE void store(float* p, f32 a) { _mm256_storeu_ps(p, a.v); }
TS_INLINE void store(int32_t* p, i32 a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }

TS_INLINE f32 repeat4(const float* p) { return f32(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(p))); }

TS_INLINE f32 operator+(f32 a, f32 b) { return f32(_mm256_add_ps(a.v, b.v)); }
TS_INLINE f32 operator-(f32 a, f32 b) { return f32(_mm256_sub_ps(a.v, b.v)); }
TS_INLINE f32 operator*(f32 a, f32 b) { return f32(_mm256_mul_ps(a.v, b.v)); }
TS_INLINE f32 operator/(f32 a, f32 b) { return f32(_mm256_div_ps(a.v, b.v)); }
TS_INLINE f32 operator-(f32 a) { return f32(_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))); }
TS_INLINE f32 fma(f32 a, f32 b, f32 c) { return f32(_mm256_fmadd_ps(a.v, b.v, c.v)); }
TS_INLINE f32 fnma(f32 a, f32 b, f32 c) { return f32(_mm256_fnmadd_ps(a.v, b.v, c.v)); }
TS_INLINE f32 min(f32 a, f32 b) { return f32(_mm256_min_ps(a.v, b.v)); }
TS_INLINE f32 max(f32 a, f32 b) { return f32(_mm256_max_ps(a.v, b.v)); }
TS_INLINE f32 sqrt(f32 a) { return f32(_mm256_sqrt_ps(a.v)); }
TS_INLINE f32 sqrt_above(f32 a) {
  const __m256 x = _mm256_max_ps(a.v, _mm256_set1_ps(1e-20f));
  return f32(_mm256_mul_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.0005f)), _mm256_rsqrt_ps(x)));
}
TS_INLINE f32 abs(f32 a) { return f32(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)); }
TS_INLINE f32 floor(f32 a) { return f32(_mm256_floor_ps(a.v)); }
TS_INLINE i32 round_to_int(f32 a) { return i32(_mm256_cvtps_epi32(a.v)); }
TS_INLINE i32 truncate_to_int(f32 a) { return i32(_mm256_cvttps_epi32(a.v)); }
TS_INLINE f32 to_float(i32 a) { return f32(_mm256_cvtepi32_ps(a.v)); }

TS_INLINE mask operator<(f32 a, f32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
TS_INLINE mask operator<=(f32 a, f32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
TS_INLINE mask operator>(f32 a, f32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
TS_INLINE mask operator>=(f32 a, f32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
TS_INLINE mask operator==(f32 a, f32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }

TS_INLINE i32 operator+(i32 a, i32 b) { return i32(_mm256_add_epi32(a.v, b.v)); }
TS_INLINE i32 operator-(i32 a, i32 b) { return i32(_mm256_sub_epi32(a.v, b.v)); }
TS_INLINE i32 operator*(i32 a, i32 b) { return i32(_mm256_mullo_epi32(a.v, b.v)); }
TS_INLINE i32 operator&(i32 a, i32 b) { return i32(_mm256_and_si256(a.v, b.v)); }
TS_INLINE i32 operator|(i32 a, i32 b) { return i32(_mm256_or_si256(a.v, b.v)); }
TS_INLINE i32 operator<<(i32 a, int n) { return i32(_mm256_sll_epi32(a.v, _mm_cvtsi32_si128(n))); }
TS_INLINE i32 operator>>(i32 a, int n) { return i32(_mm256_sra_epi32(a.v, _mm_cvtsi32_si128(n))); }
TS_INLINE i32 operator<<(i32 a, i32 n) { return i32(_mm256_sllv_epi32(a.v, n.v)); }
TS_INLINE i32 min(i32 a, i32 b) { return i32(_mm256_min_epi32(a.v, b.v)); }
TS_INLINE i32 max(i32 a, i32 b) { return i32(_mm256_max_epi32(a.v, b.v)); }
TS_INLINE mask operator<(i32 a, i32 b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(b.v, a.v))}; }
TS_INLINE mask operator<=(i32 a, i32 b) {
  return {_mm256_castsi256_ps(_mm256_xor_si256(_mm256_cmpgt_epi32(a.v, b.v), _mm256_set1_epi32(-1)))};
}

TS_INLINE mask operator&&(mask a, mask b) { return {_mm256_and_ps(a.v, b.v)}; }
TS_INLINE mask operator||(mask a, mask b) { return {_mm256_or_ps(a.v, b.v)}; }
TS_INLINE f32 select(mask m, f32 a, f32 b) { return f32(_mm256_blendv_ps(b.v, a.v, m.v)); }
TS_INLINE i32 select(mask m, i32 a, i32 b) {
  return i32(_mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(b.v), _mm256_castsi256_ps(a.v), m.v)));
}
TS_INLINE uint32_t bits(mask m) { return static_cast<uint32_t>(_mm256_movemask_ps(m.v)); }
TS_INLINE bool any(mask m) { return bits(m) != 0; }
TS_INLINE bool all(mask m) { return bits(m) == 0xff; }
TS_INLINE mask first_lanes(int n) { return i32::iota() < i32(n); }

namespace avx2_detail {
// Byte i of lanes[kept]: the lane of the i-th bit that is set.
struct KeptLanes {
  uint64_t lanes[256];
  constexpr KeptLanes() : lanes() {
    for (uint32_t kept = 0; kept < 256; ++kept)
      for (uint64_t lane = 0, i = 0; lane < 8; ++lane)
        if (kept >> lane & 1) lanes[kept] |= lane << (8 * i++);
  }
};
inline constexpr KeptLanes kKept;
}  // namespace avx2_detail

TS_INLINE f32 keep(mask m, f32 a) { return f32(_mm256_and_ps(m.v, a.v)); }
TS_INLINE int append(int32_t* p, mask m, i32 a) {
  const uint32_t kept = bits(m);
  const __m256i from = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(avx2_detail::kKept.lanes[kept])));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permutevar8x32_epi32(a.v, from));
  return __builtin_popcount(kept);
}

TS_INLINE i32 bits_of(f32 a) { return i32(_mm256_castps_si256(a.v)); }
TS_INLINE f32 float_of(i32 a) { return f32(_mm256_castsi256_ps(a.v)); }

namespace avx2_detail {
// 4x4 transposes of the 128-bit halves: row r of each half becomes column r.
TS_INLINE void transpose_halves(__m256& a, __m256& b, __m256& c, __m256& d) {
  const __m256 ab0 = _mm256_unpacklo_ps(a, b), ab1 = _mm256_unpackhi_ps(a, b);
  const __m256 cd0 = _mm256_unpacklo_ps(c, d), cd1 = _mm256_unpackhi_ps(c, d);
  a = _mm256_shuffle_ps(ab0, cd0, 0x44), b = _mm256_shuffle_ps(ab0, cd0, 0xee);
  c = _mm256_shuffle_ps(ab1, cd1, 0x44), d = _mm256_shuffle_ps(ab1, cd1, 0xee);
}
TS_INLINE __m256 join(const float* low, const float* high) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}
}  // namespace avx2_detail

TS_INLINE void load4(const float* p, f32& a, f32& b, f32& c, f32& d) {
  a.v = avx2_detail::join(p, p + 16), b.v = avx2_detail::join(p + 4, p + 20);
  c.v = avx2_detail::join(p + 8, p + 24), d.v = avx2_detail::join(p + 12, p + 28);
  avx2_detail::transpose_halves(a.v, b.v, c.v, d.v);
}

TS_INLINE void store4(float* p, f32 a, f32 b, f32 c, f32 d) {
  avx2_detail::transpose_halves(a.v, b.v, c.v, d.v);
  const __m256 rows[4] = {a.v, b.v, c.v, d.v};
  for (int i = 0; i < 4; ++i) {
    _mm_storeu_ps(p + 4 * i, _mm256_castps256_ps128(rows[i]));
    _mm_storeu_ps(p + 16 + 4 * i, _mm256_extractf128_ps(rows[i], 1));
  }
}

TS_INLINE void load3(const float* p, f32& a, f32& b, f32& c) {
  // Halves of 12 values, in order: a0 b0 c0 a1 | b1 c1 a2 b2 | c2 a3 b3 c3.
  const __m256 x = avx2_detail::join(p, p + 12), y = avx2_detail::join(p + 4, p + 16);
  const __m256 z = avx2_detail::join(p + 8, p + 20);
  const __m256 ab = _mm256_shuffle_ps(y, z, _MM_SHUFFLE(2, 1, 3, 2));  // a2 b2 a3 b3
  const __m256 bc = _mm256_shuffle_ps(x, y, _MM_SHUFFLE(1, 0, 2, 1));  // b0 c0 b1 c1
  a.v = _mm256_shuffle_ps(x, ab, _MM_SHUFFLE(2, 0, 3, 0));
  b.v = _mm256_shuffle_ps(bc, ab, _MM_SHUFFLE(3, 1, 2, 0));
  c.v = _mm256_shuffle_ps(bc, z, _MM_SHUFFLE(3, 0, 3, 1));
}

TS_INLINE void store3(float* p, f32 a, f32 b, f32 c) {
  alignas(32) float rows[32];
  store4(rows, a, b, c, c);
  for (int i = 0; i < 7; ++i) _mm_storeu_ps(p + 3 * i, _mm_load_ps(rows + 4 * i));  // each overwrites the last's 4th
  for (int i = 0; i < 3; ++i) p[21 + i] = rows[28 + i];
}

TS_TARGET_END

#include "math/exp2.h"
