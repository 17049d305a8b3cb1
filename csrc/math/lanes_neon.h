// SPDX-License-Identifier: Apache-2.0
// lanes for 64-bit Arm (Advanced SIMD): 4 values.
#pragma once
#include <arm_neon.h>

TS_TARGET_BEGIN

constexpr int kLanes = 4;

struct mask {
  uint32x4_t v;  // all ones or all zeros per lane
};
struct i32 {
  int32x4_t v;
  i32() = default;
  TS_INLINE explicit i32(int32x4_t x) : v(x) {}
  TS_INLINE explicit i32(int32_t x) : v(vdupq_n_s32(x)) {}
  static TS_INLINE i32 iota() {
    const int32_t lanes[4] = {0, 1, 2, 3};
    return i32(vld1q_s32(lanes));
  }
};
struct f32 {
  float32x4_t v;
  f32() = default;
  TS_INLINE explicit f32(float32x4_t x) : v(x) {}
  TS_INLINE explicit f32(float x) : v(vdupq_n_f32(x)) {}
  static TS_INLINE f32 iota() { return f32(vcvtq_f32_s32(i32::iota().v)); }
};

TS_INLINE f32 load(const float* p) { return f32(vld1q_f32(p)); }
TS_INLINE i32 load(const int32_t* p) { return i32(vld1q_s32(p)); }
TS_INLINE f32 load_half(const uint16_t* p) { return f32(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))); }
TS_INLINE void store(float* p, f32 a) { vst1q_f32(p, a.v); }
TS_INLINE void store(int32_t* p, i32 a) { vst1q_s32(p, a.v); }

TS_INLINE f32 repeat4(const float* p) { return load(p); }

TS_INLINE f32 operator+(f32 a, f32 b) { return f32(vaddq_f32(a.v, b.v)); }
TS_INLINE f32 operator-(f32 a, f32 b) { return f32(vsubq_f32(a.v, b.v)); }
TS_INLINE f32 operator*(f32 a, f32 b) { return f32(vmulq_f32(a.v, b.v)); }
TS_INLINE f32 operator/(f32 a, f32 b) { return f32(vdivq_f32(a.v, b.v)); }
TS_INLINE f32 operator-(f32 a) { return f32(vnegq_f32(a.v)); }
TS_INLINE f32 fma(f32 a, f32 b, f32 c) { return f32(vfmaq_f32(c.v, a.v, b.v)); }
TS_INLINE f32 fnma(f32 a, f32 b, f32 c) { return f32(vfmsq_f32(c.v, a.v, b.v)); }
TS_INLINE mask operator<(f32 a, f32 b) { return {vcltq_f32(a.v, b.v)}; }
TS_INLINE mask operator<=(f32 a, f32 b) { return {vcleq_f32(a.v, b.v)}; }
TS_INLINE mask operator>(f32 a, f32 b) { return {vcgtq_f32(a.v, b.v)}; }
TS_INLINE mask operator>=(f32 a, f32 b) { return {vcgeq_f32(a.v, b.v)}; }
TS_INLINE mask operator==(f32 a, f32 b) { return {vceqq_f32(a.v, b.v)}; }
TS_INLINE f32 select(mask m, f32 a, f32 b) { return f32(vbslq_f32(m.v, a.v, b.v)); }
TS_INLINE i32 select(mask m, i32 a, i32 b) { return i32(vbslq_s32(m.v, a.v, b.v)); }
// vminq propagates NaN; the contract is "the second operand when the first is NaN".
TS_INLINE f32 min(f32 a, f32 b) { return select(a < b, a, b); }
TS_INLINE f32 max(f32 a, f32 b) { return select(a > b, a, b); }
TS_INLINE f32 sqrt(f32 a) { return f32(vsqrtq_f32(a.v)); }
TS_INLINE f32 sqrt_above(f32 a) { return sqrt(max(a, f32(0.0f))); }
TS_INLINE f32 abs(f32 a) { return f32(vabsq_f32(a.v)); }
TS_INLINE f32 floor(f32 a) { return f32(vrndmq_f32(a.v)); }
TS_INLINE i32 round_to_int(f32 a) { return i32(vcvtnq_s32_f32(a.v)); }
TS_INLINE i32 truncate_to_int(f32 a) { return i32(vcvtq_s32_f32(a.v)); }
TS_INLINE f32 to_float(i32 a) { return f32(vcvtq_f32_s32(a.v)); }

TS_INLINE i32 operator+(i32 a, i32 b) { return i32(vaddq_s32(a.v, b.v)); }
TS_INLINE i32 operator-(i32 a, i32 b) { return i32(vsubq_s32(a.v, b.v)); }
TS_INLINE i32 operator*(i32 a, i32 b) { return i32(vmulq_s32(a.v, b.v)); }
TS_INLINE i32 operator&(i32 a, i32 b) { return i32(vandq_s32(a.v, b.v)); }
TS_INLINE i32 operator|(i32 a, i32 b) { return i32(vorrq_s32(a.v, b.v)); }
TS_INLINE i32 operator<<(i32 a, i32 n) { return i32(vshlq_s32(a.v, n.v)); }
TS_INLINE i32 operator<<(i32 a, int n) { return a << i32(n); }
TS_INLINE i32 operator>>(i32 a, int n) { return i32(vshlq_s32(a.v, vdupq_n_s32(-n))); }
TS_INLINE i32 min(i32 a, i32 b) { return i32(vminq_s32(a.v, b.v)); }
TS_INLINE i32 max(i32 a, i32 b) { return i32(vmaxq_s32(a.v, b.v)); }
TS_INLINE mask operator<(i32 a, i32 b) { return {vcltq_s32(a.v, b.v)}; }
TS_INLINE mask operator<=(i32 a, i32 b) { return {vcleq_s32(a.v, b.v)}; }

TS_INLINE mask operator&&(mask a, mask b) { return {vandq_u32(a.v, b.v)}; }
TS_INLINE mask operator||(mask a, mask b) { return {vorrq_u32(a.v, b.v)}; }
TS_INLINE uint32_t bits(mask m) {
  const int32_t weights[4] = {0, 1, 2, 3};
  return vaddvq_u32(vshlq_u32(vandq_u32(m.v, vdupq_n_u32(1)), vld1q_s32(weights)));
}
TS_INLINE bool any(mask m) { return vmaxvq_u32(m.v) != 0; }
TS_INLINE bool all(mask m) { return vminvq_u32(m.v) != 0; }
TS_INLINE mask first_lanes(int n) { return i32::iota() < i32(n); }

TS_INLINE f32 keep(mask m, f32 a) { return select(m, a, f32(0.0f)); }
TS_INLINE int append(int32_t* p, mask m, i32 a) {
  alignas(16) int32_t lanes[4];
  store(lanes, a);
  int n = 0;
  for (uint32_t rest = bits(m); rest; rest &= rest - 1) p[n++] = lanes[__builtin_ctz(rest)];
  return n;
}

TS_INLINE i32 bits_of(f32 a) { return i32(vreinterpretq_s32_f32(a.v)); }
TS_INLINE f32 float_of(i32 a) { return f32(vreinterpretq_f32_s32(a.v)); }

TS_INLINE void load3(const float* p, f32& a, f32& b, f32& c) {
  const float32x4x3_t v = vld3q_f32(p);
  a.v = v.val[0], b.v = v.val[1], c.v = v.val[2];
}
// Named values: in clang vst3q_f32 and vst4q_f32 are macros, which take the commas of a braced list for their own.
TS_INLINE void store3(float* p, f32 a, f32 b, f32 c) {
  const float32x4x3_t v = {{a.v, b.v, c.v}};
  vst3q_f32(p, v);
}
TS_INLINE void load4(const float* p, f32& a, f32& b, f32& c, f32& d) {
  const float32x4x4_t v = vld4q_f32(p);
  a.v = v.val[0], b.v = v.val[1], c.v = v.val[2], d.v = v.val[3];
}
TS_INLINE void store4(float* p, f32 a, f32 b, f32 c, f32 d) {
  const float32x4x4_t v = {{a.v, b.v, c.v, d.v}};
  vst4q_f32(p, v);
}

TS_TARGET_END

#include "math/exp2.h"
