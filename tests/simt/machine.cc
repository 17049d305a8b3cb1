// SPDX-License-Identifier: Apache-2.0
// Compiled without -fsanitize=thread even where kernels are: what the machine itself does with the threads' memory is no
// race of theirs. SIMT_ASAN and SIMT_TSAN say what the kernels are compiled with.
#include "simt/machine.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "simt/product.h"
#if defined(SIMT_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(SIMT_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

// Where simt_shared lies, if a program has such variables.
extern "C" __attribute__((weak)) char __start_simt_shared[], __stop_simt_shared[];

// Saves the callee's registers on the stack and the stack pointer in *save, and goes on from `load`.
extern "C" void simt_switch(void** save, void* load);
#if defined(__x86_64__)
constexpr int kSavedWords = 6;
asm(R"(
.pushsection .text
.globl simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch,.-simt_switch
.popsection
)");
#elif defined(__aarch64__)
constexpr int kSavedWords = 20;  // x19 .. x30, d8 .. d15
asm(R"(
.pushsection .text
.globl simt_switch
.type simt_switch,%function
simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size simt_switch,.-simt_switch
.popsection
)");
#else
#error "simt: fibers are written for x86-64 and aarch64. Build without -DTALKSPLAT_TESTS=ON."
#endif

namespace simt {
namespace {

constexpr int kMaxThreads = 1024;
constexpr size_t kStackBytes = 256 << 10;  // of which pages that are used take memory
constexpr uint32_t kPoison = 0x7fbadbad;   // NaN as a float, and a large number
constexpr uint64_t kPoisonPair = uint64_t{kPoison} << 32 | kPoison;

struct Fiber : Thread {
  void* stack_pointer;
  char* stack;
  Meeting waits;  // kNone: it can run
  bool left;
  int line;
  uint32_t mask;
  uint64_t value;  // in, then out
  int source;      // lane that a shuffle reads
#if defined(SIMT_ASAN)
  void* fake_stack;
#endif
#if defined(SIMT_TSAN)
  char* token;  // of the meeting that woke it
#endif
};

struct Warp {
  uint32_t here;  // lanes that wait in a meeting
  uint32_t left;  // lanes that are done, or never were
  int meetings;
};

// Everything is of the launch that is running.
struct Machine {
  std::mutex turn;
  const char* kernel = "";
  const std::function<void()>* body = nullptr;
  Order order = Order::kAscending;
  uint64_t random_state = 1;
  Block block;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  std::vector<uint32_t> ready;  // a bit per thread, a word per warp
  int live = 0;
  Fiber* running = nullptr;  // nullptr: the host
  void* host_stack_pointer = nullptr;
  int at_barrier = 0, barrier_line = 0, barrier_true = 0, barrier_result = 0;
  std::vector<char> dynamic;
  char* stacks = nullptr;
  int n_stacks = 0;  // that memory is there for
  uint64_t switches = 0;
#if defined(SIMT_ASAN)
  const void* host_stack = nullptr;
  size_t host_stack_bytes = 0;
  void* host_fake_stack = nullptr;
#endif
#if defined(SIMT_TSAN)
  // Memory whose addresses order what ThreadSanitizer sees: of the block's begin and end, of each phase between two
  // barriers, of each lane that comes to a __syncwarp, and of each of these. One for all would hide races.
  void* host_fiber = nullptr;
  std::vector<void*> tsan_fibers;  // by thread; kept, since making one takes a millisecond
  char begin, end, barriers[2], arrivals[kMaxThreads], meetings[32][256];
  int barriers_met = 0;
#endif
};
Machine machine;

#if defined(SIMT_TSAN)
void release(char* token) { __tsan_release(token); }
void acquire(char* token) { __tsan_acquire(token); }
#endif

const char* name_of(Meeting meeting) {
  constexpr const char* kNames[] = {"nothing",   "__syncthreads", "__syncwarp", "a ballot",
                                    "a shuffle", "a match",       "mma"};
  return kNames[static_cast<int>(meeting)];
}

[[noreturn]] void fail(const char* what, int line) {
  const uint3& b = machine.block.index;
  std::fprintf(stderr, "simt: %s, block (%u,%u,%u), thread %d, line %d: %s\n", machine.kernel, b.x, b.y, b.z,
               machine.running ? machine.running->index : -1, line, what);
  int shown = 0;
  for (const Fiber& f : machine.fibers) {
    if (f.left || f.waits == Meeting::kNone || shown++ == 40) continue;
    std::fprintf(stderr, "  thread %d waits in %s at line %d with mask %08x\n", f.index, name_of(f.waits), f.line,
                 f.mask);
  }
  std::fflush(stderr);
  std::abort();
}

// Knuth's MMIX constants. No <random>: its templates would be the kernels' instrumented ones.
uint32_t random_below(uint32_t n) {
  machine.random_state = machine.random_state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>(machine.random_state >> 33) % n;
}

void set_ready(int i) { machine.ready[static_cast<size_t>(i) / 32] |= 1u << (i & 31); }
void clear_ready(int i) { machine.ready[static_cast<size_t>(i) / 32] &= ~(1u << (i & 31)); }

int nth_bit(uint32_t word, uint32_t n) {
  for (; n > 0; --n) word &= word - 1;
  return __builtin_ctz(word);
}

// The next to run, -1 for nobody. Of the same warp first: its lanes are what it most often waits for.
int next_ready() {
  const int words = static_cast<int>(machine.ready.size());
  const bool down = machine.order == Order::kDescending;
  const int from = machine.order == Order::kRandom ? static_cast<int>(random_below(static_cast<uint32_t>(words)))
                   : machine.running               ? machine.running->index >> 5
                   : down                          ? words - 1
                                                   : 0;
  for (int k = 0; k < words; ++k) {
    const int w = down ? (from - k + words) % words : (from + k) % words;
    const uint32_t word = machine.ready[static_cast<size_t>(w)];
    if (!word) continue;
    if (machine.order == Order::kRandom)
      return 32 * w + nth_bit(word, random_below(static_cast<uint32_t>(__builtin_popcount(word))));
    return 32 * w + (down ? 31 - __builtin_clz(word) : __builtin_ctz(word));
  }
  return -1;
}

// Of functions that a thread ends in: what AddressSanitizer marks in their frames would stay marked for the thread that
// has the stack next.
#define SIMT_NEVER_RETURNS __attribute__((no_sanitize("address")))

// leaving: the calling fiber will not be come back to.
SIMT_NEVER_RETURNS void switch_to(Fiber* to, bool leaving) {
  Fiber* from = machine.running;
  void* nowhere;
  void** save = leaving ? &nowhere : from ? &from->stack_pointer : &machine.host_stack_pointer;
  ++machine.switches;
#if defined(SIMT_ASAN)
  void** fake = leaving ? nullptr : from ? &from->fake_stack : &machine.host_fake_stack;
  __sanitizer_start_switch_fiber(fake, to ? to->stack : machine.host_stack,
                                 to ? kStackBytes : machine.host_stack_bytes);
#endif
#if defined(SIMT_TSAN)
  __tsan_switch_to_fiber(to ? machine.tsan_fibers[static_cast<size_t>(to->index)] : machine.host_fiber,
                         __tsan_switch_to_fiber_no_sync);
#endif
  machine.running = to;
  simt_switch(save, to ? to->stack_pointer : machine.host_stack_pointer);
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(from ? from->fake_stack : machine.host_fake_stack, nullptr, nullptr);
#endif
}

void run_others(int line) {
  const int next = next_ready();
  if (next < 0) fail("deadlock: nobody can go on", line);
  if (next != machine.running->index) switch_to(&machine.fibers[static_cast<size_t>(next)], false);
}

void open_barrier() {
  for (Fiber& f : machine.fibers) {
    if (f.left || f.waits != Meeting::kBarrier) continue;
    f.waits = Meeting::kNone;
    set_ready(f.index);
  }
  machine.barrier_result = machine.barrier_true;
  machine.at_barrier = machine.barrier_true = 0;
#if defined(SIMT_TSAN)
  ++machine.barriers_met;
#endif
}

// The first function on a fiber's stack.
SIMT_NEVER_RETURNS void run_thread() {
#if defined(SIMT_ASAN)
  const bool first = !machine.host_stack;
  __sanitizer_finish_switch_fiber(nullptr, first ? &machine.host_stack : nullptr,
                                  first ? &machine.host_stack_bytes : nullptr);
#endif
#if defined(SIMT_TSAN)
  acquire(&machine.begin);
#endif
  (*machine.body)();
#if defined(SIMT_TSAN)
  release(&machine.end);
#endif
  Fiber& self = *machine.running;
  self.left = true;
  const int lane = self.index & 31;
  Warp& warp = machine.warps[static_cast<size_t>(self.index) / 32];
  warp.left |= 1u << lane;
  const Fiber* lanes = &self - lane;
  for (int l = 0; l < 32; ++l) {
    if ((warp.here >> l & 1) && (lanes[l].mask >> lane & 1)) fail("leaves, though others of its warp wait for it", 0);
  }
  clear_ready(self.index);
  --machine.live;
  // Who has left counts as having come.
  if (machine.live && machine.at_barrier == machine.live) open_barrier();
  const int next = next_ready();
  if (next < 0 && machine.live) fail("deadlock: the last thread that could run has left", 0);
  switch_to(next < 0 ? nullptr : &machine.fibers[static_cast<size_t>(next)], true);
}

// What everybody of the mask gets, computed by the last to come.
void conclude(Meeting meeting, uint32_t mask, Fiber* warp) {
  uint64_t in[32] = {};
  uint32_t ballot = 0;
  for (int l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    in[l] = warp[l].value;
    ballot |= static_cast<uint32_t>(in[l] != 0) << l;
  }
  if (meeting == Meeting::kProduct) multiply(reinterpret_cast<Product* const*>(in));
  for (int l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    Fiber& f = warp[l];
    if (meeting == Meeting::kShuffle) {
      f.value = mask >> f.source & 1 ? in[f.source] : kPoisonPair;
    } else if (meeting == Meeting::kMatch) {
      uint32_t same = 0;
      for (int k = 0; k < 32; ++k) same |= static_cast<uint32_t>((mask >> k & 1) && in[k] == in[l]) << k;
      f.value = same;
    } else {
      f.value = ballot;
    }
  }
}

void poison(char* first, char* end) {
  for (; first + sizeof kPoison <= end; first += sizeof kPoison) std::memcpy(first, &kPoison, sizeof kPoison);
}

// Below each stack is a page that nobody may touch: a thread whose stack is full ends the process there.
void make_stacks(int n) {
  const size_t guard_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (!machine.stacks) {
    void* stacks =
        mmap(nullptr, kStackBytes * kMaxThreads, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) fail("no memory for the stacks of threads", 0);
    machine.stacks = static_cast<char*>(stacks);
  }
  for (; machine.n_stacks < n; ++machine.n_stacks) {
    char* stack = machine.stacks + kStackBytes * static_cast<size_t>(machine.n_stacks);
    if (mprotect(stack + guard_bytes, kStackBytes - guard_bytes, PROT_READ | PROT_WRITE) != 0)
      fail("no memory for the stacks of threads", 0);
  }
}

void start_threads(dim3 block) {
  for (int i = 0; i < machine.live; ++i) {
    Fiber& f = machine.fibers[static_cast<size_t>(i)];
    const auto u = static_cast<unsigned>(i);
    f.index = i;
    f.thread_idx = {u % block.x, u / block.x % block.y, u / block.x / block.y};
    f.waits = Meeting::kNone;
    f.left = false;
    f.stack = machine.stacks + kStackBytes * static_cast<size_t>(i);
    // What simt_switch takes from it, with run_thread as where it returns to.
    void** top = reinterpret_cast<void**>(f.stack + kStackBytes) - 2;
#if defined(__x86_64__)
    *top = reinterpret_cast<void*>(&run_thread);
    f.stack_pointer = top - kSavedWords;
#else
    f.stack_pointer = top - kSavedWords;
    static_cast<void**>(f.stack_pointer)[11] = reinterpret_cast<void*>(&run_thread);  // x30
#endif
    set_ready(i);
  }
}

void run_block(dim3 block) {
  const int n = static_cast<int>(block.x * block.y * block.z), words = (n + 31) / 32;
  if (__start_simt_shared) poison(__start_simt_shared, __stop_simt_shared);
  poison(machine.dynamic.data(), machine.dynamic.data() + machine.dynamic.size());
  machine.warps.assign(static_cast<size_t>(words), Warp{});
  if (n % 32) machine.warps.back().left = ~0u << n % 32;
  machine.live = n;
  machine.at_barrier = machine.barrier_true = 0;
  start_threads(block);
#if defined(SIMT_TSAN)
  release(&machine.begin);
#endif
  machine.running = nullptr;
  switch_to(&machine.fibers[static_cast<size_t>(next_ready())], false);
#if defined(SIMT_TSAN)
  acquire(&machine.end);
#endif
}

}  // namespace

const Block& block() { return machine.block; }
const Thread& now() { return *machine.running; }
void* dynamic_shared() { return machine.dynamic.data(); }
uint64_t switches() { return machine.switches; }

uint64_t meet(Meeting meeting, uint32_t mask, uint64_t value, int source, int line) {
  Fiber& self = *machine.running;
  const int first = self.index & ~31, lane = self.index & 31;
  Warp& warp = machine.warps[static_cast<size_t>(first) / 32];
  if (!(mask >> lane & 1)) fail("the mask lacks the caller", line);
  if (mask & warp.left) fail("the mask names a lane that has left, or is past the end of the block", line);
  self.waits = meeting, self.mask = mask, self.value = value, self.source = source, self.line = line;
#if defined(SIMT_TSAN)
  // Votes, matches, shuffles and products wait for lanes but order no memory: CUDA's programming guide, warp functions.
  const bool orders_memory = meeting == Meeting::kSync;
  if (orders_memory) release(&machine.arrivals[self.index]);
#endif
  warp.here |= 1u << lane;
  if ((warp.here & mask) != mask) {
    clear_ready(self.index);
    run_others(line);
  } else {
    Fiber* lanes = &machine.fibers[static_cast<size_t>(first)];
    for (int l = 0; l < 32; ++l) {
      if (!(mask >> l & 1)) continue;
      if (lanes[l].waits != meeting || lanes[l].mask != mask)
        fail("lanes of one mask meet in different intrinsics, or with different masks", line);
      if (meeting == Meeting::kProduct && lanes[l].line != line) fail("lanes meet in different products", line);
    }
    conclude(meeting, mask, lanes);
    warp.here &= ~mask;
#if defined(SIMT_TSAN)
    if (orders_memory) {
      char* token = &machine.meetings[first / 32][warp.meetings++ & 255];
      for (int l = 0; l < 32; ++l) {
        if (!(mask >> l & 1)) continue;
        acquire(&machine.arrivals[first + l]);
        lanes[l].token = token;
      }
      release(token);
    }
#endif
    for (int l = 0; l < 32; ++l) {
      if (!(mask >> l & 1)) continue;
      lanes[l].waits = Meeting::kNone;
      set_ready(first + l);
    }
    if (machine.order == Order::kRandom) run_others(line);
  }
#if defined(SIMT_TSAN)
  if (orders_memory) acquire(self.token);
#endif
  return self.value;
}

int barrier(bool predicate, int line) {
  Fiber& self = *machine.running;
  if (machine.at_barrier && machine.barrier_line != line) fail("__syncthreads is waited for at two places", line);
  machine.barrier_line = line;
  machine.barrier_true += predicate;
  self.waits = Meeting::kBarrier, self.mask = ~0u, self.line = line;
#if defined(SIMT_TSAN)
  char* token = &machine.barriers[machine.barriers_met & 1];
  release(token);
#endif
  if (++machine.at_barrier == machine.live) {
    open_barrier();
    if (machine.order != Order::kAscending) run_others(line);
  } else {
    clear_ready(self.index);
    run_others(line);
  }
#if defined(SIMT_TSAN)
  acquire(token);
#endif
  return machine.barrier_result;
}

void launch(const char* kernel, dim3 grid, dim3 block, size_t dynamic_bytes, const Options& options,
            const std::function<void()>& body) {
  const std::lock_guard<std::mutex> turn(machine.turn);
  machine.kernel = kernel;
  machine.running = nullptr;
  machine.fibers.clear();
  const size_t n = size_t{block.x} * block.y * block.z;
  if (n == 0 || n > kMaxThreads) fail("a block must have 1 to 1024 threads", 0);
  if (dynamic_bytes > options.max_dynamic_bytes) fail("more dynamic shared memory than was opted in for", 0);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) fail("a grid of no blocks: CUDA refuses it", 0);
  if (grid.y > 65535 || grid.z > 65535) fail("a grid is at most 65535 wide in y and z", 0);
  make_stacks(static_cast<int>(n));
  machine.body = &body;
  machine.order = options.order, machine.random_state = options.seed;
  machine.fibers.resize((n + 31) / 32 * 32);  // whole warps: a meeting looks at all lanes of one
  machine.ready.assign((n + 31) / 32, 0);
  machine.dynamic.assign(dynamic_bytes, 0);
#if defined(SIMT_ASAN)
  machine.host_stack = nullptr;  // of this host thread
#endif
#if defined(SIMT_TSAN)
  machine.host_fiber = __tsan_get_current_fiber();
  while (machine.tsan_fibers.size() < n) machine.tsan_fibers.push_back(__tsan_create_fiber(0));
#endif
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  // Random: a step that has no factor in common with the number of blocks visits all of them.
  uint64_t step = 1, at = 0;
  if (options.order == Order::kRandom) {
    const auto factor = [](uint64_t a, uint64_t b) {
      while (b) {
        const uint64_t rest = a % b;
        a = b, b = rest;
      }
      return a;
    };
    step = 1 + random_below(static_cast<uint32_t>(blocks));
    while (factor(step, blocks) != 1) ++step;
    at = random_below(static_cast<uint32_t>(blocks));
  }
  for (uint64_t i = 0; i < blocks; ++i, at = (at + step) % blocks) {
    const uint64_t b = options.order == Order::kDescending ? blocks - 1 - i : at;
    machine.block = {{static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                      static_cast<unsigned>(b / grid.x / grid.y)},
                     block,
                     grid};
    run_block(block);
  }
}

}  // namespace simt
