// SPDX-License-Identifier: Apache-2.0
// lanes for AVX-512 (F, BW, DQ, VL): 16 values.
#pragma once
#include <immintrin.h>

TS_TARGET_BEGIN

constexpr int kLanes = 16;

struct mask {
  __mmask16 v;
};
struct i32 {
  __m512i v;
  i32() = default;
  TS_INLINE explicit i32(__m512i x) : v(x) {}
  TS_INLINE explicit i32(int32_t x) : v(_mm512_set1_epi32(x)) {}
  static TS_INLINE i32 iota() { return i32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)); }
};
struct f32 {
  __m512 v;
  f32() = default;
  TS_INLINE explicit f32(__m512 x) : v(x) {}
  TS_INLINE explicit f32(float x) : v(_mm512_set1_ps(x)) {}
  static TS_INLINE f32 iota() { return f32(_mm512_cvtepi32_ps(i32::iota().v)); }
};

TS_INLINE f32 load(const float* p) { return f32(_mm512_loadu_ps(p)); }
TS_INLINE i32 load(const int32_t* p) { return i32(_mm512_loadu_si512(p)); }
TS_INLINE f32 load_half(const uint16_t* p) {
  return f32(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
TS_INLINE void store(float* p, f32 a) { _mm512_storeu_ps(p, a.v); }
TS_INLINE void store(int32_t* p, i32 a) { _mm512_storeu_si512(p, a.v); }

TS_INLINE f32 repeat4(const float* p) { return f32(_mm512_broadcast_f32x4(_mm_loadu_ps(p))); }

TS_INLINE f32 operator+(f32 a, f32 b) { return f32(_mm512_add_ps(a.v, b.v)); }
TS_INLINE f32 operator-(f32 a, f32 b) { return f32(_mm512_sub_ps(a.v, b.v)); }
TS_INLINE f32 operator*(f32 a, f32 b) { return f32(_mm512_mul_ps(a.v, b.v)); }
TS_INLINE f32 operator/(f32 a, f32 b) { return f32(_mm512_div_ps(a.v, b.v)); }
TS_INLINE f32 operator-(f32 a) { return f32(_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))); }
TS_INLINE f32 fma(f32 a, f32 b, f32 c) { return f32(_mm512_fmadd_ps(a.v, b.v, c.v)); }
TS_INLINE f32 fnma(f32 a, f32 b, f32 c) { return f32(_mm512_fnmadd_ps(a.v, b.v, c.v)); }
TS_INLINE f32 min(f32 a, f32 b) { return f32(_mm512_min_ps(a.v, b.v)); }
TS_INLINE f32 max(f32 a, f32 b) { return f32(_mm512_max_ps(a.v, b.v)); }
TS_INLINE f32 sqrt(f32 a) { return f32(_mm512_sqrt_ps(a.v)); }
TS_INLINE f32 sqrt_above(f32 a) {
  const __m512 x = _mm512_max_ps(a.v, _mm512_set1_ps(1e-20f));
  return f32(_mm512_mul_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.0001f)), _mm512_rsqrt14_ps(x)));
}
TS_INLINE f32 abs(f32 a) { return f32(_mm512_abs_ps(a.v)); }
TS_INLINE f32 floor(f32 a) { return f32(_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)); }
TS_INLINE i32 round_to_int(f32 a) { return i32(_mm512_cvtps_epi32(a.v)); }
TS_INLINE i32 truncate_to_int(f32 a) { return i32(_mm512_cvttps_epi32(a.v)); }
TS_INLINE f32 to_float(i32 a) { return f32(_mm512_cvtepi32_ps(a.v)); }

TS_INLINE mask operator<(f32 a, f32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
TS_INLINE mask operator<=(f32 a, f32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
TS_INLINE mask operator>(f32 a, f32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
TS_INLINE mask operator>=(f32 a, f32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
TS_INLINE mask operator==(f32 a, f32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }

TS_INLINE i32 operator+(i32 a, i32 b) { return i32(_mm512_add_epi32(a.v, b.v)); }
TS_INLINE i32 operator-(i32 a, i32 b) { return i32(_mm512_sub_epi32(a.v, b.v)); }
TS_INLINE i32 operator*(i32 a, i32 b) { return i32(_mm512_mullo_epi32(a.v, b.v)); }
TS_INLINE i32 operator&(i32 a, i32 b) { return i32(_mm512_and_si512(a.v, b.v)); }
TS_INLINE i32 operator|(i32 a, i32 b) { return i32(_mm512_or_si512(a.v, b.v)); }
TS_INLINE i32 operator<<(i32 a, int n) { return i32(_mm512_sll_epi32(a.v, _mm_cvtsi32_si128(n))); }
TS_INLINE i32 operator>>(i32 a, int n) { return i32(_mm512_sra_epi32(a.v, _mm_cvtsi32_si128(n))); }
TS_INLINE i32 operator<<(i32 a, i32 n) { return i32(_mm512_sllv_epi32(a.v, n.v)); }
TS_INLINE i32 min(i32 a, i32 b) { return i32(_mm512_min_epi32(a.v, b.v)); }
TS_INLINE i32 max(i32 a, i32 b) { return i32(_mm512_max_epi32(a.v, b.v)); }
TS_INLINE mask operator<(i32 a, i32 b) { return {_mm512_cmp_epi32_mask(a.v, b.v, _MM_CMPINT_LT)}; }
TS_INLINE mask operator<=(i32 a, i32 b) { return {_mm512_cmp_epi32_mask(a.v, b.v, _MM_CMPINT_LE)}; }

TS_INLINE mask operator&&(mask a, mask b) { return {static_cast<__mmask16>(a.v & b.v)}; }
TS_INLINE mask operator||(mask a, mask b) { return {static_cast<__mmask16>(a.v | b.v)}; }
TS_INLINE f32 select(mask m, f32 a, f32 b) { return f32(_mm512_mask_mov_ps(b.v, m.v, a.v)); }
TS_INLINE i32 select(mask m, i32 a, i32 b) { return i32(_mm512_mask_mov_epi32(b.v, m.v, a.v)); }
TS_INLINE bool any(mask m) { return m.v != 0; }
TS_INLINE bool all(mask m) { return m.v == 0xffff; }
TS_INLINE uint32_t bits(mask m) { return m.v; }
TS_INLINE mask first_lanes(int n) { return {static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1)}; }

TS_INLINE f32 keep(mask m, f32 a) { return f32(_mm512_maskz_mov_ps(m.v, a.v)); }
TS_INLINE int append(int32_t* p, mask m, i32 a) {
  _mm512_storeu_si512(p, _mm512_maskz_compress_epi32(m.v, a.v));
  return __builtin_popcount(m.v);
}

TS_INLINE i32 bits_of(f32 a) { return i32(_mm512_castps_si512(a.v)); }
TS_INLINE f32 float_of(i32 a) { return f32(_mm512_castsi512_ps(a.v)); }

TS_INLINE void load3(const float* p, f32& a, f32& b, f32& c) {
  const __m512 x = _mm512_loadu_ps(p), y = _mm512_loadu_ps(p + 16), z = _mm512_loadu_ps(p + 32);
  // Value k of field f is element 3k+f of the 48: gather from x and y first, the rest from z.
  const __m512i ia = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 0, 0, 0, 0, 0);
  const __m512i ib = _mm512_setr_epi32(1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 0, 0, 0, 0, 0);
  const __m512i ic = _mm512_setr_epi32(2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 0, 0, 0, 0, 0, 0);
  const __m512i ja = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 17, 20, 23, 26, 29);
  const __m512i jb = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 21, 24, 27, 30);
  const __m512i jc = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19, 22, 25, 28, 31);
  a.v = _mm512_permutex2var_ps(_mm512_permutex2var_ps(x, ia, y), ja, z);
  b.v = _mm512_permutex2var_ps(_mm512_permutex2var_ps(x, ib, y), jb, z);
  c.v = _mm512_permutex2var_ps(_mm512_permutex2var_ps(x, ic, y), jc, z);
}

TS_INLINE void store3(float* p, f32 a, f32 b, f32 c) {
  const __m512i i0 = _mm512_setr_epi32(0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5);
  const __m512i j0 = _mm512_setr_epi32(0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15);
  const __m512i i1 = _mm512_setr_epi32(21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26);
  const __m512i j1 = _mm512_setr_epi32(0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15);
  const __m512i i2 = _mm512_setr_epi32(0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0);
  const __m512i j2 = _mm512_setr_epi32(26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31);
  _mm512_storeu_ps(p, _mm512_permutex2var_ps(_mm512_permutex2var_ps(a.v, i0, b.v), j0, c.v));
  _mm512_storeu_ps(p + 16, _mm512_permutex2var_ps(_mm512_permutex2var_ps(a.v, i1, b.v), j1, c.v));
  _mm512_storeu_ps(p + 32, _mm512_permutex2var_ps(_mm512_permutex2var_ps(a.v, i2, b.v), j2, c.v));
}

TS_INLINE void load4(const float* p, f32& a, f32& b, f32& c, f32& d) {
  const __m512 w = _mm512_loadu_ps(p), x = _mm512_loadu_ps(p + 16);
  const __m512 y = _mm512_loadu_ps(p + 32), z = _mm512_loadu_ps(p + 48);
  const __m512i even = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  const __m512i odd = _mm512_setr_epi32(2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
  const __m512 ab0 = _mm512_permutex2var_ps(w, even, x), ab1 = _mm512_permutex2var_ps(y, even, z);
  const __m512 cd0 = _mm512_permutex2var_ps(w, odd, x), cd1 = _mm512_permutex2var_ps(y, odd, z);
  a.v = _mm512_shuffle_f32x4(ab0, ab1, 0x44), b.v = _mm512_shuffle_f32x4(ab0, ab1, 0xee);
  c.v = _mm512_shuffle_f32x4(cd0, cd1, 0x44), d.v = _mm512_shuffle_f32x4(cd0, cd1, 0xee);
}

TS_INLINE void store4(float* p, f32 a, f32 b, f32 c, f32 d) {
  const __m512 ab0 = _mm512_unpacklo_ps(a.v, b.v), ab1 = _mm512_unpackhi_ps(a.v, b.v);
  const __m512 cd0 = _mm512_unpacklo_ps(c.v, d.v), cd1 = _mm512_unpackhi_ps(c.v, d.v);
  // 128-bit part j of r_k is value 4j+k.
  const __m512d r0 = _mm512_unpacklo_pd(_mm512_castps_pd(ab0), _mm512_castps_pd(cd0));
  const __m512d r1 = _mm512_unpackhi_pd(_mm512_castps_pd(ab0), _mm512_castps_pd(cd0));
  const __m512d r2 = _mm512_unpacklo_pd(_mm512_castps_pd(ab1), _mm512_castps_pd(cd1));
  const __m512d r3 = _mm512_unpackhi_pd(_mm512_castps_pd(ab1), _mm512_castps_pd(cd1));
  const __m512d s0 = _mm512_shuffle_f64x2(r0, r1, 0x44), s1 = _mm512_shuffle_f64x2(r2, r3, 0x44);
  const __m512d s2 = _mm512_shuffle_f64x2(r0, r1, 0xee), s3 = _mm512_shuffle_f64x2(r2, r3, 0xee);
  // s0 = r0[0] r0[1] r1[0] r1[1]; wanted order of parts: r0[0] r1[0] r2[0] r3[0], then [1], [2], [3].
  _mm512_storeu_pd(p, _mm512_shuffle_f64x2(s0, s1, 0x88));
  _mm512_storeu_pd(p + 16, _mm512_shuffle_f64x2(s0, s1, 0xdd));
  _mm512_storeu_pd(p + 32, _mm512_shuffle_f64x2(s2, s3, 0x88));
  _mm512_storeu_pd(p + 48, _mm512_shuffle_f64x2(s2, s3, 0xdd));
}

// 2^x = 2^(k/16) * 2^r with k = round(16 x): 2^(j/16) from a 16-entry register, 2^r by a quadratic, |r| <= 1/32. The
// multiply ports are what blend runs out of: this needs three of their slots, a polynomial with vscalefps six.
TS_INLINE f32 exp2_fast(f32 x) {
  // bits(2^(j/16)) - (j << 19), so that adding k << 19 yields 2^(k/16) for any k with k mod 16 = j.
  const __m512i table =
      _mm512_setr_epi32(0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
                        0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d);
  const __m512 shift = _mm512_set1_ps(786432.0f);  // 1.5 * 2^19: the sum's last mantissa bit is worth 1/16
  const __m512 shifted = _mm512_add_ps(x.v, shift);
  const __m512 r = _mm512_sub_ps(x.v, _mm512_sub_ps(shifted, shift));
  const __m512i k = _mm512_castps_si512(shifted);
  const __m512 s = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_permutexvar_epi32(k, table), _mm512_slli_epi32(k, 19)));
  const __m512 p = _mm512_fmadd_ps(r, _mm512_set1_ps(0.2402265f), _mm512_set1_ps(0.6931878f));
  return f32(_mm512_fmadd_ps(_mm512_mul_ps(s, r), p, s));
}

TS_TARGET_END
