// SPDX-License-Identifier: Apache-2.0
// lanes of one value per "register": for any C++17 compiler, the reference for the other targets; and for a GPU, where
// a lane is a thread. The two differ in fma and exp2_fast.
#pragma once
#include <cmath>
#include <cstring>

#include "math/half.h"

TS_TARGET_BEGIN

constexpr int kLanes = 1;

struct mask {
  bool v;
};
struct i32 {
  int32_t v;
  i32() = default;
  TS_HD explicit i32(int32_t x) : v(x) {}
  TS_HD static i32 iota() { return i32(0); }
};
struct f32 {
  float v;
  f32() = default;
  TS_HD explicit f32(float x) : v(x) {}
  TS_HD static f32 iota() { return f32(0.0f); }
};

TS_INLINE f32 load(const float* p) { return f32(*p); }
TS_INLINE i32 load(const int32_t* p) { return i32(*p); }
inline f32 load_half(const uint16_t* p) { return f32(float_of_half(*p)); }
TS_INLINE void store(float* p, f32 a) { *p = a.v; }
TS_INLINE void store(int32_t* p, i32 a) { *p = a.v; }

TS_INLINE f32 repeat4(const float* p) { return f32(*p); }

TS_INLINE f32 operator+(f32 a, f32 b) { return f32(a.v + b.v); }
TS_INLINE f32 operator-(f32 a, f32 b) { return f32(a.v - b.v); }
TS_INLINE f32 operator*(f32 a, f32 b) { return f32(a.v * b.v); }
TS_INLINE f32 operator/(f32 a, f32 b) { return f32(a.v / b.v); }
TS_INLINE f32 operator-(f32 a) { return f32(-a.v); }
#if defined(TS_TARGET_IS_CUDA)
TS_INLINE f32 fma(f32 a, f32 b, f32 c) { return f32(::fmaf(a.v, b.v, c.v)); }
TS_INLINE f32 fnma(f32 a, f32 b, f32 c) { return f32(::fmaf(-a.v, b.v, c.v)); }
#else
// Baseline x86-64 has no fused instruction and std::fma is a slow call there: two roundings instead.
TS_INLINE f32 fma(f32 a, f32 b, f32 c) { return f32(a.v * b.v + c.v); }
TS_INLINE f32 fnma(f32 a, f32 b, f32 c) { return f32(c.v - a.v * b.v); }
#endif
TS_INLINE f32 min(f32 a, f32 b) { return f32(a.v < b.v ? a.v : b.v); }
TS_INLINE f32 max(f32 a, f32 b) { return f32(a.v > b.v ? a.v : b.v); }
TS_INLINE f32 sqrt(f32 a) { return f32(::sqrtf(a.v)); }
#if defined(TS_TARGET_IS_CUDA)
TS_INLINE f32 sqrt_above(f32 a) {
  const f32 x = max(a, f32(1e-20f));
#if defined(__CUDA_ARCH__)
  // What nvcc makes of sqrtf, with the same result, but without its branch for zero, subnormal and infinite numbers:
  // half of a warp's lanes ask for the root of zero.
  float inverse;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(x.v));
  const f32 root = x * f32(inverse);
  return fma(fnma(root, root, x), f32(0.5f * inverse), root);
#else
  return sqrt(x);
#endif
}
#else
TS_INLINE f32 sqrt_above(f32 a) { return sqrt(max(a, f32(0.0f))); }
#endif
TS_INLINE f32 abs(f32 a) { return f32(::fabsf(a.v)); }
TS_INLINE f32 floor(f32 a) { return f32(::floorf(a.v)); }
// What does not fit becomes the smallest number, as the other targets have it.
TS_INLINE i32 to_int(float x) {
  return i32(x >= -2147483648.0f && x < 2147483648.0f ? static_cast<int32_t>(x) : INT32_MIN);
}
TS_INLINE i32 round_to_int(f32 a) { return to_int(::nearbyintf(a.v)); }
TS_INLINE i32 truncate_to_int(f32 a) { return to_int(a.v); }
TS_INLINE f32 to_float(i32 a) { return f32(static_cast<float>(a.v)); }

TS_INLINE mask operator<(f32 a, f32 b) { return {a.v < b.v}; }
TS_INLINE mask operator<=(f32 a, f32 b) { return {a.v <= b.v}; }
TS_INLINE mask operator>(f32 a, f32 b) { return {a.v > b.v}; }
TS_INLINE mask operator>=(f32 a, f32 b) { return {a.v >= b.v}; }
TS_INLINE mask operator==(f32 a, f32 b) { return {a.v == b.v}; }

TS_INLINE i32 operator+(i32 a, i32 b) {
  return i32(static_cast<int32_t>(static_cast<uint32_t>(a.v) + static_cast<uint32_t>(b.v)));
}
TS_INLINE i32 operator-(i32 a, i32 b) {
  return i32(static_cast<int32_t>(static_cast<uint32_t>(a.v) - static_cast<uint32_t>(b.v)));
}
TS_INLINE i32 operator*(i32 a, i32 b) {
  return i32(static_cast<int32_t>(static_cast<uint32_t>(a.v) * static_cast<uint32_t>(b.v)));
}
TS_INLINE i32 operator&(i32 a, i32 b) { return i32(a.v & b.v); }
TS_INLINE i32 operator|(i32 a, i32 b) { return i32(a.v | b.v); }
TS_INLINE i32 operator<<(i32 a, int n) { return i32(static_cast<int32_t>(static_cast<uint32_t>(a.v) << n)); }
TS_INLINE i32 operator>>(i32 a, int n) { return i32(a.v >> n); }
TS_INLINE i32 operator<<(i32 a, i32 n) { return i32(static_cast<int32_t>(static_cast<uint32_t>(a.v) << n.v)); }
TS_INLINE i32 min(i32 a, i32 b) { return a.v < b.v ? a : b; }
TS_INLINE i32 max(i32 a, i32 b) { return a.v > b.v ? a : b; }
TS_INLINE mask operator<(i32 a, i32 b) { return {a.v < b.v}; }
TS_INLINE mask operator<=(i32 a, i32 b) { return {a.v <= b.v}; }

TS_INLINE mask operator&&(mask a, mask b) { return {a.v && b.v}; }
TS_INLINE mask operator||(mask a, mask b) { return {a.v || b.v}; }
TS_INLINE f32 select(mask m, f32 a, f32 b) { return m.v ? a : b; }
TS_INLINE i32 select(mask m, i32 a, i32 b) { return m.v ? a : b; }
TS_INLINE bool any(mask m) { return m.v; }
TS_INLINE bool all(mask m) { return m.v; }
TS_INLINE uint32_t bits(mask m) { return m.v; }
TS_INLINE mask first_lanes(int n) { return {n > 0}; }

TS_INLINE f32 keep(mask m, f32 a) { return m.v ? a : f32(0.0f); }
TS_INLINE int append(int32_t* p, mask m, i32 a) {
  *p = a.v;
  return m.v;
}

TS_INLINE i32 bits_of(f32 a) {
  i32 r;
  memcpy(&r.v, &a.v, 4);
  return r;
}
TS_INLINE f32 float_of(i32 a) {
  f32 r;
  memcpy(&r.v, &a.v, 4);
  return r;
}

TS_INLINE void load3(const float* p, f32& a, f32& b, f32& c) { a.v = p[0], b.v = p[1], c.v = p[2]; }
TS_INLINE void store3(float* p, f32 a, f32 b, f32 c) { p[0] = a.v, p[1] = b.v, p[2] = c.v; }
TS_INLINE void load4(const float* p, f32& a, f32& b, f32& c, f32& d) { a.v = p[0], b.v = p[1], c.v = p[2], d.v = p[3]; }
TS_INLINE void store4(float* p, f32 a, f32 b, f32 c, f32 d) { p[0] = a.v, p[1] = b.v, p[2] = c.v, p[3] = d.v; }

TS_TARGET_END

#if defined(TS_TARGET_IS_CUDA)
TS_TARGET_BEGIN
// The GPU's own instruction; under tests/simt the C library's, so that pictures there differ by a rounding from a GPU's.
TS_INLINE f32 exp2_fast(f32 x) {
#if defined(__CUDA_ARCH__)
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x.v));
  return f32(r);
#else
  return f32(::exp2f(x.v));
#endif
}
TS_TARGET_END
#else
#include "math/exp2.h"
#endif
