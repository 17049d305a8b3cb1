// SPDX-License-Identifier: Apache-2.0
// What a source of motion does not take is refused, with the way out. Arguments: a voice and an avatar.
#include <string>

#include "check.h"
#include "engine/model.h"
#include "engine/motion_source.h"
#include "engine/speech.h"

using ts_test::contains;

namespace {

// A network that travels in an avatar, say: it takes what an encoder made of the sound.
class OfFeatures final : public ts::MotionSource {
 public:
  double look_ahead_s(const ts::Model&) const override { return 0; }
  ts::Status push_features(const float*, int64_t n) override {
    taken += n;
    return {};
  }
  ts::Status finish() override { return {}; }
  void reset() override { taken = 0; }
  int64_t ready(const ts::Model&) const override { return 0; }
  ts::Status read_control(const ts::Model&, float*, int64_t, int64_t& n_frames) override {
    n_frames = 0;
    return {};
  }
  int64_t taken = 0;
};

void refuses(const ts::Status& status, const char* part) {
  CHECK(status.code() == ts::StatusCode::kInvalidArgument);
  CHECK_MESSAGE(contains(status.message(), part), status.message());
}

}  // namespace

int main(int argc, char** argv) {
  const float numbers[4] = {};
  OfFeatures of_features;
  ts::MotionSource& source = of_features;
  CHECK(source.push_features(numbers, 2).ok() && of_features.taken == 2);
  refuses(source.push_sound(ts::SampleFormat::kF32, numbers, 4),
          "takes features, not sound. Push what its encoder makes");

  auto voice = std::make_shared<ts::Voice>();
  std::shared_ptr<ts::Backend> backend;
  std::shared_ptr<const ts::Model> model;
  if (!CHECK(argc == 3 && ts::Voice::load(argv[1], *voice).ok())) return ts_test::report("test_motion_source");
  CHECK(ts::open_backend({}, backend).ok());
  if (!CHECK(ts::Model::load(argv[2], backend, model).ok())) return ts_test::report("test_motion_source");
  ts::Speech speech(voice, {}, backend);
  ts::MotionSource& of_sound = speech;
  CHECK(of_sound.push_sound(ts::SampleFormat::kF32, numbers, 4).ok());
  refuses(of_sound.push_features(numbers, 2), "takes sound, not features. Push the sound itself");
  CHECK(of_sound.look_ahead_s(*model) == voice->look_ahead_s() && of_sound.ready(*model) == 0);
  return ts_test::report("test_motion_source");
}
