// SPDX-License-Identifier: Apache-2.0
// What the other tests of this folder rest on: that a kernel which breaks CUDA's rules is found out. Each kernel here has
// one fault, which is seeded or not. Seeded, a process of its own must end with a report: by the shim, by NaN in what it
// computed, by results that depend on the order, by AddressSanitizer or by ThreadSanitizer, where this program is built
// with it. Not seeded, it must pass in the same build.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cpp/check.h"
#include "kernels/cuda/device.h"

namespace {

constexpr int kThreads = 64;
constexpr unsigned kAll = ~0u;

struct Args {
  bool fault;
  float* out;  // [kThreads + 1], of which the last is zero
};

int thread() { return static_cast<int>(threadIdx.x); }
int lane() { return thread() % 32; }

// ---- a synchronisation is missing ----

TS_KERNEL void barrier_before_reading(Args a) {
  __shared__ float value[kThreads];
  value[thread()] = static_cast<float>(thread());
  if (!a.fault) __syncthreads();
  a.out[thread()] = value[kThreads - 1 - thread()];
}

TS_KERNEL void barrier_before_writing_again(Args a) {
  __shared__ float value[kThreads];
  float sum = 0;
  for (int turn = 0; turn < 2; ++turn) {
    value[thread()] = static_cast<float>(turn);
    __syncthreads();
    sum += value[(thread() + 32) % kThreads];
    if (!a.fault) __syncthreads();
  }
  a.out[thread()] = sum;
}

TS_KERNEL void syncwarp_before_reading(Args a) {
  __shared__ float value[kThreads];
  value[thread()] = static_cast<float>(thread());
  if (!a.fault) __syncwarp();
  a.out[thread()] = value[thread() ^ 1];
}

// Lanes wait for each other in a vote too, but not for what they wrote.
TS_KERNEL void syncwarp_and_not_a_vote(Args a) {
  __shared__ float value[kThreads];
  value[thread()] = static_cast<float>(thread());
  if (a.fault)
    __any_sync(kAll, 1);
  else
    __syncwarp();
  a.out[thread()] = value[thread() ^ 1];
}

// What a warp's lanes agree on says nothing to another warp.
TS_KERNEL void syncwarp_instead_of_barrier(Args a) {
  __shared__ float value[kThreads];
  value[thread()] = static_cast<float>(thread());
  __syncwarp();
  if (!a.fault) __syncthreads();
  a.out[thread()] = value[thread() ^ 32];
}

TS_KERNEL void atomic_counter(Args a) {
  uint32_t* count = reinterpret_cast<uint32_t*>(a.out);
  if (a.fault)
    ++*count;
  else
    atomicAdd(count, 1);
}

TS_KERNEL void one_writer(Args a) {
  if (!a.fault && thread() != 0) return;
  a.out[0] = static_cast<float>(thread());
}

TS_KERNEL void one_writing_block(Args a) {
  if (thread() == 0 && (!a.fault || blockIdx.x < 2)) a.out[a.fault ? 0 : blockIdx.x] = static_cast<float>(blockIdx.x);
}

// ---- memory ----

TS_KERNEL void within_shared(Args a) {
  __shared__ float value[kThreads];
  value[thread()] = 1;
  __syncthreads();
  const float* next = value + 1;
  asm("" : "+r"(next));  // or UBSan would know its bounds, and speak first
  a.out[thread()] = next[a.fault ? thread() : thread() - 1];
}

TS_KERNEL void within_dynamic_shared(Args a) {
  TS_DYNAMIC_SHARED(float, value);
  value[thread()] = 1;
  __syncthreads();
  a.out[thread()] = value[a.fault ? thread() + 1 : thread()];
}

TS_KERNEL void within_global(Args a) {
  const int i = thread() + (a.fault ? 2 : 0);
  a.out[i] = 1;
}

TS_KERNEL void aligned(Args a) {
  const float4 four = *reinterpret_cast<const float4*>(a.out + (a.fault ? 1 : 0));
  if (thread() == 0) a.out[kThreads - 1] = four.x;
}

TS_KERNEL void written_shared(Args a) {
  __shared__ float value[kThreads];
  if (!a.fault || thread() != 5) value[thread()] = 1;
  a.out[thread()] = value[thread()];
}

TS_KERNEL void written_dynamic_shared(Args a) {
  TS_DYNAMIC_SHARED(float, value);
  if (!a.fault || thread() != 5) value[thread()] = 1;
  a.out[thread()] = value[thread()];
}

// ---- masks ----

TS_KERNEL void mask_with_its_caller(Args a) {
  a.out[thread()] = static_cast<float>(__ballot_sync(a.fault ? kAll - 2 : kAll, 1) & 1);
}

TS_KERNEL void mask_of_who_is_here(Args a) {
  if (lane() < 4) return;
  a.out[thread()] = __shfl_xor_sync(a.fault ? kAll : kAll << 4, 1.0f, 1);
}

TS_KERNEL void nobody_leaves(Args a) {
  if (a.fault && lane() == 31) return;
  a.out[thread()] = __shfl_xor_sync(kAll, 1.0f, 1);
}

TS_KERNEL void same_mask(Args a) {
  a.out[thread()] = static_cast<float>(__any_sync(a.fault && lane() == 3 ? 0xff : kAll, 1));
}

TS_KERNEL void same_intrinsic(Args a) {
  if (a.fault && lane() % 2)
    a.out[thread()] = __shfl_sync(kAll, 1.0f, 0);
  else
    a.out[thread()] = static_cast<float>(__ballot_sync(kAll, 1));
}

TS_KERNEL void shuffle_from_within(Args a) {
  if (lane() < 8) a.out[thread()] = __shfl_sync(0xff, 1.0f, a.fault ? 8 : 7);
}

TS_KERNEL void same_product(Args a) {
  float d[4] = {0, 0, 0, 0};
  if (a.fault && lane() % 2)
    ts::cuda::mma_16x8x8(d, 0, 0, 0);
  else
    ts::cuda::mma_16x8x8(d, 0, 0, 0);
  a.out[thread()] = d[0];
}

TS_KERNEL void product_of_whole_warps(Args a) {
  float d[4] = {0, 0, 0, 0};
  ts::cuda::mma_16x8x8(d, 0, 0, 0);
  a.out[thread()] = d[0];
}

// ---- barriers ----

TS_KERNEL void same_barrier(Args a) {
  if (a.fault && thread() < 7)
    __syncthreads();
  else
    __syncthreads();
  a.out[thread()] = 1;
}

TS_KERNEL void nobody_waits_for_who_waits(Args a) {
  if (a.fault && lane() == 9) __syncthreads();
  __syncwarp();
  a.out[thread()] = 1;
}

// ---- launches ----

TS_KERNEL void nothing(Args) {}

enum class Found { kByShim, kByNan, kByOrder, kByAddress, kByUndefined, kByRace };

struct Bug {
  const char* name;
  void (*kernel)(Args);
  Found found;
  const char* report;  // what is said
  // Of a launch with the fault.
  unsigned blocks = 1, threads = kThreads;
  size_t dynamic_bytes = kThreads * sizeof(float);
};

#define BUG(kernel) #kernel, kernel
const Bug kBugs[] = {
    {BUG(barrier_before_reading), Found::kByOrder, ""},
    {BUG(barrier_before_reading), Found::kByNan, ""},
    {BUG(barrier_before_reading), Found::kByRace, "data race"},
    {BUG(barrier_before_writing_again), Found::kByOrder, ""},
    {BUG(barrier_before_writing_again), Found::kByRace, "data race"},
    {BUG(syncwarp_before_reading), Found::kByOrder, ""},
    {BUG(syncwarp_before_reading), Found::kByRace, "data race"},
    {BUG(syncwarp_and_not_a_vote), Found::kByRace, "data race"},
    {BUG(syncwarp_instead_of_barrier), Found::kByOrder, ""},
    {BUG(syncwarp_instead_of_barrier), Found::kByRace, "data race"},
    {BUG(atomic_counter), Found::kByRace, "data race"},
    {BUG(one_writer), Found::kByOrder, ""},
    {BUG(one_writer), Found::kByRace, "data race"},
    {BUG(one_writing_block), Found::kByOrder, "", 2},
    {BUG(within_shared), Found::kByAddress, "global-buffer-overflow"},
    {BUG(within_dynamic_shared), Found::kByAddress, "heap-buffer-overflow"},
    {BUG(within_global), Found::kByAddress, "heap-buffer-overflow"},
    {BUG(aligned), Found::kByUndefined, "misaligned address"},
    {BUG(written_shared), Found::kByNan, ""},
    {BUG(written_dynamic_shared), Found::kByNan, ""},
    {BUG(mask_with_its_caller), Found::kByShim, "the mask lacks the caller"},
    {BUG(mask_of_who_is_here), Found::kByShim, "the mask names a lane that has left"},
    {BUG(nobody_leaves), Found::kByShim, "others of its warp wait for it"},
    {BUG(same_mask), Found::kByShim, "with different masks"},
    {BUG(same_intrinsic), Found::kByShim, "meet in different intrinsics"},
    {BUG(shuffle_from_within), Found::kByNan, ""},
    {BUG(same_product), Found::kByShim, "lanes meet in different products"},
    {BUG(product_of_whole_warps), Found::kByShim, "past the end of the block", 1, kThreads - 1},
    {BUG(same_barrier), Found::kByShim, "__syncthreads is waited for at two places"},
    {BUG(nobody_waits_for_who_waits), Found::kByShim, "deadlock"},
    {BUG(nothing), Found::kByShim, "1 to 1024 threads", 1, 1025},
    {BUG(nothing), Found::kByShim, "1 to 1024 threads", 1, 0},
    {BUG(nothing), Found::kByShim, "more dynamic shared memory", 1, 32, (48 << 10) + 4},
    {BUG(nothing), Found::kByShim, "a grid of no blocks", 0},
};

// Whether this program is built with what finds it.
bool can_be_seen(const Bug& bug) {
#if defined(SIMT_ASAN)
  // Of shared memory that has no section, what nobody wrote is not NaN.
  const bool zeroed = bug.kernel == written_shared || bug.kernel == barrier_before_reading;
  return bug.found != Found::kByRace && !(bug.found == Found::kByNan && zeroed);
#elif defined(SIMT_TSAN)
  return bug.found != Found::kByAddress && bug.found != Found::kByUndefined;
#else
  return bug.found != Found::kByAddress && bug.found != Found::kByUndefined && bug.found != Found::kByRace;
#endif
}

// ---- the process that runs a kernel: it says what it found in its exit status ----

enum Status { kPassed = 0, kNan = 40, kDiffers = 41 };

std::vector<float> result(const Bug& bug, bool fault, simt::Order order) {
  std::vector<float> out(kThreads + 1, 0.0f);
  const Args args{fault, out.data()};
  const unsigned blocks = fault ? bug.blocks : 1, threads = fault ? bug.threads : kThreads;
  simt::launch(bug.name, dim3(blocks), dim3(threads), fault ? bug.dynamic_bytes : kThreads * sizeof(float), {order, 3},
               [&] { bug.kernel(args); });
  return out;
}

Status run(const Bug& bug, bool fault) {
  const std::vector<float> first = result(bug, fault, simt::Order::kAscending);
  if (bug.found == Found::kByNan) {
    for (float x : first) {
      if (std::isnan(x)) return kNan;
    }
  }
  for (simt::Order order : simt::kOrders) {
    const std::vector<float> other = result(bug, fault, order);
    if (std::memcmp(first.data(), other.data(), first.size() * sizeof(float)) != 0) return kDiffers;
  }
  return kPassed;
}

// ---- the test ----

// Runs this program for one kernel. Returns its wait status and what it wrote to stderr.
int run_apart(const char* program, size_t index, bool fault, std::string& said) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]), close(ends[1]);
    setenv("TSAN_OPTIONS", "halt_on_error=1", 1);  // a report takes a second
    const std::string number = std::to_string(index);
    execl(program, program, fault ? "--fault" : "--mended", number.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[1]);
  char text[4096];
  for (ssize_t n; (n = read(ends[0], text, sizeof text)) > 0;) said.append(text, static_cast<size_t>(n));
  close(ends[0]);
  int status = -1;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return status;
}

bool reported(const Bug& bug, int status, const std::string& said) {
  const bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  // ThreadSanitizer may see a race as well, and ends the process with a status of its own.
  const bool race = failed && ts_test::contains(said, "ThreadSanitizer: data race");
  switch (bug.found) {
    case Found::kByNan:
      return race || (WIFEXITED(status) && WEXITSTATUS(status) == kNan);
    case Found::kByOrder:
      return race || (WIFEXITED(status) && WEXITSTATUS(status) == kDiffers);
    case Found::kByShim:
      return WIFSIGNALED(status) && ts_test::contains(said, std::string("simt: ") + bug.name + ", block (") &&
             ts_test::contains(said, bug.report);
    default:
      return failed && ts_test::contains(said, bug.report) && ts_test::contains(said, bug.name);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) return run(kBugs[std::strtoul(argv[2], nullptr, 10)], std::strcmp(argv[1], "--fault") == 0);
  for (size_t i = 0; i < std::size(kBugs); ++i) {
    const Bug& bug = kBugs[i];
    if (!can_be_seen(bug)) continue;
    std::string said;
    int status = run_apart("/proc/self/exe", i, true, said);
    CHECK_MESSAGE(reported(bug, status, said), bug.name + (": was not reported as \"" + std::string(bug.report)) +
                                                   "\", status " + std::to_string(status) + ": " + said);
    if (i > 0 && bug.kernel == kBugs[i - 1].kernel) continue;
    said.clear();
    status = run_apart("/proc/self/exe", i, false, said);
    CHECK_MESSAGE(status == 0, bug.name + (": fails without a fault, status " + std::to_string(status)) + ": " + said);
  }
  return ts_test::report("test_seeded_bugs");
}
