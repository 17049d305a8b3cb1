// SPDX-License-Identifier: Apache-2.0
// What a step of encode's transformer computes of numbers that lie in whatever order a target likes: ops/encode.h.
#pragma once
#include <cmath>

#include "math/activation.h"

TS_TARGET_BEGIN

// A ring whose slot s holds the step whose number is s modulo the slots: where the step lies that is being made, and how
// many slots are filled by then, which are the first ones.
struct RingPlace {
  int now, n;
};
TS_INLINE RingPlace place_in_ring(int64_t step, int slots) {
  const int now = static_cast<int>(step % slots);
  return {now, step < slots ? now + 1 : slots};
}

// What numbers about their mean are multiplied by in a norm, of the sum of their squares.
TS_INLINE float norm_scale(float squares, int width) {
  return 1.0f / ::sqrtf(squares / static_cast<float>(width) + 1e-5f);
}

// Sum of a(i) b(i), over even and over odd i apart: two chains of additions that do not wait for each other.
template <class A, class B>
TS_INLINE f32 dot_by_twos(int n, A a, B b) {
  f32 even(0.0f), odd(0.0f);
  int i = 0;
  for (; i + 1 < n; i += 2) {
    even = fma(a(i), b(i), even);
    odd = fma(a(i + 1), b(i + 1), odd);
  }
  if (i < n) even = fma(a(i), b(i), even);
  return even + odd;
}

TS_INLINE f32 attention_score(f32 query_key, int head_width, f32 age_bias) {
  return fma(query_key, f32(1.0f / ::sqrtf(static_cast<float>(head_width))), age_bias);
}

TS_INLINE f32 gated(f32 left, f32 right) { return left * sigmoid_fast(right); }

// silu of bias + the sum of weight(age) kept(slot), from the slot `now` back through the ring.
template <class Weight, class Kept>
TS_INLINE f32 convolved(int taps, int now, f32 bias, Weight weight, Kept kept) {
  f32 y = bias;
  for (int age = 0, slot = now; age < taps; ++age, slot = slot > 0 ? slot - 1 : taps - 1)
    y = fma(weight(age), kept(slot), y);
  return silu_fast(y);
}

TS_TARGET_END
