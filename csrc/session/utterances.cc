// SPDX-License-Identifier: Apache-2.0
#include "session/utterances.h"

#include <algorithm>

namespace ts {

Utterances::Utterances(int64_t row_floats, int64_t n_control) : row_floats_(row_floats), n_control_(n_control) {}

Utterance* Utterances::open() {
  if (empty()) return nullptr;
  Utterance& last = waiting_[static_cast<size_t>((first_ + n_ - 1) % kMost)];
  return last.ended ? nullptr : &last;
}

Utterance& Utterances::begin(Motion motion, int64_t now_ns) {
  Utterance& utterance = waiting_[static_cast<size_t>((first_ + n_++) % kMost)];
  utterance = {};
  utterance.number = begun_++;
  utterance.motion = motion;
  utterance.begun_ns = now_ns;
  if (motion != Motion::kSound) utterance.row_at = rows(motion).end() / width(motion);
  return utterance;
}

void Utterances::pop() {
  Utterance& done = front();
  if (done.channels > 0) sound_.drop_below(done.sound_at + done.n_samples * done.channels);
  if (done.motion != Motion::kSound) rows(done.motion).drop_below((done.row_at + done.n_rows) * width(done.motion));
  done.speech.reset();
  first_ = (first_ + 1) % kMost, --n_;
}

bool Utterances::clear() {
  bool had_stream = false;
  for (; !empty(); pop()) had_stream = had_stream || front().speech;
  return had_stream;
}

void Utterances::begin_sound(Utterance& utterance) {
  if (sound_.begin() == sound_.end()) {
    sound_.begin_at_multiple(sound_.capacity());  // where memory begins: what was never needed is never touched
  } else {
    sound_.skip((kUnit - sound_.end() % kUnit) % kUnit);
  }
  utterance.sound_at = sound_.end();
}

void Utterances::publish_sound(Utterance& utterance, int64_t n, int64_t now_ns) {
  utterance.n_samples += n;
  sound_came_.add(utterance.sound_at + utterance.n_samples * utterance.channels, now_ns);
}

const float* Utterances::sound(int64_t first, int64_t& n) const {
  const Utterance& utterance = front();
  const int64_t from = utterance.sound_at + first * utterance.channels;
  const int64_t last = std::min(first + n, utterance.n_samples);
  n = sound_.run(from, utterance.sound_at + last * utterance.channels) / utterance.channels;
  return sound_.at(from);
}

int64_t Utterances::sound_came_ns(int64_t n) { return sound_came_.when(front().sound_at + n * front().channels); }

void Utterances::drop_sound_below(int64_t n) { sound_.drop_below(front().sound_at + n * front().channels); }

void Utterances::make_row_room(Motion motion, int64_t n) { rows(motion).grow(n * width(motion)); }

int64_t Utterances::row_room(Motion motion) const { return rows(motion).room() / width(motion); }

void Utterances::push_rows(Utterance& utterance, const float* from, int64_t n, int64_t now_ns) {
  rows(utterance.motion).put(from, n * width(utterance.motion));
  utterance.n_rows += n;
  came(utterance.motion).add(utterance.row_at + utterance.n_rows, now_ns);
}

const float* Utterances::row(int64_t index) const {
  const Utterance& utterance = front();
  if (index < 0 || index >= utterance.n_rows) return nullptr;
  return rows(utterance.motion).at((utterance.row_at + index) * width(utterance.motion));
}

int64_t Utterances::rows_came_ns(int64_t n) { return came(front().motion).when(front().row_at + n); }

void Utterances::drop_rows_below(int64_t index) {
  const Utterance& utterance = front();
  const int64_t row = std::clamp<int64_t>(index, 0, utterance.n_rows);
  rows(utterance.motion).drop_below((utterance.row_at + row) * width(utterance.motion));
}

double Utterances::queued_s() const {
  double seconds = 0;
  for (int i = 0; i < n_; ++i) {
    const Utterance& utterance = waiting_[static_cast<size_t>((first_ + i) % kMost)];
    if (utterance.rate_hz > 0)
      seconds += static_cast<double>(utterance.n_samples - utterance.taken) / utterance.rate_hz;
  }
  return seconds;
}

}  // namespace ts
