// SPDX-License-Identifier: Apache-2.0
// A frame's turn: when it may be made, what it shows, and what becomes of it when it is late.
#include <algorithm>
#include <exception>
#include <utility>

#include "core/clock.h"
#include "session/session.h"

namespace ts {
namespace {

constexpr int64_t kSuspendedNs = 1'000'000'000;  // so late a frame was not made slowly: the process stood still
constexpr int64_t kMsNs = 1'000'000;

}  // namespace

// ---- when ----

Worked::Job Session::next_job(int64_t now) {
  const std::lock_guard<std::mutex> lock(state_);
  if (hands_over()) return {now, now};
  if (!real_clock() && !clock_.started()) clock_.start(now);
  const Next next = decide(now);
  if (next.kind == Next::kNothing) return {};
  return {next.released_ns, clock_.deadline_ns(next_frame_)};
}

Session::Next Session::decide(int64_t now) {
  if (done_ || failure_.code() != StatusCode::kOk || !clock_.started()) return {};
  Next next;
  if (!speaker_.speaks() && !utterances_.empty()) {
    const int64_t begins = clock_.last_due(utterances_.front().begun_ns + hold_ns_);
    if (params_.idle == Idle::kNone) next_frame_ = std::max(next_frame_, begins);
    if (begins <= next_frame_) speaker_.begin(utterances_);
  }
  if (speaker_.speaks()) {
    next = next_of_utterance();
  } else {
    if (params_.idle == Idle::kNone) return {};
    next.kind = Next::kIdle;
    next.heard_ns = clock_.start_ns();
    // The caller's time is when a frame is due, and no sooner.
    next.released_ns = clock_.deadline_ns(next_frame_) - ahead_ns_;
  }
  if (!slots_.any_free()) {
    no_slot_ = true;
    return {};
  }
  if (real_clock()) let_it_stand_still(now, next.released_ns);
  no_slot_ = false;
  return next;
}

Session::Next Session::next_of_utterance() {
  Utterance& utterance = utterances_.front();
  const int64_t deadline = clock_.deadline_ns(next_frame_);
  Next next;
  next.kind = Next::kSpeech;
  next.released_ns = real_clock() ? deadline - clock_.period_ns() : deadline;
  next.heard_ns = utterance.begun_ns;
  if (utterance.ended && speaker_.frame() >= speaker_.frames()) {
    next.kind = Next::kTail;  // its sound is longer than what moved its face
    return next;
  }
  int64_t samples = speaker_.samples_needed();
  const int64_t rows = speaker_.rows_needed();
  if (utterance.channels > 0) {  // the sound of its own time
    samples = std::max(samples, utterance.taken + samples_of(next_frame_, utterance.rate_hz));
    if (utterance.ended) samples = std::min(samples, utterance.n_samples);
  }
  if (utterance.n_samples >= samples && utterance.n_rows >= rows) {
    if (samples > 0) next.heard_ns = std::max(next.heard_ns, utterances_.sound_came_ns(samples));
    if (rows > 0) next.heard_ns = std::max(next.heard_ns, utterances_.rows_came_ns(rows));
    next.released_ns = std::max(next.released_ns, next.heard_ns);
    return next;
  }
  const bool endless = params_.flush_after_ms == 0 || pushing_;
  if (starving_ && !endless && deadline - starved_since_ns_ >= params_.flush_after_ms * kMsNs) {
    utterance.ended = true;
    return next_of_utterance();  // whose frames need no more than there is
  }
  lacks_ = true;
  next.kind = Next::kStarved;
  next.released_ns = deadline - starve_ns_;
  return next;
}

// The clock stands still while nobody takes frames, and while the process does not run.
void Session::let_it_stand_still(int64_t now, int64_t released) {
  const int64_t late = now + starve_ns_ - clock_.deadline_ns(next_frame_);
  int64_t stood = 0;
  if (no_slot_) stood = std::min(late, now - released);
  if (late > kSuspendedNs) stood = late;
  if (stood <= 0) return;
  clock_.shift(stood);
  starved_since_ns_ += stood;
  ++counts_.stalls;
  counts_.stalled_ms += static_cast<double>(stood) / kMsNs;
}

// ---- its part of a round ----

// An interrupt may come before heard(): then it is heard in vain, as the stream begins anew with its next utterance.
bool Session::gather(int64_t now, EncodeCall& steps) {
  try {
    const std::lock_guard<std::mutex> lock(state_);
    if (hands_over()) return false;
    const Next next = decide(now);
    return next.kind == Next::kSpeech && next.released_ns <= now && speaker_.gather(steps);
  } catch (const std::exception& e) {
    fail(e);
    return false;
  }
}

void Session::heard() {
  try {
    const std::lock_guard<std::mutex> lock(state_);
    speaker_.heard();
  } catch (const std::exception& e) {
    fail(e);
  }
}

// No memory: on the scheduler's thread nobody else would hear of it.
void Session::fail(const std::exception& e) {
  const std::lock_guard<std::mutex> lock(state_);
  failure_ = error(StatusCode::kOutOfMemory, "a frame of a session could not be made: %s.", e.what());
}

bool Session::begin(const Turn& turn, RenderJob& job) {
  bool draws = false;
  try {
    const std::lock_guard<std::mutex> lock(state_);
    draws = begin_frame(turn, job);
  } catch (const std::exception& e) {
    fail(e);
  }
  if (!draws) changed_.notify_all();
  return draws;
}

bool Session::begin_frame(const Turn& turn, RenderJob& job) {
  const int64_t now = turn.begun_ns, cpu_ns = thread_cpu_ns();
  if (hands_over()) return false;
  const Next next = decide(now);
  if (next.kind == Next::kNothing || next.released_ns > now) return false;  // it has changed since it was its turn
  if (next.kind == Next::kSpeech) {
    failure_ = speaker_.hear();
    if (!failure_.ok()) return false;
  }
  LiveFrame& frame = slots_.take();
  frame.index = next_frame_++;
  frame.times.deadline_ns = clock_.deadline_ns(frame.index);
  frame.times.heard_ns = next.heard_ns, frame.times.released_ns = next.released_ns;
  frame.times.begun_ns = now;
  const bool begins = next.kind == Next::kSpeech && utterances_.front().taken == 0;
  const float* control = compose(next.kind, frame);
  const bool begins_or_ends = begins || (frame.flags & kLiveSegmentEnd);
  frame.times.driven_ns = time_now();
  const bool too_late = real_clock() && now > frame.times.deadline_ns && slots_.has_picture();
  if (!too_late) {
    making_ = true;
    job = job_of(control, frame);
    return true;
  }
  if (params_.on_late == OnLate::kSkip && !begins_or_ends && leave_out(frame)) return false;
  slots_.copy_last();
  frame.flags |= kLiveHeld;
  show(frame, turn, thread_cpu_ns() - cpu_ns);
  return false;
}

void Session::finish(const Turn& turn, Status drawn) {
  {
    const std::lock_guard<std::mutex> lock(state_);
    making_ = false;
    if (std::exchange(drop_made_, false)) {
      slots_.drop();
      end_if_done();
    } else if (!drawn.ok()) {
      slots_.drop();
      failure_ = std::move(drawn);
    } else {
      show(slots_.made(), turn, (thread_cpu_ns() - turn.begun_cpu_ns) / turn.frames);
    }
  }
  changed_.notify_all();
}

// ---- what it shows ----

const float* Session::compose(Next::Kind kind, LiveFrame& frame) {
  const int64_t k = composed_++;
  const bool speaks = kind != Next::kIdle, starves = kind == Next::kStarved;
  const bool paused = speaks && kind != Next::kSpeech;
  if (starves && !starving_) starved_since_ns_ = frame.times.deadline_ns;
  if (paused && !paused_) speaker_.pause();
  if (paused_ && kind == Next::kSpeech) speaker_.resume();
  paused_ = paused, starving_ = starves;
  const float* control = kind == Next::kSpeech ? speaker_.speak(k) : speaker_.wait(k);
  frame.flags = speaks ? kLiveSpeech : kLiveIdle;
  if (starves) frame.flags |= kLiveStarved;
  interrupted_ = interrupted_ && !speaks && (tail_at_ < tail_.n || speaker_.fading(k));
  if (interrupted_) frame.flags |= kLiveFading;
  if (speaks) {
    const Utterance& utterance = utterances_.front();
    frame.segment = utterance.number, frame.segment_sample = utterance.taken;
    if (utterance.channels > 0) rate_hz_ = utterance.rate_hz, channels_ = utterance.channels;
  }
  fill_samples(frame, speaks && !starves);
  if (speaks && !starves) {
    const Utterance& utterance = utterances_.front();
    if (utterance.ended && speaker_.frame() >= speaker_.frames() && utterance.taken == utterance.n_samples) {
      frame.flags |= kLiveSegmentEnd;
      ended_at_ = utterance.taken;
      paused_ = false;
      speaker_.end();
      utterances_.pop();
    } else if (utterance.motion == Motion::kFeatures) {
      utterances_.drop_rows_below(speaker_.frame() - FeatureWindows::kMaxBefore);
    } else if (utterance.motion == Motion::kControls) {
      utterances_.drop_rows_below(speaker_.frame());
    }
  }
  return control;
}

int64_t Session::samples_of(int64_t frame, int rate_hz) const {
  return first_sample(frame + 1, rate_hz, params_.fps) - first_sample(frame, rate_hz, params_.fps);
}

// The sound of the frame's time by the session's clock, after that of frames that were left out.
void Session::fill_samples(LiveFrame& frame, bool speaks) {
  frame.rate_hz = rate_hz_, frame.channels = channels_;
  frame.pts_samples = first_sample(frame.index, rate_hz_, params_.fps);
  const int64_t n = samples_of(frame.index, rate_hz_);
  float* const samples = slots_.samples();
  frame.samples = samples;
  float* const to = put_carried(frame, samples);
  std::fill_n(to, n * channels_, 0.0f);
  frame.n_samples = (to - samples) / channels_ + n;
  carried_.n = carried_.n_speech = 0;
  if (speaks && utterances_.front().channels > 0) {
    Utterance& utterance = utterances_.front();
    const int64_t last = std::min(utterance.taken + n, utterance.n_samples);
    for (float* at = to; utterance.taken < last;) {
      int64_t count = last - utterance.taken;
      const float* from = utterances_.sound(utterance.taken, count);
      at = std::copy_n(from, count * channels_, at);
      utterance.taken += count;
    }
    utterances_.drop_sound_below(speaker_.done_with(utterance.taken));
  }
  if (tail_.rate_hz != rate_hz_ || tail_.channels != channels_) tail_.n = 0;
  for (int64_t i = 0; i < n && tail_at_ < tail_.n; ++i, ++tail_at_) {
    const float gain = 1 - static_cast<float>(tail_at_) / static_cast<float>(tail_.n);
    for (int c = 0; c < channels_; ++c)
      to[i * channels_ + c] += gain * tail_.sample[static_cast<size_t>(tail_at_ * channels_ + c)];
  }
}

// Returns where the frame's own sound goes. Utterances end with a frame that is shown, so that sound of another kind than
// the frame's is silence.
float* Session::put_carried(LiveFrame& frame, float* samples) {
  if (carried_.n == 0) return samples;
  frame.pts_samples = first_sample(carried_index_, rate_hz_, params_.fps);
  if (carried_.rate_hz == rate_hz_ && carried_.channels == channels_) {
    if (frame.segment_sample >= 0) frame.segment_sample -= carried_.n_speech;
    return std::copy_n(carried_.sample.data(), carried_.n * channels_, samples);
  }
  const int64_t n = first_sample(frame.index, rate_hz_, params_.fps) - frame.pts_samples;
  return std::fill_n(samples, std::min(n, most_carried()) * channels_, 0.0f);
}

int64_t Session::most_carried() const { return static_cast<int64_t>(kMostCarriedS * rate_hz_); }

// OnLate::kSkip: no picture; its sound goes with the next frame. False: not more than a second is carried.
bool Session::leave_out(LiveFrame& frame) {
  if (frame.n_samples > most_carried()) return false;
  const bool first = frame.pts_samples == first_sample(frame.index, rate_hz_, params_.fps);
  if (first) carried_index_ = frame.index;
  std::copy_n(frame.samples, frame.n_samples * channels_, carried_.sample.data());
  carried_.n = frame.n_samples, carried_.rate_hz = rate_hz_, carried_.channels = channels_;
  if (frame.segment_sample >= 0) carried_.n_speech = utterances_.front().taken - frame.segment_sample;
  ++counts_.skipped;
  slots_.drop();
  return true;
}

// ---- and then ----

// The frame waits to be acquired. cpu_ns: that it has had.
void Session::show(LiveFrame& frame, const Turn& turn, int64_t cpu_ns) {
  frame.times.ready_ns = time_now();
  count(frame, turn);
  counts_.cpu_ms += static_cast<double>(cpu_ns) / kMsNs;
  slots_.finish();
  end_if_done();
}

void Session::count(LiveFrame& frame, const Turn& turn) {
  const LiveTimes& times = frame.times;
  if (real_clock()) {
    const int64_t began = std::max(times.released_ns, turn.free_ns), busy = times.ready_ns - times.begun_ns;
    delay_.add(times.ready_ns - std::max(times.released_ns, times.heard_ns));
    if (!(frame.flags & kLiveHeld)) {  // what drawing costs
      share_.add(busy / turn.frames);
      if (turn.frames == 1) alone_.add(busy);
    }
    const int64_t late = times.ready_ns - times.deadline_ns;
    if (late > 0) {
      frame.flags |= kLiveLate;
      ++counts_.late;
      // Without the time in which this thread was ready to run, and did not, it had been on time.
      const int64_t kept_ns = busy - turn.waited_ns - (thread_cpu_ns() - turn.begun_cpu_ns);
      if (late <= (times.begun_ns - began) + kept_ns) ++counts_.late_by_host;
    }
  }
  ++counts_.frames;
  ++(frame.flags & kLiveSpeech ? counts_.speech : counts_.idle);
  if (frame.flags & kLiveStarved) ++counts_.starved;
  if (frame.flags & kLiveHeld) ++counts_.held;
}

void Session::deliver() {
  {
    std::unique_lock<std::mutex> lock(state_);
    if (!hands_over()) return;
    const LiveFrame& lent = slots_.lend();
    const LiveCallback callback = callback_;
    void* const user = user_;
    in_callback_ = true;
    callback_thread_ = std::this_thread::get_id();
    lock.unlock();
    const bool goes_on = callback(user, lent) != 0;
    lock.lock();
    slots_.release(lent.slot, lent.index);
    in_callback_ = false;
    if (!goes_on) {
      closing_ = done_ = true;
      callback_ = nullptr;
    }
  }
  changed_.notify_all();
}

void Session::end_if_done() {
  if (closing_ && utterances_.empty() && !speaker_.speaks() && !making_) done_ = true;
}

}  // namespace ts
