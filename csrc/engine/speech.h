// SPDX-License-Identifier: Apache-2.0
// Speech — one speaker's stream: listen, encode, drive, and the frames that wait to be read.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/motion_source.h"
#include "engine/voice_file.h"
#include "ops/backend.h"
#include "ops/drive.h"
#include "ops/encode.h"
#include "ops/listen.h"

namespace ts {

// A loaded voice: constant, shared by its streams.
struct Voice {
  std::string manifest;
  std::string features;  // their name; VoiceFile has its meaning
  int look_ahead_steps = 0;
  Manner manner;
  std::vector<std::string> channel_names;
  int drive_channel[kVoiceChannels];  // where each channel that drive reads is among them
  uint64_t n_parameters = 0, file_bytes = 0;
  std::shared_ptr<const EncodeModel> model;

  static Status load(const char* path, Voice& voice);
  // Of a frame: the network's steps, and the one that drive looks ahead.
  double look_ahead_s() const { return static_cast<double>(look_ahead_steps + 1) / kStepHz; }
};

struct SpeechParams {
  int rate_hz = 16000, channels = 1;
  DriveParams drive;
  bool with_life = true;  // false: faces have a mouth alone
};

// Frames to be filled, any pointer may be nullptr.
struct FaceArrays {
  float* weight = nullptr;     // [max_frames,52]
  float* head_pose = nullptr;  // [max_frames,3]
  float* voice = nullptr;      // [max_frames]
  float* channel = nullptr;    // [max_frames,n_channels]
  float* feature = nullptr;    // [max_frames,n_features]
};

class Speech final : public MotionSource {
 public:
  Speech(std::shared_ptr<const Voice> voice, const SpeechParams& params, std::shared_ptr<Backend> backend);

  // An avatar that hears a window of frames waits for the last of them.
  double look_ahead_s(const Model& model) const override;
  Status push_sound(SampleFormat format, const void* samples, int64_t n) override;
  Status finish() override;
  void reset() override;
  int64_t ready() const { return n_frames_ - first_frame_; }  // as faces
  int64_t ready(const Model& model) const override;
  Status read_control(const Model& model, float* control, int64_t max_frames, int64_t& n_frames) override;
  // The same frames as faces. Returns how many were taken.
  int64_t read_faces(const FaceArrays& faces, int64_t max_frames);

  // push_sound() in two parts, so that steps of several streams can be run together: when the steps that wait have been
  // run by the backend, go_on() goes on with what they said.
  Status gather(SampleFormat format, const void* samples, int64_t n);
  EncodeCall waiting() { return encode_.waiting(); }
  void go_on();
  Status run();  // both, for the steps that wait

  // For whoever reads frame by frame and makes the control itself.
  // How many samples must have been pushed before the frame is ready as a control of the model; after finish() all are.
  int64_t samples_for(const Model& model, int64_t frame) const;
  const float* next_weights() const { return waiting_frame(first_frame_); }  // [52] of the next frame, which is ready
  void fill_windows(const Model& model, float* control) const;               // the inputs that are windows of features
  const float* next_features() const { return feature_of(first_frame_); }    // [n_features]
  void drop_frame() { drop_frames(1); }
  // Of a step up to those of the last frame that is ready; shut, where it is too long ago.
  Gate gate(int64_t step) const {
    const Lips& lips = drive_.lips();
    return step < lips.taken() - Lips::kRing ? Gate() : lips.gate(step);
  }

 private:
  static DriveParams of_voice(DriveParams params, const Voice& voice);
  template <class After>
  Status take(SampleFormat format, const void* samples, int64_t n, const After& after);
  void step(const float* channel, const float* feature);
  void keep_frames();
  int64_t frame_floats() const;
  void fill_windows(const Model& model, int64_t row, float* control) const;
  const float* waiting_frame(int64_t frame) const;
  const float* feature_of(int64_t frame) const;
  void drop_frames(int64_t n);
  // For every frame that n samples make, so that nothing fails halfway: a push is taken whole or not at all.
  void make_room(int64_t n_samples);

  const std::shared_ptr<Backend> backend_;  // of encode_'s stream
  const std::shared_ptr<const Voice> voice_;
  const SpeechParams params_;
  const int n_channels_, n_features_;
  Listen listen_;
  Encode encode_;
  Drive drive_;
  int64_t steps_ = 0;       // that encode has made
  int64_t face_steps_ = 0;  // that drive has seen
  bool finished_ = false;
  int64_t limit_ = INT64_MAX;  // frames of this utterance, once it is finished

  // What the network said at the last two face steps, step j at j % 2: a frame lies between them.
  std::vector<float> said_[2];
  // Frames first_frame_ to n_frames_ - 1 wait, one after the other from the front of waiting_ on. Reading all of them,
  // as whoever reads along does, empties it: then it neither grows nor moves.
  std::vector<float> waiting_;
  int64_t first_frame_ = 0, n_frames_ = 0;
  int64_t first_waiting_ = 0;  // frame that begins waiting_
  // Features of the last frames that were read, [kMaxBefore,n_features]: frame k at k % kMaxBefore.
  std::vector<float> past_;
};

}  // namespace ts
