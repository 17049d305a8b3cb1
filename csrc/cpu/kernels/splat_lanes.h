// SPDX-License-Identifier: Apache-2.0
// Splats in memory (one cache line each) <-> lanes (one splat per lane).
#pragma once
#include "math/lanes.h"
#include "math/splat.h"

TS_TARGET_BEGIN

#if defined(TS_TARGET_IS_AVX512)

// 16x16 transpose: r[i] lane j <-> r[j] lane i.
TS_INLINE void transpose16(__m512 r[16]) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 4) {
    const __m512d a0 = _mm512_castps_pd(_mm512_unpacklo_ps(r[i], r[i + 1]));
    const __m512d a1 = _mm512_castps_pd(_mm512_unpackhi_ps(r[i], r[i + 1]));
    const __m512d b0 = _mm512_castps_pd(_mm512_unpacklo_ps(r[i + 2], r[i + 3]));
    const __m512d b1 = _mm512_castps_pd(_mm512_unpackhi_ps(r[i + 2], r[i + 3]));
    t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a0, b0)), t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a0, b0));
    t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(a1, b1)), t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(a1, b1));
  }
  // 128-bit part q of t[4 g + c] is now rows 4g..4g+3 of column 4q+c.
  for (int c = 0; c < 4; ++c) {
    const __m512 lo = _mm512_shuffle_f32x4(t[c], t[4 + c], 0x88), hi = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0x88);
    const __m512 lo2 = _mm512_shuffle_f32x4(t[c], t[4 + c], 0xdd),
                 hi2 = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0xdd);
    r[c] = _mm512_shuffle_f32x4(lo, hi, 0x88), r[8 + c] = _mm512_shuffle_f32x4(lo, hi, 0xdd);
    r[4 + c] = _mm512_shuffle_f32x4(lo2, hi2, 0x88), r[12 + c] = _mm512_shuffle_f32x4(lo2, hi2, 0xdd);
  }
}

TS_INLINE void load_splats(const Splat* splat, const uint32_t* ids, f32 fields[kSplatFields]) {
  __m512 r[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_load_ps(splat + ids[i]);
  transpose16(r);
  for (int i = 0; i < 16; ++i) fields[i].v = r[i];
}

// Lane i goes to splat[i] where bit i of rows is set.
TS_INLINE void store_splats(Splat* splat, uint32_t rows, const f32 fields[kSplatFields]) {
  __m512 r[16];
  for (int i = 0; i < 16; ++i) r[i] = fields[i].v;
  transpose16(r);
  for (int i = 0; i < 16; ++i)
    if (rows >> i & 1) _mm512_store_ps(splat + i, r[i]);
}

// columns[i * kLanes + lane] = rows[lane * stride + i] for i < n; columns holds n rounded up to 16 times kLanes.
TS_INLINE void transpose_rows(const float* rows, int stride, int n, float* columns) {
  for (int i = 0; i < n; i += 16) {
    const __mmask16 wanted = static_cast<__mmask16>(n - i >= 16 ? 0xffffu : (1u << (n - i)) - 1);
    __m512 r[16];
    for (int lane = 0; lane < 16; ++lane) r[lane] = _mm512_maskz_loadu_ps(wanted, rows + lane * stride + i);
    transpose16(r);
    for (int k = 0; k < 16; ++k) _mm512_store_ps(columns + (i + k) * 16, r[k]);
  }
}

#else

TS_INLINE void transpose_rows(const float* rows, int stride, int n, float* columns) {
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < n; ++i) columns[i * kLanes + lane] = rows[lane * stride + i];
}

TS_INLINE void load_splats(const Splat* splat, const uint32_t* ids, f32 fields[kSplatFields]) {
  alignas(64) float columns[kSplatFields * kLanes];
  for (int i = 0; i < kLanes; ++i) {
    float row[kSplatFields];
    __builtin_memcpy(row, splat + ids[i], sizeof row);
    for (int f = 0; f < kSplatFields; ++f) columns[f * kLanes + i] = row[f];
  }
  for (int f = 0; f < kSplatFields; ++f) fields[f] = load(columns + f * kLanes);
}

TS_INLINE void store_splats(Splat* splat, uint32_t rows, const f32 fields[kSplatFields]) {
  alignas(64) float columns[kSplatFields * kLanes];
  for (int f = 0; f < kSplatFields; ++f) store(columns + f * kLanes, fields[f]);
  for (int i = 0; i < kLanes; ++i) {
    if (!(rows >> i & 1)) continue;
    float row[kSplatFields];
    for (int f = 0; f < kSplatFields; ++f) row[f] = columns[f * kLanes + i];
    __builtin_memcpy(splat + i, row, sizeof row);
  }
}

#endif

TS_TARGET_END
