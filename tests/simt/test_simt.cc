// SPDX-License-Identifier: Apache-2.0
// The shim itself: what each of CUDA's words gives, in every order of threads.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <vector>

#include "cpp/check.h"
#include "kernels/cuda/device.h"

namespace {

using ts::cuda::half2_of;

constexpr int kThreads = 70;  // two warps and a part of one

// CHECK of a thread of a block: what it counts in is no race of the kernel's.
std::atomic<int> n_broken{0};
void holds(bool that, int line = __builtin_LINE()) {
  if (that) return;
  n_broken.fetch_add(1, std::memory_order_relaxed);
  std::fprintf(stderr, "%s:%d: does not hold in thread %u\n", __FILE__, line, threadIdx.x);
}

void launch(simt::Order order, int threads, const std::function<void()>& body, int blocks = 1) {
  simt::launch("test", dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), 0, {order, 5}, body);
}

void test_indices(simt::Order order) {
  std::vector<int> seen(3 * 2 * 4 * 5, 0);
  simt::launch("test", dim3(3, 2), dim3(4, 5), 0, {order, 5}, [&] {
    holds(blockDim.x == 4 && blockDim.y == 5 && gridDim.x == 3 && gridDim.y == 2);
    ++seen[((blockIdx.y * 3 + blockIdx.x) * 5 + threadIdx.y) * 4 + threadIdx.x];
  });
  for (int n : seen) CHECK(n == 1);
}

void test_barrier(simt::Order order) {
  launch(order, kThreads, [&] {
    __shared__ int value[kThreads];
    const int i = static_cast<int>(threadIdx.x);
    for (int turn = 0; turn < 3; ++turn) {
      value[i] = i + turn;
      __syncthreads();
      holds(value[kThreads - 1 - i] == kThreads - 1 - i + turn);
      __syncthreads();
    }
    holds(__syncthreads_or(i == 7) == 1);
    holds(__syncthreads_or(0) == 0);
    holds(__syncthreads_and(1) == 1 && __syncthreads_and(i != 69) == 0);
    holds(__syncthreads_count(i % 2) == kThreads / 2);
    if (i >= 40) return;  // who has left is not waited for
    __syncthreads();
    holds(__syncthreads_count(1) == 40);
  });
}

void test_warp(simt::Order order) {
  launch(order, 64, [&] {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    holds(__ballot_sync(~0u, lane < 5) == 31u);
    holds(__any_sync(~0u, lane == 31) && !__any_sync(~0u, 0) && __all_sync(~0u, 1) && !__all_sync(~0u, lane != 3));
    holds(__shfl_sync(~0u, 10 * lane, 35) == 30);
    holds(__shfl_sync(~0u, lane, 1, 8) == lane / 8 * 8 + 1);
    holds(__shfl_xor_sync(~0u, lane, 5) == (lane ^ 5));
    holds(__shfl_xor_sync(~0u, lane, 6, 4) == (lane % 8 < 4 ? lane : lane ^ 6));  // down, but not up, past its part
    holds(__shfl_up_sync(~0u, lane, 3) == (lane < 3 ? lane : lane - 3));
    holds(__shfl_down_sync(~0u, lane, 3) == (lane > 28 ? lane : lane + 3));
    holds(__shfl_down_sync(~0u, 0.5 * lane, 1, 4) == 0.5 * (lane % 4 == 3 ? lane : lane + 1));
    holds(__match_any_sync(~0u, lane % 3) == 0x49249249u << lane % 3);
    holds(ts::cuda::lanes_below() == (1u << lane) - 1);
    if (lane < 8) holds(__ballot_sync(0xff, lane % 2) == 0xaa);  // a part of the warp
    if (lane >= 8) holds(__shfl_sync(0xffffff00, lane, 31) == 31);
    const float outside = lane < 8 ? __shfl_sync(0xff, 1.0f, 20) : NAN;
    holds(outside != outside);  // a lane that takes no part gives nothing
    __syncwarp();
  });
}

void test_atomics(simt::Order order) {
  int sum = 0;
  unsigned bits = 0, largest = 0, smallest = 1000;
  uint64_t wide = 0;
  uint32_t next = 0, last = ~0u;
  launch(
      order, kThreads,
      [&] {
        atomicAdd(&sum, 1);
        atomicAdd(&wide, uint64_t{1} << 40);
        atomicOr(&bits, 1u << threadIdx.x % 32);
        atomicMax(&largest, threadIdx.x);
        atomicMin(&smallest, threadIdx.x + 3);
        uint32_t seen = 0;
        for (uint32_t found; (found = atomicCAS(&next, seen, seen + 2)) != seen;) seen = found;
        holds(atomicExch(&last, seen) == seen - 2 || seen == 0);
      },
      4);
  CHECK(sum == 4 * kThreads && wide == uint64_t{4 * kThreads} << 40);
  CHECK(bits == ~0u && largest == kThreads - 1 && smallest == 3);
  CHECK(next == 2 * 4 * kThreads && last == next - 2);
}

void test_integers() {
  CHECK(__popc(0xf0f00001u) == 9 && __popc(0) == 0);
  CHECK(__ffs(0) == 0 && __ffs(1) == 1 && __ffs(INT32_MIN) == 32);
  CHECK(__clz(0) == 32 && __clz(1) == 31 && __clz(-1) == 0);
  CHECK(__brev(1) == 0x80000000u && __brev(0x12345678u) == 0x1e6a2c48u);
  CHECK(__float_as_uint(-2.0f) == 0xc0000000u && __uint_as_float(0x7f800000u) == INFINITY);
  CHECK(__float_as_int(-0.0f) == INT32_MIN && __int_as_float(0x3f800000) == 1.0f);
}

void test_shared_starts_as_nan(simt::Order order) {
#if !defined(SIMT_ASAN)
  launch(
      order, 32,
      [&] {
        __shared__ float value[32];
        holds(value[threadIdx.x] != value[threadIdx.x]);
        value[threadIdx.x] = 1;
      },
      2);
#endif
  simt::launch("test", 2, 32, 128, {order, 5}, [&] {
    TS_DYNAMIC_SHARED(float, value);
    holds(value[threadIdx.x] != value[threadIdx.x]);
    value[threadIdx.x] = 1;
  });
}

void test_halves() {
  for (uint32_t h = 0; h < 65536; ++h) {
    const float f = ts::float_of_half(static_cast<uint16_t>(h));
    if (f != f)
      CHECK((ts::half_of_float(f) & 0x7fff) > 0x7c00);
    else
      CHECK(ts::half_of_float(f) == h);
    // Just above the middle between a half and the next is the next, the middle itself is the even one.
    if ((h & 0x7fff) >= 0x7bff) continue;
    const float next = ts::float_of_half(static_cast<uint16_t>(h + 1)), middle = 0.5f * (f + next);
    CHECK(ts::half_of_float(middle) == (h & 1 ? h + 1 : h));
    CHECK(ts::half_of_float(std::nextafterf(middle, next)) == h + 1);
    CHECK(ts::half_of_float(std::nextafterf(middle, f)) == h);
  }
  CHECK(ts::half_of_float(65519.0f) == 0x7bff && ts::half_of_float(65520.0f) == 0x7c00);
  CHECK(ts::half_of_float(-INFINITY) == 0xfc00 && ts::half_of_float(1e-10f) == 0);
  CHECK(half2_of(1.0f, -2.0f) == 0xc0003c00u);
  CHECK(ts::cuda::half2_add(half2_of(1, 2), half2_of(3, -2)) == half2_of(4, 0));
  CHECK(ts::cuda::half2_max(half2_of(1, -2), half2_of(0, 0)) == half2_of(1, 0));
  CHECK(ts::cuda::half2_max(half2_of(-0.0f, NAN), half2_of(0, 3)) == half2_of(0, 3));
  CHECK(ts::cuda::half2_max(half2_of(0, 3), half2_of(-0.0f, NAN)) == half2_of(0, 3));
  // The largest subnormal, and a sum half a step above a half whose last bit is odd.
  CHECK(ts::cuda::half2_add(0x03ffu, 1) == 0x0400u);
  CHECK(ts::cuda::half2_add(half2_of(2049, 2051), half2_of(2, 0)) == half2_of(2050, 2052));
}

void test_product(simt::Order order) {
  const auto entry = [](int i, int j, int seed) { return static_cast<float>((i * 7 + j * 3 + seed) % 11 - 5) / 4; };
  launch(order, 64, [&] {
    const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
    const auto pair = [&](int row, int k, int seed) { return half2_of(entry(row, k, seed), entry(row, k + 1, seed)); };
    float d[4] = {1, 2, 3, 4};
    ts::cuda::mma_16x8x16(d, pair(g, 2 * t, 0), pair(g + 8, 2 * t, 0), pair(g, 2 * t + 8, 0), pair(g + 8, 2 * t + 8, 0),
                          pair(g, 2 * t, 5), pair(g, 2 * t + 8, 5));
    for (int i = 0; i < 4; ++i) {
      const int row = g + i / 2 * 8, column = 2 * t + i % 2;
      double want = i + 1;
      for (int k = 0; k < 16; ++k) want += double{entry(row, k, 0)} * entry(column, k, 5);
      holds(d[i] == want);  // sixteenths: exact
    }
  });
}

}  // namespace

int main() {
  for (const simt::Order order : simt::kOrders) {
    test_indices(order);
    test_barrier(order);
    test_warp(order);
    test_atomics(order);
    test_shared_starts_as_nan(order);
    test_product(order);
  }
  test_integers();
  test_halves();
  CHECK(n_broken == 0);
  return ts_test::report("test_simt");
}
