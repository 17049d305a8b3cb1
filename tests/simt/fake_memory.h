// SPDX-License-Identifier: Apache-2.0
// The memory of the fake driver. A GPU's blocks lie between guard pages and are accessible only between let_in() and
// keep_out(), when kernels and copies run; a block ends within 256 bytes of a guard page, and what lies before and behind
// it there must be as it was when it is freed.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

class FakeMemory {
 public:
  void* allocate_device(int device, size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), room = (bytes + kAlign - 1) / kAlign * kAlign;
    Block block;
    block.device = device, block.bytes = bytes;
    block.pages = (room + page - 1) / page * page;
    block.mapped = static_cast<char*>(
        mmap(nullptr, block.pages + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (block.mapped == MAP_FAILED) std::abort();
    block.first = block.mapped + page;
    protect(block, PROT_READ | PROT_WRITE);
    std::memset(block.first, kGuard, block.pages);
    char* memory = block.first + block.pages - room;
    std::memset(memory, kFresh, bytes);
    protect(block, inside_ ? PROT_READ | PROT_WRITE : PROT_NONE);
    blocks_[memory] = block;
    return memory;
  }
  void* allocate_pinned(int device, size_t bytes) {
    char* memory = static_cast<char*>(std::malloc(bytes));
    std::memset(memory, kFresh, bytes);
    Block block;
    block.device = device, block.bytes = bytes;
    blocks_[memory] = block;
    return memory;
  }
  bool free(void* memory) {
    const auto found = blocks_.find(static_cast<char*>(memory));
    if (found == blocks_.end()) return false;
    give_back(found->first, found->second);
    blocks_.erase(found);
    return true;
  }
  void free_all(int device) {
    for (auto it = blocks_.begin(); it != blocks_.end();) {
      if (it->second.device != device) {
        ++it;
        continue;
      }
      give_back(it->first, it->second);
      it = blocks_.erase(it);
    }
  }

  bool holds_device(const void* memory, size_t bytes) const { return holds(memory, bytes, true); }
  bool holds_pinned(const void* memory, size_t bytes) const { return holds(memory, bytes, false); }
  // Of any block that it is in; -1: of none.
  int device_of(const void* memory) const {
    const auto* at = static_cast<const char*>(memory);
    for (const auto& [begin, block] : blocks_)
      if (at >= begin && at < begin + block.bytes) return block.device;
    return -1;
  }
  size_t blocks(int device) const {
    size_t n = 0;
    for (const auto& [unused, block] : blocks_) n += block.device == device;
    return n;
  }
  size_t device_bytes(int device) const {
    size_t bytes = 0;
    for (const auto& [unused, block] : blocks_) bytes += block.mapped && block.device == device ? block.bytes : 0;
    return bytes;
  }

  void let_in() { protect_all(inside_ = true); }
  void keep_out() { protect_all(inside_ = false); }

 private:
  static constexpr size_t kAlign = 256;
  static constexpr unsigned char kFresh = 0xbd, kGuard = 0xa5;

  struct Block {
    int device = 0;
    size_t bytes = 0, pages = 0;
    char *mapped = nullptr, *first = nullptr;  // nullptr: the host's
  };

  static void protect(const Block& block, int how) {
    if (mprotect(block.first, block.pages, how) != 0) std::abort();
  }
  void protect_all(bool open) {
    for (const auto& [unused, block] : blocks_)
      if (block.mapped) protect(block, open ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
  static void give_back(char* memory, const Block& block) {
    if (!block.mapped) {
      std::free(memory);
      return;
    }
    protect(block, PROT_READ);
    for (const char* p = block.first; p < block.first + block.pages; ++p) {
      if (p == memory) p += block.bytes;
      if (p == block.first + block.pages) break;
      if (static_cast<unsigned char>(*p) == kGuard) continue;
      std::fprintf(stderr, "fake_cuda: somebody wrote %td bytes from the beginning of a block of %zu bytes.\n",
                   p - memory, block.bytes);
      std::abort();
    }
    munmap(block.mapped, block.pages + 2 * static_cast<size_t>(block.first - block.mapped));
  }
  bool holds(const void* memory, size_t bytes, bool device) const {
    const auto* p = static_cast<const char*>(memory);
    auto found = blocks_.upper_bound(const_cast<char*>(p));
    if (found == blocks_.begin()) return false;
    --found;
    return (found->second.mapped != nullptr) == device && p + bytes <= found->first + found->second.bytes;
  }

  std::map<char*, Block> blocks_;
  bool inside_ = false;
};
