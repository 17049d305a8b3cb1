// SPDX-License-Identifier: Apache-2.0
#include "engine/speech.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "engine/model.h"

namespace ts {
namespace {

// Of a frame that waits: weight, head_pose, voice, breath; channels and features follow.
constexpr int kVoiceAt = kArkitWeights + 3, kBreathAt = kVoiceAt + 1, kFaceFloats = kBreathAt + 1;

}  // namespace

Status Voice::load(const char* path, Voice& voice) {
  VoiceFile file;
  TS_RETURN_IF_ERROR(read_voice_file(path, file));
  Voice result;
  result.model = std::make_shared<EncodeModel>(file.mel, file.towers);
  result.manifest = std::move(file.manifest);
  result.features = std::move(file.features);
  result.look_ahead_steps = file.look_ahead_steps, result.manner = file.manner;
  result.n_parameters = file.n_parameters, result.file_bytes = file.file_bytes;
  result.channel_names = std::move(file.channel_names);
  for (int c = 0; c < kVoiceChannels; ++c) {
    const auto it = std::find(result.channel_names.begin(), result.channel_names.end(), kVoiceChannelNames[c]);
    result.drive_channel[c] = static_cast<int>(it - result.channel_names.begin());
  }
  voice = std::move(result);
  return {};
}

DriveParams Speech::of_voice(DriveParams params, const Voice& voice) {
  params.manner = voice.manner;
  return params;
}

Speech::Speech(std::shared_ptr<const Voice> voice, const SpeechParams& params, std::shared_ptr<Backend> backend)
    : backend_(std::move(backend)),
      voice_(std::move(voice)),
      params_(params),
      n_channels_(voice_->model->n_channels),
      n_features_(voice_->model->n_features),
      listen_(params.rate_hz, params.channels),
      encode_(voice_->model, backend_->make_encode_stream(voice_->model)),
      drive_(of_voice(params.drive, *voice_), params.with_life) {
  for (std::vector<float>& said : said_) said.assign(static_cast<size_t>(n_channels_ + n_features_), 0.0f);
  past_.assign(static_cast<size_t>(FeatureWindows::kMaxBefore * n_features_), 0.0f);
}

void Speech::reset() {
  listen_.reset();
  encode_.reset();
  drive_.reset();
  steps_ = face_steps_ = 0;
  finished_ = false;
  limit_ = INT64_MAX;
  waiting_.clear();
  first_frame_ = n_frames_ = first_waiting_ = 0;
}

Status Speech::gather(SampleFormat format, const void* samples, int64_t n) {
  return take(format, samples, n, [] { return Status(); });
}

Status Speech::push_sound(SampleFormat format, const void* samples, int64_t n) {
  return take(format, samples, n, [this] { return run(); });
}

// after(): once for every piece of the sound.
template <class After>
Status Speech::take(SampleFormat format, const void* samples, int64_t n, const After& after) {
  if (finished_)
    return error(StatusCode::kInvalidArgument, "this utterance is finished; reset the stream to begin another.");
  TS_RETURN_IF_ERROR(listen_.check(format, samples, n));
  make_room(listen_.n_samples() + n);
  const int64_t frame_bytes = params_.channels * (format == SampleFormat::kS16 ? 2 : 4);
  const auto* at = static_cast<const char*>(samples);
  while (n > 0) {
    const int64_t taken = listen_.push(format, at, n);
    at += taken * frame_bytes, n -= taken;
    encode_.push(listen_.heard().sample, listen_.heard().n);
    TS_RETURN_IF_ERROR(after());
  }
  return {};
}

Status Speech::finish() {
  if (finished_) return {};
  make_room(listen_.n_samples());
  listen_.finish();
  encode_.push(listen_.heard().sample, listen_.heard().n);
  TS_RETURN_IF_ERROR(run());
  finished_ = true;
  limit_ = frame_count(listen_.n_samples(), params_.rate_hz, params_.drive.fps);
  const float silence[kMelHop] = {};
  while (n_frames_ < limit_) {
    encode_.push(silence, kMelHop);
    TS_RETURN_IF_ERROR(run());
  }
  return {};
}

Status Speech::run() {
  const EncodeCall steps = encode_.waiting();
  if (steps.n == 0) return {};
  TS_RETURN_IF_ERROR(backend_->encode(&steps, 1));
  go_on();
  return {};
}

void Speech::go_on() {
  const int64_t n = encode_.finish();
  for (int64_t i = 0; i < n; ++i) step(encode_.channel(i), encode_.feature(i));
}

// What the network says at its step k is the face at step k + 1 - look_ahead_steps; before face step 0 there is nothing
// to say. Without look-ahead its first word is on face step 1, and face step 0, on which it says nothing, has the same.
void Speech::step(const float* channel, const float* feature) {
  const int64_t first = voice_->look_ahead_steps - 1;
  if (steps_++ < first) return;
  float drive[kVoiceChannels];
  for (int c = 0; c < kVoiceChannels; ++c) drive[c] = channel[voice_->drive_channel[c]];
  for (int64_t to = steps_ - voice_->look_ahead_steps; face_steps_ <= to;) {
    float* said = said_[face_steps_++ % 2].data();
    std::copy_n(channel, n_channels_, said);
    std::copy_n(feature, n_features_, said + n_channels_);
    drive_.push(drive);
    keep_frames();
  }
}

int64_t Speech::frame_floats() const { return kFaceFloats + n_channels_ + n_features_; }

void Speech::make_room(int64_t n_samples) {
  const int64_t frames = frame_count(n_samples, params_.rate_hz, params_.drive.fps) - first_waiting_;
  const size_t need = static_cast<size_t>(frames * frame_floats());
  if (need > waiting_.capacity()) waiting_.reserve(std::max(need, 2 * waiting_.capacity()));
}

void Speech::keep_frames() {
  Face face;
  int64_t step;
  float share;
  while (n_frames_ < limit_ && drive_.pop(&face, &step, &share)) {
    const size_t at = waiting_.size();
    waiting_.resize(at + static_cast<size_t>(frame_floats()));
    float* out = std::copy_n(face.weight, kArkitWeights, waiting_.data() + at);
    out = std::copy_n(face.head_pose, 3, out);
    *out++ = face.voice;
    *out++ = face.breath;
    const float *before = said_[step % 2].data(), *after = said_[(step + 1) % 2].data();
    for (int i = 0; i < n_channels_ + n_features_; ++i) out[i] = (1 - share) * before[i] + share * after[i];
    ++n_frames_;
  }
}

const float* Speech::waiting_frame(int64_t frame) const {
  return waiting_.data() + (frame - first_waiting_) * frame_floats();
}

// Nullable: before the utterance and after it nothing is heard.
const float* Speech::feature_of(int64_t frame) const {
  if (frame < 0 || frame >= n_frames_) return nullptr;
  if (frame >= first_frame_) return waiting_frame(frame) + kFaceFloats + n_channels_;
  return past_.data() + frame % FeatureWindows::kMaxBefore * n_features_;
}

// What was read makes room once it is more than what waits.
void Speech::drop_frames(int64_t n) {
  for (int64_t frame = first_frame_ + std::max<int64_t>(0, n - FeatureWindows::kMaxBefore); frame < first_frame_ + n;
       ++frame) {
    std::copy_n(waiting_frame(frame) + kFaceFloats + n_channels_, n_features_,
                past_.data() + frame % FeatureWindows::kMaxBefore * n_features_);
  }
  first_frame_ += n;
  const int64_t read = first_frame_ - first_waiting_;
  if (read <= ready()) return;
  waiting_.erase(waiting_.begin(), waiting_.begin() + read * frame_floats());
  first_waiting_ = first_frame_;
}

int64_t Speech::read_faces(const FaceArrays& faces, int64_t max_frames) {
  const int64_t n = std::min(ready(), max_frames);
  const auto take = [](const float* from, int count, int64_t row, float* to) {
    if (to) std::copy_n(from, count, to + row * count);
  };
  const float* face = waiting_frame(first_frame_);
  for (int64_t row = 0; row < n; ++row, face += frame_floats()) {
    take(face, kArkitWeights, row, faces.weight);
    take(face + kArkitWeights, 3, row, faces.head_pose);
    take(face + kVoiceAt, 1, row, faces.voice);
    take(face + kFaceFloats, n_channels_, row, faces.channel);
    take(face + kFaceFloats + n_channels_, n_features_, row, faces.feature);
  }
  drop_frames(n);
  return n;
}

double Speech::look_ahead_s(const Model& model) const {
  return voice_->look_ahead_s() + model.windows().look_ahead_s();
}

int64_t Speech::ready(const Model& model) const {
  return finished_ ? ready() : std::max<int64_t>(0, ready() - model.windows().after());
}

int64_t Speech::samples_for(const Model& model, int64_t frame) const {
  frame += model.windows().after();
  // The frame's last face step, the network's step that speaks of it, and the sound before that step's end.
  const int64_t face_step = static_cast<int64_t>(static_cast<double>(frame) * kStepHz / params_.drive.fps) + 1;
  const int64_t step = std::max<int64_t>(face_step + voice_->look_ahead_steps - 1, 0);
  return listen_.samples_for((step + 1) * (kListenHz / kStepHz));
}

void Speech::fill_windows(const Model& model, float* control) const { fill_windows(model, 0, control); }

// Of the row-th frame that waits.
void Speech::fill_windows(const Model& model, int64_t row, float* control) const {
  for (const size_t input : model.windows().inputs()) {
    const FeatureWindow& window = model.file().inputs[input].window;
    float* to = control + model.layout().offset(input);
    for (int at = -window.before; at <= window.after; ++at, to += n_features_) {
      const float* feature = feature_of(first_frame_ + row + at);
      if (feature) {
        std::copy_n(feature, n_features_, to);
      } else {
        std::fill_n(to, n_features_, 0.0f);
      }
    }
  }
}

Status Speech::read_control(const Model& model, float* control, int64_t max_frames, int64_t& n_frames) {
  n_frames = 0;
  const FeatureWindows& windows = model.windows();
  TS_RETURN_IF_ERROR(windows.check(voice_->features, n_features_, params_.drive.fps));
  if (!model.speaks())
    return error(StatusCode::kInvalidArgument,
                 "this avatar has no face that speech could move: no input with ARKit's names or FLAME's, and none of "
                 "the voice's features.");
  n_frames = std::min(ready(model), max_frames);
  for (int64_t row = 0; row < n_frames; ++row, control += model.layout().size()) {
    const float* face = waiting_frame(first_frame_ + row);
    FaceRows one;
    one.n = 1;
    one.weight = face, one.head_pose = face + kArkitWeights, one.breath = face + kBreathAt;
    model.retarget().apply(one, control);
    fill_windows(model, row, control);
  }
  drop_frames(n_frames);
  return {};
}

}  // namespace ts
