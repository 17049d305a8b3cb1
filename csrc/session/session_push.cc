// SPDX-License-Identifier: Apache-2.0
// What comes in: pushes are checked, then copied, a piece at a time, so that no frame waits for a long one.
#include <algorithm>
#include <utility>

#include "core/scan.h"
#include "session/session.h"

namespace ts {
namespace {

constexpr int64_t kPiece = 1 << 14;  // floats that are copied under the lock
constexpr int64_t kMostFadeMs = 2000;

Status closed(const char* what) {
  return error(StatusCode::kClosed, "%s: the session is closed, and takes nothing more. Make another.", what);
}

}  // namespace

// What frames, fades and left-out frames need for sound of this kind. What is still in use stays.
void Session::make_sound_room(int rate_hz, int channels) {
  const double second = static_cast<double>(rate_hz) * channels;
  double slot_floats = second / params_.fps + 2 * channels;
  if (params_.on_late == OnLate::kSkip) {
    carried_.make_room(static_cast<size_t>(kMostCarriedS * second) + 1);
    slot_floats += kMostCarriedS * second;
  }
  slots_.make_sound_room(static_cast<size_t>(slot_floats));
  tail_.make_room(static_cast<size_t>(second * kMostFadeMs / 1000));
}

// The utterance that a push goes to; nullptr: it begins one.
Status Session::open_for(const char* what, Motion motion, Utterance*& utterance) {
  if (failure_.code() != StatusCode::kOk) return failure_;
  if (closing_ || done_) return closed(what);
  utterance = utterances_.open();
  if (utterance && motion != Motion::kSound && utterance->motion != motion)
    return error(StatusCode::kInvalidArgument,
                 "%s: this utterance is moved by %s. Flush before something else moves the face.", what,
                 utterance->motion == Motion::kSound      ? "its sound"
                 : utterance->motion == Motion::kFeatures ? "features"
                                                          : "controls");
  if (!utterance && utterances_.full())
    return error(StatusCode::kQueueFull,
                 "%s: %d utterances wait already, the most that a session holds. Push when some of them are spoken.",
                 what, Utterances::kMost);
  return {};
}

// A new rate or number of channels needs other memory, and a stream of its own.
Status Session::open_sound(int rate_hz, int channels, int64_t n, Utterance*& utterance) {
  std::unique_ptr<Speech> speech;
  const Motion motion =
      speaker_.feature_floats() > 0 && !speaker_.check_sound().ok() ? Motion::kFeatures : Motion::kSound;
  {
    const std::lock_guard<std::mutex> lock(state_);
    TS_RETURN_IF_ERROR(open_for("push_audio", Motion::kSound, utterance));
    pushing_ = true;
    if (utterance && utterance->channels > 0 && (utterance->rate_hz != rate_hz || utterance->channels != channels))
      return error(StatusCode::kInvalidArgument,
                   "push_audio: this utterance has %d channels at %d Hz; got %d at %d. Flush before the sound changes.",
                   utterance->channels, utterance->rate_hz, channels, rate_hz);
  }
  if (!utterance && motion == Motion::kSound) {
    TS_RETURN_IF_ERROR(speaker_.check_sound());
    if (rate_hz != speech_rate_hz_ || channels != speech_channels_) speech = speaker_.make_speech(rate_hz, channels);
  }
  const std::lock_guard<std::mutex> lock(state_);
  TS_RETURN_IF_ERROR(open_for("push_audio", Motion::kSound, utterance));
  const double queued_s = utterances_.queued_s(), more_s = static_cast<double>(n) / rate_hz;
  if ((queued_s + more_s) * 1000 > params_.queue_ms * (1 + 1e-9))
    return error(
        StatusCode::kQueueFull,
        "push_audio: %.3f s of sound do not fit: %.3f s wait already, and a session holds %.3f. Push when frames "
        "have been taken, or make the session with a longer queue_ms (%d).",
        more_s, queued_s, params_.queue_ms / 1000.0, params_.queue_ms);
  utterances_.make_sound_room(int64_t{rate_hz} * channels * params_.queue_ms / 1000);
  make_sound_room(rate_hz, channels);
  if (!utterance) {
    utterance = &utterances_.begin(motion, time_now());
    if (speech) speech_rate_hz_ = rate_hz, speech_channels_ = channels;
    utterance->speech = std::move(speech);
  }
  if (utterance->channels == 0) {
    utterance->rate_hz = rate_hz, utterance->channels = channels;
    utterances_.begin_sound(*utterance);
  }
  return {};
}

Status Session::push_audio(SampleFormat format, int rate_hz, int channels, const void* samples, int64_t n) {
  const std::lock_guard<std::mutex> one_at_a_time(push_);
  if (n == 0) {
    const std::lock_guard<std::mutex> lock(state_);
    Utterance* open = nullptr;
    return open_for("push_audio", Motion::kSound, open);
  }
  TS_RETURN_IF_ERROR(Listen::check_sound(format, samples, n, channels, 0));
  Utterance* utterance = nullptr;
  const Pushing until_it_is_copied{*this};
  TS_RETURN_IF_ERROR(open_sound(rate_hz, channels, n, utterance));
  const int64_t n_floats = n * channels;
  for (int64_t done = 0; done < n_floats; done += kPiece) {
    const int64_t piece = std::min(kPiece, n_floats - done);
    const std::lock_guard<std::mutex> lock(state_);
    utterances_.write_sound(piece, [&](float* to, int64_t first, int64_t count) {
      const int64_t from = done + first;
      if (format == SampleFormat::kF32) {
        std::copy_n(static_cast<const float*>(samples) + from, count, to);
      } else {
        const int16_t* values = static_cast<const int16_t*>(samples) + from;
        for (int64_t i = 0; i < count; ++i) to[i] = (1.0f / 32768) * static_cast<float>(values[i]);
      }
    });
  }
  {
    const std::lock_guard<std::mutex> lock(state_);
    utterances_.publish_sound(*utterance, n, time_now());
    if (!pushed()) return {};
  }
  scheduler_->wake();
  return {};
}

Status Session::push_rows(Motion motion, const float* rows, int64_t n) {
  const char* what = motion == Motion::kControls ? "push_controls" : "push_features";
  {
    const std::lock_guard<std::mutex> lock(state_);
    Utterance* utterance = nullptr;
    TS_RETURN_IF_ERROR(open_for(what, motion, utterance));
    if (n == 0) return {};
    const auto most = static_cast<int64_t>(params_.queue_ms / 1000.0 * params_.fps) + 1;
    utterances_.make_row_room(motion, most + FeatureWindows::kMaxBefore);
    if (n > utterances_.row_room(motion))
      return error(StatusCode::kQueueFull,
                   "%s: %lld frames do not fit: there is room for %lld. Push when frames have been taken, or make the "
                   "session with a longer queue_ms (%d).",
                   what, static_cast<long long>(n), static_cast<long long>(utterances_.row_room(motion)),
                   params_.queue_ms);
    if (!utterance) utterance = &utterances_.begin(motion, time_now());
    utterances_.push_rows(*utterance, rows, n, time_now());
    if (!pushed()) return {};
  }
  scheduler_->wake();
  return {};
}

Status Session::push_features(const float* rows, int64_t n) {
  const std::lock_guard<std::mutex> one_at_a_time(push_);
  TS_RETURN_IF_ERROR(speaker_.check_features());
  const int64_t at = find_non_finite(rows, n * speaker_.feature_floats());
  if (at >= 0)
    return error(StatusCode::kInvalidArgument, "push_features: features must be finite; number %lld of row %lld is %g.",
                 static_cast<long long>(at % speaker_.feature_floats()),
                 static_cast<long long>(at / speaker_.feature_floats()), static_cast<double>(rows[at]));
  return push_rows(Motion::kFeatures, rows, n);
}

Status Session::push_controls(const float* rows, int64_t n) {
  const std::lock_guard<std::mutex> one_at_a_time(push_);
  for (int64_t row = 0; row < n; ++row)
    TS_RETURN_IF_ERROR(model_->layout().check(rows + row * model_->layout().size()));
  return push_rows(Motion::kControls, rows, n);
}

// Whether the scheduler should hear of it. state_ is held.
bool Session::pushed() {
  const bool starts = !clock_.started();
  if (starts) clock_.start(utterances_.front().begun_ns + hold_ns_);
  if (starts || !speaker_.speaks()) return true;
  const Utterance& utterance = utterances_.front();
  const bool enough = utterance.n_samples >= speaker_.samples_needed() && utterance.n_rows >= speaker_.rows_needed();
  return enough && std::exchange(lacks_, false);
}

Status Session::flush() {
  const std::lock_guard<std::mutex> one_at_a_time(push_);
  {
    const std::lock_guard<std::mutex> lock(state_);
    if (failure_.code() != StatusCode::kOk) return failure_;
    if (closing_ || done_) return closed("flush");
    if (Utterance* open = utterances_.open()) open->ended = true;
  }
  scheduler_->wake();
  return {};
}

Status Session::close() {
  const std::lock_guard<std::mutex> one_at_a_time(push_);
  {
    const std::lock_guard<std::mutex> lock(state_);
    closing_ = true;
    if (Utterance* open = utterances_.open()) open->ended = true;
    end_if_done();
  }
  changed_.notify_all();
  scheduler_->wake();
  return {};
}

void Session::abort() {
  {
    const std::lock_guard<std::mutex> lock(state_);
    closing_ = done_ = aborted_ = true;
  }
  changed_.notify_all();
  scheduler_->wake();
}

// Frames of speech that nobody has acquired are dropped, and the sound from there on fades. Returns its first sample, or
// -1 where nobody speaks. A frame that is being drawn goes out where it follows on what was heard.
int64_t Session::drop_unheard(int64_t fade_ms) {
  tail_.n = tail_at_ = 0;
  int first = 0;
  while (first < slots_.waiting() && !(slots_.waiting(first).flags & kLiveSpeech)) ++first;
  const int n_dropped = slots_.waiting() - first;
  const bool made_speaks = making_ && (slots_.made().flags & kLiveSpeech);
  int64_t position = -1;
  const auto fade = [&](const float* samples, int64_t n, int rate_hz, int channels) {
    if (tail_.n == 0) tail_.rate_hz = rate_hz, tail_.channels = channels;
    if (rate_hz != tail_.rate_hz || channels != tail_.channels) return;
    n = std::min(n, rate_hz * fade_ms / 1000 - tail_.n);
    std::copy_n(samples, n * channels, tail_.sample.data() + tail_.n * channels);
    tail_.n += n;
  };
  for (int i = first; i < slots_.waiting(); ++i) {
    const LiveFrame& frame = slots_.waiting(i);
    if (i == first) position = std::max<int64_t>(frame.segment_sample, 0);
    fade(frame.samples, frame.n_samples, frame.rate_hz, frame.channels);
  }
  if (n_dropped > 0 && made_speaks) {
    const LiveFrame& frame = slots_.made();
    fade(frame.samples, frame.n_samples, frame.rate_hz, frame.channels);
    drop_made_ = true;
    ++counts_.dropped;
  }
  slots_.drop_waiting(first);
  counts_.dropped += static_cast<uint64_t>(n_dropped);
  if (n_dropped == 0 && made_speaks && !speaker_.speaks()) position = ended_at_;
  if (speaker_.speaks()) {
    const Utterance& utterance = utterances_.front();
    if (n_dropped == 0) position = utterance.taken - carried_.n_speech;
    if (carried_.n_speech > 0) fade(carried_.sample.data(), carried_.n, carried_.rate_hz, carried_.channels);
    for (int64_t at = utterance.taken; utterance.channels > 0 && at < utterance.n_samples;) {
      int64_t n = utterance.n_samples - at;
      const float* samples = utterances_.sound(at, n);
      const int64_t before = tail_.n;
      fade(samples, n, utterance.rate_hz, utterance.channels);
      if (tail_.n == before) break;
      at += n;
    }
  }
  // What is carried was not heard, and is silence now: its time still passes.
  if (carried_.n_speech > 0) std::fill_n(carried_.sample.data(), carried_.n * carried_.channels, 0.0f);
  carried_.n_speech = 0;
  if (params_.idle == Idle::kNone) tail_.n = carried_.n = 0;  // no frame comes in which they could be
  return position;
}

Status Session::interrupt(int fade_ms, int64_t& position) {
  const std::lock_guard<std::mutex> one_at_a_time(push_);
  {
    const std::lock_guard<std::mutex> lock(state_);
    if (failure_.code() != StatusCode::kOk) return failure_;
    position = drop_unheard(int64_t{fade_ms});
    if (position >= 0) {
      speaker_.interrupt(fade_ms / 1000.0);
      interrupted_ = true;
    }
    starving_ = paused_ = false;
    if (utterances_.clear()) speech_rate_hz_ = 0;
    end_if_done();
  }
  changed_.notify_all();
  scheduler_->wake();
  return {};
}

Status Session::set(const Presence& presence) {
  const std::lock_guard<std::mutex> lock(state_);
  speaker_.set(presence);
  return {};
}

}  // namespace ts
