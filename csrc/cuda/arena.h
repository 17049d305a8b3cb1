// SPDX-License-Identifier: Apache-2.0
// Arena — one allocation for many arrays. Whoever owns them says once, in a function that takes a Layout, which there are;
// it runs twice, to learn how many bytes they are, and to place them.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/status.h"
#include "cuda/device.h"

namespace ts::cuda {

// Arrays side by side from an address on, each aligned for any access of a warp where the address is: the same arrays
// are as far from each other over all addresses.
class Layout {
 public:
  explicit Layout(uint64_t base) : base_(base) {}

  template <class T>
  T* take(uint64_t n) {
    bytes_ = (bytes_ + kAlign - 1) / kAlign * kAlign;
    T* array = reinterpret_cast<T*>(base_ + bytes_);
    bytes_ += n * sizeof(T);
    return array;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr uint64_t kAlign = 256;  // as cuMemAlloc aligns
  const uint64_t base_;
  uint64_t bytes_ = 0;
};

enum class MemoryKind {
  kDevice,  // the GPU's
  kPinned,  // the host's, page-locked, which the GPU copies from and to by itself
};

class Arena {
 public:
  Arena(const Device& device, MemoryKind kind) : device_(device), kind_(kind) {}
  ~Arena() { reset(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // place(Layout&) takes what is wanted. for_what: in the message when there is no memory. The context is current.
  template <class Place>
  Status make(const char* for_what, const Place& place) {
    return place_in(for_what, place, [](uint64_t bytes) { return bytes; });
  }
  // The same for sizes that change: over the memory that there is, if that is enough, else over a quarter more than is
  // needed now, so that it soon is. What still uses the memory must be done.
  template <class Place>
  Status fit(const char* for_what, const Place& place) {
    return place_in(for_what, place, [&](uint64_t bytes) {
      return bytes <= bytes_ ? 0 : bytes_ == 0 ? bytes : bytes + bytes / 4;
    });
  }
  void reset();                            // gives the memory back; what was placed there is gone
  void leave() { address_ = bytes_ = 0; }  // to its context, with which it goes: nobody knows whether it is still used
  uint64_t bytes() const { return bytes_; }
  uint64_t address() const { return address_; }

 private:
  // claim(bytes that are needed): bytes to be allocated anew, or 0.
  template <class Place, class Claim>
  Status place_in(const char* for_what, const Place& place, const Claim& claim) {
    Layout sizing(0);
    place(sizing);
    const uint64_t wanted = claim(std::max<uint64_t>(sizing.bytes(), 1));  // the driver does not allocate nothing
    if (wanted > 0) TS_RETURN_IF_ERROR(allocate(for_what, wanted));
    Layout placing(address_);
    place(placing);
    return {};
  }
  Status allocate(const char* for_what, uint64_t bytes);

  const Device& device_;
  const MemoryKind kind_;
  uint64_t address_ = 0, bytes_ = 0;
};

}  // namespace ts::cuda
