// SPDX-License-Identifier: Apache-2.0
#include "core/cpu_places.h"

#if defined(__linux__)

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace ts {
namespace {

constexpr int kNone = -1;

struct Worker {
  std::atomic<pid_t> thread{0};  // 0: it has not begun
  cpu_set_t given{}, allowed{};  // by us; where it may run otherwise. Both empty at first.
};

// Where else the worker may not run is what it was told last by somebody else: a user, a container. False: it has not
// begun.
bool place(Worker& worker, int denied) {
  const pid_t thread = worker.thread.load(std::memory_order_acquire);
  if (thread == 0) return false;
  cpu_set_t now;
  if (sched_getaffinity(thread, sizeof now, &now) != 0) return true;
  if (!CPU_EQUAL(&now, &worker.given)) worker.allowed = now;
  cpu_set_t places = worker.allowed;
  if (denied != kNone) CPU_CLR(denied, &places);
  if (CPU_COUNT(&places) == 0) places = worker.allowed;
  worker.given = places;
  if (!CPU_EQUAL(&now, &places)) sched_setaffinity(thread, sizeof places, &places);
  return true;
}

}  // namespace

struct CpuPlaces::Impl {
  explicit Impl(size_t n) : workers(new Worker[n]), n_workers(n) {}

  void place_all(int denied) {
    bool all = true;
    for (size_t i = 0; i < n_workers; ++i) all = place(workers[i], denied) && all;
    denied_now = all ? denied : kNone;
  }

  std::unique_ptr<Worker[]> workers;
  size_t n_workers;
  int denied_now = kNone;
};

CpuPlaces::CpuPlaces(size_t workers) : impl_(new Impl(workers)) {}
CpuPlaces::~CpuPlaces() = default;

void CpuPlaces::join(size_t worker) {
  impl_->workers[worker].thread.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_release);
}

void CpuPlaces::keep_off_this_cpu() {
  const int cpu = sched_getcpu();
  if (cpu >= 0 && cpu < CPU_SETSIZE && cpu != impl_->denied_now) impl_->place_all(cpu);
}

void CpuPlaces::free() {
  if (impl_->denied_now != kNone) impl_->place_all(kNone);
}

}  // namespace ts

#else

namespace ts {

struct CpuPlaces::Impl {};
CpuPlaces::CpuPlaces(size_t) {}
CpuPlaces::~CpuPlaces() = default;
void CpuPlaces::join(size_t) {}
void CpuPlaces::keep_off_this_cpu() {}
void CpuPlaces::free() {}

}  // namespace ts

#endif
