// SPDX-License-Identifier: Apache-2.0
// Ring — floats that wait, at positions that only grow: position p lies at p modulo the capacity. It holds those from
// begin() to end() - 1.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/buffer.h"

namespace ts {

class Ring {
 public:
  int64_t begin() const { return begin_; }
  int64_t end() const { return end_; }
  int64_t capacity() const { return capacity_; }
  int64_t room() const { return capacity_ - (end_ - begin_); }
  uint64_t bytes() const { return data_.bytes(); }

  // What it holds moves into memory for more. Throws std::bad_alloc, and then has what it had.
  void grow(int64_t capacity) {
    if (capacity <= capacity_) return;
    Ring larger;
    larger.data_.reserve(static_cast<size_t>(capacity));
    larger.capacity_ = capacity, larger.begin_ = begin_, larger.end_ = begin_;
    while (larger.end_ < end_) {
      const int64_t n = run(larger.end_, end_);
      larger.put(at(larger.end_), n);
    }
    *this = std::move(larger);
  }
  // n <= room().
  void put(const float* from, int64_t n) {
    fill(n, [&](float* to, int64_t first, int64_t count) { std::copy_n(from + first, count, to); });
  }
  // The next n positions, made by write(to, first, count) in stretches: those from the `first` of them on.
  template <class Write>
  void fill(int64_t n, const Write& write) {
    for (int64_t first = 0; first < n;) {
      const int64_t count = std::min(n - first, capacity_ - end_ % capacity_);
      write(data_.data() + end_ % capacity_, first, count);
      end_ += count, first += count;
    }
  }
  // Positions are left out, so that the next begins at a multiple of `unit`; only while it is empty.
  void begin_at_multiple(int64_t unit) { begin_ = end_ = (end_ + unit - 1) / unit * unit; }
  void skip(int64_t n) { end_ += n; }  // n <= room()

  const float* at(int64_t position) const { return data_.data() + position % capacity_; }
  // Of the positions from `from` to `to` - 1, how many lie side by side in memory.
  int64_t run(int64_t from, int64_t to) const { return std::min(to - from, capacity_ - from % capacity_); }
  void drop_below(int64_t position) { begin_ = std::max(begin_, position); }

 private:
  Buffer<float> data_;
  int64_t capacity_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace ts
