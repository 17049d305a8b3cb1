// SPDX-License-Identifier: Apache-2.0
#include "cuda/extents.h"

#include <algorithm>
#include <iterator>

namespace ts::cuda {
namespace {

using Field = int64_t Extents::*;
constexpr Field kCounts[] = {&Extents::frames, &Extents::branches, &Extents::layers, &Extents::alone};
constexpr Field kSizes[] = {&Extents::vertices, &Extents::triangles, &Extents::gaussians, &Extents::groups,
                            &Extents::splats,   &Extents::tiles,     &Extents::width,     &Extents::height};

// The next number up of which all but the first `bits` bits are 0.
template <class T>
T with_bits(T x, int bits) {
  T step = 1;
  while (x >> bits > step - 1) step *= 2;
  return (x + step - 1) / step * step;
}

}  // namespace

void Extents::add(const Extents& other) {
  for (const Field count : kCounts) this->*count += other.*count;
  for (const Field size : kSizes) this->*size = std::max(this->*size, other.*size);
  // A block of as few warps as any frame's fits also with the most bytes of any.
  if (warps == 0 || (other.warps > 0 && other.warps < warps)) warps = other.warps;
  warp_bytes = std::max(warp_bytes, other.warp_bytes);
  control_bytes += other.control_bytes;
}

// Blocks past the end of a smaller job leave at once: with three bits at most a fifth of them do. What follows from the
// number of frames has one bit, as that has: a draw of a few frames more or less finds what was recorded.
Extents Extents::rounded_up() const {
  Extents rounded = *this;
  for (const Field count : kCounts) rounded.*count = with_bits(this->*count, 1);
  for (const Field size : kSizes) rounded.*size = with_bits(this->*size, 3);
  rounded.control_bytes = with_bits(control_bytes, 1);
  return rounded;
}

bool Extents::operator==(const Extents& other) const {
  const auto same = [&](Field field) { return this->*field == other.*field; };
  return fast == other.fast && std::all_of(std::begin(kCounts), std::end(kCounts), same) &&
         std::all_of(std::begin(kSizes), std::end(kSizes), same) && warps == other.warps &&
         warp_bytes == other.warp_bytes && control_bytes == other.control_bytes;
}

}  // namespace ts::cuda
