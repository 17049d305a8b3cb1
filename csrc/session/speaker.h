// SPDX-License-Identifier: Apache-2.0
// Speaker — the motion of a session's face: the lips of its utterances, each in its own time, on a life that goes on in
// the session's. One frame after the other, as controls.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model.h"
#include "engine/speech.h"
#include "ops/drive_life.h"
#include "session/blend.h"
#include "session/utterances.h"

namespace ts {

class Speaker {
 public:
  // voice: Nullable: then no sound moves the face. still: life rests between utterances.
  Speaker(std::shared_ptr<const Model> model, std::shared_ptr<const Voice> voice, const DriveParams& params,
          bool still);

  // Whether sound, and features, may move it; the message says why not.
  Status check_sound() const;
  Status check_features() const;
  double look_ahead_s() const;
  int64_t feature_floats() const { return feature_floats_; }  // of a row

  // A stream that has been warmed up: it allocates nothing more. Throws std::bad_alloc. Any thread may call it.
  std::unique_ptr<Speech> make_speech(int rate_hz, int channels) const;

  void set(const Presence& presence) { life_.set(presence); }

  // ---- the front of `utterances`, which is shown from now on, or has come to its end ----
  void begin(Utterances& utterances);
  void end();
  void pause();                   // its sound is not there, or is all that is left: the face goes to rest
  void resume();                  // and back
  void interrupt(double fade_s);  // nobody speaks any more, and the mouth closes within that time
  bool speaks() const { return utterances_ != nullptr; }
  int64_t frame() const { return frame_; }  // of the utterance, the next one
  // Samples of the utterance that nothing here will ask for again, of those that frames have had.
  int64_t done_with(int64_t taken) const {
    return utterances_->front().motion == Motion::kSound ? std::min(taken, heard_) : taken;
  }
  // Samples and rows that must have been pushed before the utterance's next frame can be made; once it has ended, all.
  int64_t samples_needed() const;
  int64_t rows_needed() const;
  int64_t frames() const;  // of the utterance once it has ended

  // The sound that the utterance's next frame needs, which is there, is heard. Its steps may be run with those of others:
  // gather() says which there are, and after the backend ran them comes heard(). Between the two nothing else may begin.
  Status hear();
  bool gather(EncodeCall& steps);  // false: there are none
  void heard();

  // ---- the next frame, at k / fps of the session: its control, [layout.size()], valid until the next call ----
  const float* speak(int64_t k);  // the utterance's next frame, whose sound is heard
  const float* wait(int64_t k);   // nobody speaks, or the utterance has to wait
  bool fading(int64_t k) const { return mouth_.fades(time_s(k)); }

  void change_windows(float value, float* control) const;  // so that a network has something new to do
  bool has_place(int i) const;                             // 0..51 ARKit's weights, 52 the head pose, 53 breath
  uint64_t bytes() const;

 private:
  double time_s(int64_t k) const { return static_cast<double>(k) / params_.fps; }
  bool has_controls() const { return utterances_->front().motion == Motion::kControls; }
  // What is shown fades into what comes next.
  void fade(double duration_s) { fade_s_ = duration_s; }
  void begin_fade();
  void take_sound();
  const float* show(int64_t k, Face& face, bool speaking);
  void live(int64_t k, bool speaking);
  void fill_rest(float* control) const;
  void fill_features(float* control) const;

  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<const Voice> voice_;
  const DriveParams params_;
  const bool still_;
  int64_t feature_floats_ = 0;
  std::vector<size_t> window_floats_;  // elements of a control that are windows
  std::vector<float> rest_feature_;    // what the voice says of silence

  Life life_;
  int64_t lived_ = 0;                 // steps
  int64_t last_step_ = -1;            // of the utterance, the last that life has seen
  double alive_ = 1;                  // how much of life is shown
  Utterances* utterances_ = nullptr;  // whose front speaks
  std::unique_ptr<Speech> speech_;
  int64_t heard_ = 0;  // samples of the utterance that speech_ has
  bool heard_all_ = false;
  int64_t frame_ = 0;

  Blend mouth_, windows_, all_;
  bool shown_ = false;  // any frame
  bool whole_ = false;  // controls of another kind come or go: all of them fade
  double fade_s_ = 0;   // that begins with the next frame
  double shown_s_ = 0;  // the last frame's time
  std::vector<float> control_, window_values_;
};

}  // namespace ts
