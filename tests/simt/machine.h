// SPDX-License-Identifier: Apache-2.0
// The machine under simt.h: runs the threads of a block as fibers, one block after the other.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz) {}
};

namespace simt {

// Who runs next, of threads and of blocks.
enum class Order { kAscending, kDescending, kRandom };
constexpr Order kOrders[] = {Order::kAscending, Order::kDescending, Order::kRandom};

struct Options {
  Order order = Order::kAscending;
  uint64_t seed = 1;                    // of kRandom
  size_t max_dynamic_bytes = 48 << 10;  // shared memory that a launch may ask for; sm_75 has 64 KiB for who opts in
};

// Runs body() as every thread of every block. One launch at a time: others wait. Ends the process with a message where
// the kernel breaks a rule.
void launch(const char* kernel, dim3 grid, dim3 block, size_t dynamic_bytes, const Options& options,
            const std::function<void()>& body);

// ---- what simt.h is made of ----

struct Block {
  uint3 index;
  dim3 dim, grid;
};
struct Thread {
  uint3 thread_idx;
  int index;  // in the block
};
const Block& block();
const Thread& now();
void* dynamic_shared();
inline int lane() { return now().index & 31; }

// What lanes of a warp wait for together.
enum class Meeting : uint8_t { kNone, kBarrier, kSync, kBallot, kShuffle, kMatch, kProduct };

// The caller's part of a 16x8x8 product: its registers, as device.h has them.
struct Product {
  float* d;
  uint32_t a[2], b;
};

// Returns when all lanes of the mask are here: the ballot, the shuffled value, or the lanes of equal value.
uint64_t meet(Meeting meeting, uint32_t mask, uint64_t value, int source, int line);
// Returns how many threads of the block came with a true predicate.
int barrier(bool predicate, int line);

uint64_t switches();  // between fibers, since the process began

}  // namespace simt
