// SPDX-License-Identifier: Apache-2.0
#include "core/fork.h"

#include <pthread.h>

#include <atomic>
#include <new>

namespace ts {
namespace {

std::atomic<unsigned> forks{0};

bool count_forks() {
  if (pthread_atfork(nullptr, nullptr, [] { ++forks; }) != 0) throw std::bad_alloc();  // its only error is ENOMEM
  return true;
}

}  // namespace

unsigned fork_count() {
  static const bool counted = count_forks();
  return counted ? forks.load() : 0;
}

}  // namespace ts
