// SPDX-License-Identifier: Apache-2.0
// A session's motion from one utterance to the next: whatever begins, ends or is interrupted, the head goes on.
// Arguments: a voice, an avatar with ARKit's weights and a head pose.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "session/speaker.h"
#include "session_test.h"

using namespace ts;
using namespace ts_test;

namespace {

constexpr double kFps = 25;
constexpr int64_t kFrames = 1500;

struct Moved {
  double fastest = 0, hardest = 0, farthest = 0;
};

// Utterances of half a second to two and a half, some cut short after it, with pauses of up to a second: after each
// frame it is drawn anew what comes next.
Moved most_moved(const Fixture& f, uint64_t seed, bool still) {
  DriveParams params;
  params.fps = kFps, params.seed = seed;
  Speaker speaker(f.model, f.voice, params, still);
  Utterances utterances(0, f.model->layout().size());
  utterances.make_sound_room(4 * kRate);
  Random random(seed, kAccentStream);
  const std::vector<AvatarInput>& inputs = f.model->file().inputs;
  const auto pose =
      std::find_if(inputs.begin(), inputs.end(), [](const AvatarInput& input) { return input.name == "head_pose"; });
  if (!CHECK(pose != inputs.end())) return {};
  const int64_t at = f.model->layout().offset(static_cast<size_t>(pose - inputs.begin()));
  double before[2][3] = {};
  Moved most;
  int64_t pause = 10, left = 0, interrupted = 0;
  for (int64_t k = 0; k < kFrames; ++k) {
    if (!speaker.speaks() && --pause < 0) {
      const auto n = static_cast<int64_t>(kRate * random.between(0.5, 2.5));
      const std::vector<float> x = sound(n);
      Utterance& utterance = utterances.begin(Motion::kSound, 0);
      utterance.rate_hz = kRate, utterance.channels = 1;
      utterances.begin_sound(utterance);
      utterances.write_sound(
          n, [&](float* to, int64_t first, int64_t count) { std::copy_n(x.data() + first, count, to); });
      utterances.publish_sound(utterance, n, 0);
      utterance.ended = true;
      if (k < 25) utterance.speech = speaker.make_speech(kRate, 1);
      speaker.begin(utterances);
      left = speaker.frames();
      if (random.uniform() < 0.4) left = 1 + left / 2;
    }
    const float* control;
    if (speaker.speaks()) {
      CHECK(speaker.hear().ok());
      control = speaker.speak(k);
      if (--left == 0) {
        const bool cut = speaker.frame() < speaker.frames();
        interrupted += cut;
        if (cut) {
          speaker.interrupt(0.08);
        } else {
          speaker.end();
        }
        utterances.pop();
        pause = static_cast<int64_t>(25 * random.uniform());
      }
    } else {
      control = speaker.wait(k);
    }
    for (int axis = 0; axis < 3; ++axis) {
      const double now = static_cast<double>(control[at + axis]), a = before[1][axis], b = before[0][axis];
      most.farthest = std::max(most.farthest, std::fabs(now));
      if (k > 0) most.fastest = std::max(most.fastest, std::fabs(now - a) * kFps);
      if (k > 1) most.hardest = std::max(most.hardest, std::fabs(now - 2 * a + b) * kFps * kFps);
      before[0][axis] = a, before[1][axis] = now;
    }
  }
  CHECK(interrupted > 3);
  return most;
}

// The sample voice's manner is half as much pitch again.
void heads_go_on(const Fixture& f) {
  for (const bool still : {false, true}) {
    for (const uint64_t seed : {0, 1, 2}) {
      const Moved most = most_moved(f, seed, still);
      const std::string what = std::to_string(most.fastest) + " rad/s, " + std::to_string(most.hardest) +
                               " rad/s^2, as far as " + std::to_string(most.farthest) + (still ? ", still" : "");
      CHECK_MESSAGE(most.fastest < 0.6, what);
      CHECK_MESSAGE(most.hardest < 8, what);
      CHECK_MESSAGE(most.farthest > 0.02 && most.farthest < 0.12, what);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  Fixture f;
  CHECK(open_backend({}, f.backend).ok());
  CHECK(Voice::load(argv[1], *f.voice).ok());
  CHECK(Model::load(argv[2], f.backend, f.model).ok());
  if (!f.model) return 1;
  heads_go_on(f);
  return report("speaker");
}
