// SPDX-License-Identifier: Apache-2.0
// Buffer — scratch memory of plain values, aligned to a cache line. Grows to a quarter above its high-water mark and
// stays there, so that a warmed-up frame allocates nothing. Contents do not survive growth. Large ones ask for huge
// pages: a frame's reads are scattered over them, and each would miss the TLB.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ts {

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  explicit Buffer(size_t n) { reserve(n); }

  T* reserve(size_t n) {
    if (n > capacity_) {
      if (capacity_ > 0) n += n / 4;  // has grown before: its need varies from frame to frame
      const size_t align = n * sizeof(T) >= kHugePage ? kHugePage : kAlign;
      const size_t bytes = (n * sizeof(T) + align - 1) / align * align;
      data_.reset();
      capacity_ = 0;
      data_.reset(static_cast<T*>(std::aligned_alloc(align, bytes)));
      if (!data_) throw std::bad_alloc();
#if defined(__linux__)
      if (align == kHugePage) madvise(data_.get(), bytes, MADV_HUGEPAGE);  // a hint; refusal costs nothing
#endif
      capacity_ = bytes / sizeof(T);
    }
    return data_.get();
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }
  size_t capacity() const { return capacity_; }
  size_t bytes() const { return capacity_ * sizeof(T); }

 private:
  static constexpr size_t kAlign = 64;
  static constexpr size_t kHugePage = size_t{2} << 20;
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t capacity_ = 0;
};

}  // namespace ts
