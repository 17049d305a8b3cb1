// SPDX-License-Identifier: Apache-2.0
#include "session/speaker.h"

#include <algorithm>
#include <cmath>

#include "core/clock.h"

namespace ts {
namespace {

constexpr double kBackS = 0.08;   // from rest into an utterance that goes on
constexpr double kCloseS = 0.16;  // a mouth that is left open closes, as the voice gate does
constexpr double kAliveS = 0.5;   // life comes and goes, where it rests between utterances
constexpr double kWarmS = 2;      // of silence, after which the voice says the same of more

}  // namespace

Speaker::Speaker(std::shared_ptr<const Model> model, std::shared_ptr<const Voice> voice, const DriveParams& params,
                 bool still)
    : model_(std::move(model)),
      voice_(std::move(voice)),
      params_(params),
      still_(still),
      life_(params.seed, static_cast<double>(params.head), static_cast<double>(params.blink),
            voice_ ? voice_->manner : Manner()),
      alive_(still ? 0 : 1),
      mouth_(kArkitWeights),
      windows_(0),
      all_(static_cast<size_t>(model_->layout().size())),
      control_(static_cast<size_t>(model_->layout().size())) {
  const FeatureWindows& windows = model_->windows();
  for (const size_t input : windows.inputs()) {
    const auto at = static_cast<size_t>(model_->layout().offset(input));
    for (size_t i = 0; i < static_cast<size_t>(model_->file().inputs[input].size); ++i)
      window_floats_.push_back(at + i);
  }
  windows_ = Blend(window_floats_.size());
  window_values_.resize(window_floats_.size());
  if (windows.any()) {
    const FeatureWindow& window = model_->file().inputs[windows.inputs()[0]].window;
    feature_floats_ = int64_t{window.length} * window.channels;
  }
  if (windows.of_voice() && check_sound().ok()) {
    SpeechParams hearing;
    hearing.drive = params_;
    Speech silence(voice_, hearing, model_->shared_backend());
    const std::vector<float> zeros(static_cast<size_t>(kWarmS * hearing.rate_hz));
    if (silence.push_sound(SampleFormat::kF32, zeros.data(), static_cast<int64_t>(zeros.size())).ok()) {
      while (silence.ready() > 1) silence.drop_frame();
      rest_feature_.assign(silence.next_features(), silence.next_features() + voice_->model->n_features);
    }
  }
}

Status Speaker::check_sound() const {
  if (!voice_)
    return error(StatusCode::kInvalidArgument,
                 "this session has no voice that could hear. Give it one when it is made.");
  TS_RETURN_IF_ERROR(model_->windows().check(voice_->features, voice_->model->n_features, params_.fps));
  if (model_->speaks()) return {};
  return error(StatusCode::kInvalidArgument,
               "this avatar has no face that speech could move: no input with ARKit's names or FLAME's, and none of "
               "the voice's features. Push controls.");
}

Status Speaker::check_features() const {
  const FeatureWindows& windows = model_->windows();
  if (!windows.any() || windows.of_voice())
    return error(StatusCode::kInvalidArgument,
                 "this avatar takes no features of another encoder. Push its sound, or controls.");
  for (const size_t input : windows.inputs()) {
    const FeatureWindow& window = model_->file().inputs[input].window;
    if (window.before > FeatureWindows::kMaxBefore)
      return error(
          StatusCode::kInvalidArgument,
          "this avatar's windows have %d frames before their own; sessions remember at most %d. Push controls.",
          window.before, FeatureWindows::kMaxBefore);
    if (int64_t{window.length} * window.channels != feature_floats_)
      return error(
          StatusCode::kInvalidArgument,
          "this avatar has windows of several kinds of features, which cannot be pushed as one. Push controls.");
  }
  if (static_cast<float>(params_.fps) != model_->file().fps)
    return error(StatusCode::kInvalidArgument,
                 "the session's fps must be %g, the rate of the avatar's features; got %g.",
                 static_cast<double>(model_->file().fps), params_.fps);
  return {};
}

double Speaker::look_ahead_s() const {
  const double windows = model_->windows().look_ahead_s();
  return windows + (check_sound().ok() ? voice_->look_ahead_s() : 0.0);
}

std::unique_ptr<Speech> Speaker::make_speech(int rate_hz, int channels) const {
  SpeechParams params;
  params.rate_hz = rate_hz, params.channels = channels;
  params.drive = params_;
  params.with_life = false;
  auto speech = std::make_unique<Speech>(voice_, params, model_->shared_backend());
  // It claims its memory now: a second, read to its end.
  const std::vector<float> zeros(static_cast<size_t>(rate_hz * channels));
  static_cast<void>(speech->push_sound(SampleFormat::kF32, zeros.data(), rate_hz));
  static_cast<void>(speech->finish());
  while (speech->ready() > 0) speech->drop_frame();
  speech->reset();
  return speech;
}

// ---- utterances ----

void Speaker::begin(Utterances& utterances) {
  Utterance& utterance = utterances.front();
  if (utterance.speech) {
    speech_ = std::move(utterance.speech);
  } else if (utterance.motion == Motion::kSound && speech_) {
    speech_->reset();
  }
  utterances_ = &utterances;
  heard_ = frame_ = 0;
  heard_all_ = false;
  last_step_ = -1;
  whole_ = whole_ || has_controls();
  if (shown_ && (whole_ || !window_floats_.empty() || !mouth_.at_rest())) fade(kBackS);
}

void Speaker::end() {
  if (has_controls() || !window_floats_.empty() || !mouth_.at_rest()) pause();
  utterances_ = nullptr;
}

void Speaker::pause() {
  whole_ = whole_ || has_controls();
  fade(kCloseS);
}

void Speaker::resume() {
  whole_ = whole_ || has_controls();
  fade(kBackS);
}

void Speaker::interrupt(double fade_s) {
  if (utterances_) end();
  fade(std::max(fade_s, 1e-9));  // so short it ends every other fade
}

int64_t Speaker::frames() const {
  const Utterance& utterance = utterances_->front();
  return utterance.motion == Motion::kSound ? frame_count(utterance.n_samples, utterance.rate_hz, params_.fps)
                                            : utterance.n_rows;
}

int64_t Speaker::samples_needed() const {
  const Utterance& utterance = utterances_->front();
  if (utterance.channels == 0) return 0;
  // A frame of rows carries the sound of its own time.
  const int64_t needed = utterance.motion == Motion::kSound ? speech_->samples_for(*model_, frame_)
                                                            : first_sample(frame_ + 1, utterance.rate_hz, params_.fps);
  return utterance.ended ? std::min(needed, utterance.n_samples) : needed;
}

int64_t Speaker::rows_needed() const {
  const Utterance& utterance = utterances_->front();
  if (utterance.motion == Motion::kSound) return 0;
  const int64_t needed = frame_ + 1 + (utterance.motion == Motion::kFeatures ? model_->windows().after() : 0);
  return utterance.ended ? std::min(needed, utterance.n_rows) : needed;
}

void Speaker::take_sound() {
  const int64_t needed = samples_needed();
  while (heard_ < needed) {
    int64_t n = needed - heard_;
    const float* samples = utterances_->sound(heard_, n);
    static_cast<void>(speech_->gather(SampleFormat::kF32, samples, n));  // was checked when it was pushed
    heard_ += n;
  }
}

bool Speaker::gather(EncodeCall& steps) {
  if (utterances_->front().motion != Motion::kSound) return false;
  take_sound();
  steps = speech_->waiting();
  return steps.n > 0;
}

void Speaker::heard() { speech_->go_on(); }

Status Speaker::hear() {
  const Utterance& utterance = utterances_->front();
  if (utterance.motion != Motion::kSound || heard_all_) return {};
  take_sound();
  TS_RETURN_IF_ERROR(speech_->run());
  if (utterance.ended && heard_ == utterance.n_samples) {
    TS_RETURN_IF_ERROR(speech_->finish());
    heard_all_ = true;
  }
  return {};
}

// ---- frames ----

const float* Speaker::speak(int64_t k) {
  const Utterance& utterance = utterances_->front();
  Face face{};
  if (utterance.motion == Motion::kSound) std::copy_n(speech_->next_weights(), kArkitWeights, face.weight);
  const float* control = show(k, face, true);
  if (utterance.motion == Motion::kSound) speech_->drop_frame();
  ++frame_;
  return control;
}

const float* Speaker::wait(int64_t k) {
  Face face{};
  return show(k, face, false);
}

// Life sees the session's steps; of an utterance those that lie in them. Where the two fall between each other, the
// utterance's step is the last one that has begun.
void Speaker::live(int64_t k, bool speaking) {
  const int64_t last = static_cast<int64_t>(static_cast<double>(k) * kStepHz / params_.fps) + 1;
  const bool lips = speaking && utterances_->front().motion == Motion::kSound;
  const double begins = static_cast<double>(k - frame_) * kStepHz / params_.fps;
  for (; lived_ <= last; ++lived_) {
    Gate gate;
    const auto step = static_cast<int64_t>(std::floor(static_cast<double>(lived_) - begins + 1e-9));
    if (lips && step >= 0) {
      gate = speech_->gate(step);
      if (step == last_step_) gate.phrase_ends = false;
      for (int64_t missed = last_step_ + 1; missed < step; ++missed)
        gate.phrase_ends = gate.phrase_ends || speech_->gate(missed).phrase_ends;
      last_step_ = std::max(last_step_, step);
    }
    life_.step(gate.open, gate.jaw, gate.phrase_ends);
  }
}

const float* Speaker::show(int64_t k, Face& face, bool speaking) {
  const double time = time_s(k), at = static_cast<double>(k) * kStepHz / params_.fps;
  begin_fade();
  live(k, speaking);
  mouth_.apply(time, face.weight);
  Face alive = face;
  life_.at(time, at - std::floor(at), &alive);
  if (still_) {
    const double change = (time - shown_s_) / kAliveS;
    alive_ = std::clamp(alive_ + (speaking ? change : -change), 0.0, 1.0);
    const double share = ease(alive_);
    for (int i = 0; i < kArkitWeights; ++i) {
      alive.weight[i] =
          static_cast<float>(lerp(static_cast<double>(face.weight[i]), static_cast<double>(alive.weight[i]), share));
    }
    for (float& turn : alive.head_pose) turn = static_cast<float>(share * static_cast<double>(turn));
    alive.breath = static_cast<float>(share * static_cast<double>(alive.breath));
  }
  float* control = control_.data();
  const bool rows = speaking && utterances_->front().motion != Motion::kSound;
  if (rows && has_controls()) {
    std::copy_n(utterances_->row(frame_), control_.size(), control);
  } else {
    FaceRows one;
    one.n = 1;
    one.weight = alive.weight, one.head_pose = alive.head_pose, one.breath = &alive.breath;
    model_->retarget().apply(one, control);
    if (rows) {
      fill_features(control);
    } else if (speaking) {
      speech_->fill_windows(*model_, control);
    } else {
      fill_rest(control);
    }
  }
  // Numbers that no face has: they fade as they are.
  if (!window_floats_.empty()) {
    for (size_t i = 0; i < window_floats_.size(); ++i) window_values_[i] = control[window_floats_[i]];
    windows_.apply(time, window_values_.data());
    for (size_t i = 0; i < window_floats_.size(); ++i) control[window_floats_[i]] = window_values_[i];
  }
  all_.apply(time, control);
  shown_ = true, shown_s_ = time;
  return control;
}

void Speaker::begin_fade() {
  if (fade_s_ <= 0) return;
  mouth_.begin(shown_s_, fade_s_);
  windows_.begin(shown_s_, fade_s_);
  if (whole_) all_.begin(shown_s_, fade_s_);
  whole_ = false;
  fade_s_ = 0;
}

// Between utterances an avatar that hears windows hears silence, as far as it is known what that is.
void Speaker::fill_rest(float* control) const {
  if (rest_feature_.empty()) return;
  for (const size_t input : model_->windows().inputs()) {
    const FeatureWindow& window = model_->file().inputs[input].window;
    float* to = control + model_->layout().offset(input);
    for (int at = -window.before; at <= window.after; ++at, to += rest_feature_.size())
      std::copy(rest_feature_.begin(), rest_feature_.end(), to);
  }
}

// Rows are [length,channels], windows [frames,channels,length]; zeros where there are no rows.
void Speaker::fill_features(float* control) const {
  for (const size_t input : model_->windows().inputs()) {
    const FeatureWindow& window = model_->file().inputs[input].window;
    float* to = control + model_->layout().offset(input);
    for (int at = -window.before; at <= window.after; ++at) {
      const float* row = utterances_->row(frame_ + at);
      for (int c = 0; c < window.channels; ++c)
        for (int l = 0; l < window.length; ++l) *to++ = row ? row[l * window.channels + c] : 0.0f;
    }
  }
}

void Speaker::change_windows(float value, float* control) const {
  for (const size_t at : window_floats_) control[at] += value;
}

bool Speaker::has_place(int i) const {
  if (i < kArkitWeights) return model_->retarget().has_place(i);
  return i == kArkitWeights ? model_->retarget().head_has_place() : model_->retarget().breath_has_place();
}

uint64_t Speaker::bytes() const {
  return mouth_.bytes() + windows_.bytes() + all_.bytes() +
         (control_.capacity() + window_values_.capacity()) * sizeof(float);
}

}  // namespace ts
