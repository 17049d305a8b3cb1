// SPDX-License-Identifier: Apache-2.0
// Utterances — what was pushed and is not shown yet: utterances in their order, their sound and their rows, in bounded
// memory. Whoever uses it keeps threads apart.
#pragma once
#include <array>
#include <cstdint>
#include <memory>

#include "core/status.h"
#include "engine/speech.h"
#include "session/arrivals.h"
#include "session/ring.h"

namespace ts {

// What moves the face of an utterance.
enum class Motion { kSound, kFeatures, kControls };

struct Utterance {
  int64_t number = 0;
  Motion motion = Motion::kSound;
  int rate_hz = 0, channels = 0;  // 0: it has no sound
  int64_t n_samples = 0, n_rows = 0;
  bool ended = false;              // no more will be pushed
  int64_t begun_ns = 0;            // its first push
  std::unique_ptr<Speech> speech;  // for sound in a new rate or number of channels
  // Where its sound and rows are; the first of them not shown yet.
  int64_t sound_at = 0, row_at = 0;  // positions in floats, in rows
  int64_t taken = 0;                 // samples that frames have had
};

class Utterances {
 public:
  static constexpr int kMost = 64;

  // row_floats: of a row of features, 0 where the model takes none; n_control: of a control.
  Utterances(int64_t row_floats, int64_t n_control);

  bool empty() const { return n_ == 0; }
  bool full() const { return n_ == kMost; }
  Utterance& front() { return waiting_[static_cast<size_t>(first_)]; }
  // Nullable: the one that pushes go to.
  Utterance* open();
  Utterance& begin(Motion motion, int64_t now_ns);
  void pop();    // the front, with what is left of it
  bool clear();  // all of them; whether one had a stream that nobody took

  // ---- sound: [n,channels] float32 ----
  // For so many floats in all, whatever the utterances that they are in.
  void make_sound_room(int64_t floats) { sound_.grow((floats / kUnit + kMost + 2) * kUnit); }
  // The open utterance's next n samples; they count once they are published.
  template <class Write>
  void write_sound(int64_t n_floats, const Write& write) {
    sound_.fill(n_floats, write);
  }
  void begin_sound(Utterance& utterance);  // its first position
  void publish_sound(Utterance& utterance, int64_t n, int64_t now_ns);
  // The front's samples from `first` on, as many as lie side by side, at most n.
  const float* sound(int64_t first, int64_t& n) const;
  int64_t sound_came_ns(int64_t n);  // when its first n samples were there
  void drop_sound_below(int64_t n);  // of the front

  // ---- rows of features or controls, of the motion that is open ----
  void make_row_room(Motion motion, int64_t rows);
  int64_t row_room(Motion motion) const;
  void push_rows(Utterance& utterance, const float* rows, int64_t n, int64_t now_ns);
  // Nullable: before the front's first row and behind its last there are none.
  const float* row(int64_t index) const;
  int64_t rows_came_ns(int64_t n);
  void drop_rows_below(int64_t index);

  double queued_s() const;  // of the sound that waits
  uint64_t bytes() const { return sound_.bytes() + feature_.bytes() + control_.bytes(); }

 private:
  const Utterance& front() const { return waiting_[static_cast<size_t>(first_)]; }
  Ring& rows(Motion motion) { return motion == Motion::kControls ? control_ : feature_; }
  const Ring& rows(Motion motion) const { return motion == Motion::kControls ? control_ : feature_; }
  Arrivals& came(Motion motion) { return motion == Motion::kControls ? control_came_ : feature_came_; }
  int64_t width(Motion motion) const { return motion == Motion::kControls ? n_control_ : row_floats_; }

  // Every sample lies in one piece: utterances begin, and memory ends, at multiples of all numbers of channels.
  static constexpr int64_t kUnit = 840;

  const int64_t row_floats_, n_control_;
  std::array<Utterance, kMost> waiting_;
  int first_ = 0, n_ = 0;
  int64_t begun_ = 0;
  Ring sound_, feature_, control_;
  Arrivals sound_came_, feature_came_, control_came_;
};

}  // namespace ts
