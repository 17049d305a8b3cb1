// SPDX-License-Identifier: Apache-2.0
// Slots — the pictures of a session, each free, being made, waiting to be acquired in its turn, or lent. Whoever uses it
// keeps threads apart.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "core/buffer.h"
#include "session/live_frame.h"

namespace ts {

class Slots {
 public:
  Slots(int n, const Canvas& canvas)
      : n_(n), slot_(new Slot[static_cast<size_t>(n)]), queue_(new int[static_cast<size_t>(n)]) {
    image_.width = canvas.width, image_.height = canvas.height, image_.format = canvas.format;
    image_.stride_bytes = row_bytes(canvas.format, canvas.width);
    const int64_t rows = canvas.format == Format::kNv12 ? canvas.height + canvas.height / 2 : canvas.height;
    picture_bytes_ = static_cast<size_t>(image_.stride_bytes * rows);
    for (int i = 0; i < n; ++i) std::memset(slot_[i].pixels.reserve(picture_bytes_), 0, picture_bytes_);
  }
  // Of every slot, floats. Allocates where it is more than there was; what is lent keeps its samples.
  void make_sound_room(size_t floats) { sound_floats_ = std::max(sound_floats_, floats); }

  bool any_free() const { return free_slot() >= 0; }
  // A free slot is made into the next frame.
  LiveFrame& take() {
    making_ = free_slot();
    Slot& slot = slot_[making_];
    slot.state = State::kMade;
    slot.frame = {};
    slot.frame.slot = static_cast<uint32_t>(making_);
    slot.frame.image = image_;
    slot.frame.image.data = slot.pixels.data();
    return slot.frame;
  }
  float* samples() { return slot_[making_].samples.reserve(sound_floats_); }  // of the frame that is made
  bool has_picture() const { return last_ >= 0; }
  // The frame that is made shows what the one before it does.
  void copy_last() {
    if (last_ != making_) std::memcpy(slot_[making_].pixels.data(), slot_[last_].pixels.data(), picture_bytes_);
  }
  // It is made, and waits to be acquired.
  const LiveFrame& finish() {
    Slot& slot = slot_[making_];
    slot.state = State::kWaiting;
    queue_[(first_ + n_waiting_++) % n_] = last_ = making_;
    return slot.frame;
  }
  void drop() { slot_[making_].state = State::kFree; }  // it is not made after all
  LiveFrame& made() { return slot_[making_].frame; }

  int waiting() const { return n_waiting_; }
  const LiveFrame& waiting(int i) const { return slot_[queue_[(first_ + i) % n_]].frame; }
  // From the i-th on, those that wait do so in vain.
  void drop_waiting(int i) {
    for (; n_waiting_ > i; --n_waiting_) slot_[queue_[(first_ + n_waiting_ - 1) % n_]].state = State::kFree;
  }
  const LiveFrame& lend() {
    Slot& slot = slot_[queue_[first_]];
    slot.state = State::kLent;
    first_ = (first_ + 1) % n_, --n_waiting_;
    return slot.frame;
  }
  // False: that frame is not lent.
  bool release(uint32_t slot, int64_t index) {
    if (slot >= static_cast<uint32_t>(n_)) return false;
    Slot& of = slot_[slot];
    if (of.state != State::kLent || of.frame.index != index) return false;
    of.state = State::kFree;
    return true;
  }
  uint64_t bytes() const {
    uint64_t bytes = 0;
    for (int i = 0; i < n_; ++i) bytes += slot_[i].pixels.bytes() + slot_[i].samples.bytes();
    return bytes;
  }

 private:
  enum class State { kFree, kMade, kWaiting, kLent };
  struct Slot {
    State state = State::kFree;
    Buffer<uint8_t> pixels;
    Buffer<float> samples;
    LiveFrame frame;
  };
  int free_slot() const {
    for (int i = 0; i < n_; ++i)
      if (slot_[(last_ + 1 + i) % n_].state == State::kFree) return (last_ + 1 + i) % n_;
    return -1;
  }

  const int n_;
  std::unique_ptr<Slot[]> slot_;
  std::unique_ptr<int[]> queue_;  // slots that wait, in their order, from first_ on
  int first_ = 0, n_waiting_ = 0, making_ = -1;
  int last_ = -1;  // that was made
  Image image_;
  size_t picture_bytes_ = 0, sound_floats_ = 0;
};

}  // namespace ts
