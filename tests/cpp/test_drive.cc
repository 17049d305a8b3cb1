// SPDX-License-Identifier: Apache-2.0
// Drive: closures that every frame rate keeps, rest in silence, and a face that lives: blinks, gaze, head.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "ops/drive.h"

using ts::Drive;
using ts::DriveParams;
using ts::Face;
namespace arkit = ts::arkit;

namespace {

struct Step {
  float channel[ts::kVoiceChannels] = {};
};
using Script = std::function<Step(int64_t)>;  // what the voice says at step j

constexpr double kRates[] = {20, 21, 23.976, 24, 25, 27, 29.97, 30, 33, 40, 48, 50, 59.94, 60};
constexpr int kMouth[] = {arkit::jawOpen,
                          arkit::mouthClose,
                          arkit::mouthFunnel,
                          arkit::mouthPucker,
                          arkit::mouthRollLower,
                          arkit::mouthRollUpper,
                          arkit::mouthPressLeft,
                          arkit::mouthPressRight,
                          arkit::mouthLowerDownLeft,
                          arkit::mouthUpperUpLeft,
                          arkit::mouthLowerDownRight,
                          arkit::mouthUpperUpRight,
                          arkit::mouthStretchLeft,
                          arkit::mouthStretchRight,
                          arkit::mouthSmileLeft,
                          arkit::mouthSmileRight,
                          arkit::tongueOut};

std::vector<Face> faces(const DriveParams& params, int64_t n_steps, const Script& script) {
  Drive drive(params);
  std::vector<Face> out;
  for (int64_t j = 0; j < n_steps; ++j) {
    drive.push(script(j).channel);
    Face face;
    int64_t step;
    float mix;
    while (drive.pop(&face, &step, &mix)) out.push_back(face);
  }
  return out;
}

DriveParams at_fps(double fps) {
  DriveParams params;
  params.fps = fps;
  return params;
}

Step vowel() {
  Step step;
  for (float& c : step.channel) c = 0.3f;
  step.channel[ts::kJawOpen] = 0.6f;
  step.channel[ts::kMouthLowerDown] = 0.5f;
  step.channel[ts::kMouthUpperUp] = 0.4f;
  step.channel[ts::kClosure] = 0.02f;
  step.channel[ts::kVoice] = 0.97f;
  return step;
}

Step noise() {  // what a network may say of a room: shapes, and that nobody speaks
  Step step = vowel();
  step.channel[ts::kVoice] = 0.1f;
  return step;
}

Step syllables(int64_t j) {
  Step step = vowel();
  step.channel[ts::kJawOpen] = static_cast<float>(0.35 + 0.3 * std::sin(0.3 * static_cast<double>(j)));
  return step;
}

// The lips' distance, by the weights alone.
double gap(const Face& face) {
  const float* w = face.weight;
  return std::max(0.0f, w[arkit::jawOpen] - w[arkit::mouthClose]) +
         0.2 * (w[arkit::mouthLowerDownLeft] + w[arkit::mouthLowerDownRight]) +
         0.15 * (w[arkit::mouthUpperUpLeft] + w[arkit::mouthUpperUpRight]);
}

bool mouth_rests(const Face& face) {
  return std::all_of(std::begin(kMouth), std::end(kMouth), [&](int w) { return face.weight[w] == 0.0f; });
}

// A p of 40 ms, which no frame need coincide with, is closed in some frame, and the vowels beside it are open.
void closures_survive_every_rate() {
  constexpr int64_t kEvery = 23;  // shares no factor with any rate: every phase comes by
  const Script script = [](int64_t j) {
    Step step = vowel();
    if (j % kEvery >= 10 && j % kEvery <= 12) step.channel[ts::kClosure] = j % kEvery == 12 ? 0.1f : 0.9f;
    return step;
  };
  for (const double fps : kRates) {
    for (const float mouth : {1.0f, 2.0f}) {
      DriveParams params = at_fps(fps);
      params.mouth = mouth;
      const std::vector<Face> all = faces(params, 60 * kEvery, script);
      for (int64_t first = 10; first < 59 * kEvery; first += kEvery) {
        const double from = static_cast<double>(first) / ts::kStepHz, to = from + 0.02;
        double closed = 1, open_before = 1, open_after = 1;
        for (size_t k = 0; k < all.size(); ++k) {
          const double t = static_cast<double>(k) / fps;
          if (t > from - 0.03 && t < to + 0.03) closed = std::min(closed, gap(all[k]));
          if (t > from - 0.14 && t < from - 0.06) open_before = std::min(open_before, gap(all[k]));
          if (t > to + 0.06 && t < to + 0.14) open_after = std::min(open_after, gap(all[k]));
        }
        const std::string where = std::to_string(fps) + " fps, step " + std::to_string(first);
        CHECK_MESSAGE(closed < 0.01, where + ": the lips stay open at a closure");
        CHECK_MESSAGE(open_before > 0.5 || first == 10, where + ": the lips are shut before it");
        CHECK_MESSAGE(open_after > 0.5, where + ": the lips are shut after it");
      }
    }
  }
}

void silence_rests() {
  const auto speaks_until = [](int64_t last) { return [last](int64_t j) { return j <= last ? vowel() : noise(); }; };
  for (const double fps : kRates) {
    const std::vector<Face> silent = faces(at_fps(fps), 200, [](int64_t) { return noise(); });
    CHECK(std::all_of(silent.begin(), silent.end(), mouth_rests));
    CHECK(!silent.empty());
    const std::vector<Face> spoken = faces(at_fps(fps), 200, speaks_until(100));
    for (size_t k = 0; k < spoken.size(); ++k) {
      const double t = static_cast<double>(k) / fps;
      if (t > 0.1 && t < 2.02) CHECK(spoken[k].weight[arkit::jawOpen] > 0.5f);
      if (t > 2.02 + 0.15) CHECK_MESSAGE(mouth_rests(spoken[k]), std::to_string(fps) + " fps: moves in silence");
    }
  }
  // Opening and shutting is gradual: no frame at 60 fps moves the jaw by more than a third.
  const std::vector<Face> smooth = faces(at_fps(60), 200, speaks_until(100));
  for (size_t k = 1; k < smooth.size(); ++k) {
    CHECK(std::fabs(smooth[k].weight[arkit::jawOpen] - smooth[k - 1].weight[arkit::jawOpen]) < 0.33f);
  }
}

void clicks_are_not_held() {
  // Two steps that sound like a voice: the mouth rests again 120 ms after them, sooner than after a word.
  const std::vector<Face> all = faces(at_fps(50), 60, [](int64_t j) { return j == 20 || j == 21 ? vowel() : noise(); });
  CHECK(!mouth_rests(all[21]));
  for (size_t k = 28; k < all.size(); ++k) CHECK(mouth_rests(all[k]));
}

void doubt_does_not_flicker() {
  // Between the two thresholds nothing changes: who speaks goes on, who does not is not heard.
  const auto doubtful = [](int64_t j, int64_t sure) {
    Step step = vowel();
    if (j != sure) step.channel[ts::kVoice] = 0.25f + 0.1f * static_cast<float>(j % 2);
    return step;
  };
  for (const Face& face : faces(at_fps(50), 100, [&](int64_t j) { return doubtful(j, -1); })) CHECK(mouth_rests(face));
  const std::vector<Face> on = faces(at_fps(50), 100, [&](int64_t j) { return doubtful(j, 20); });
  for (size_t k = 24; k < on.size(); ++k) CHECK(on[k].weight[arkit::jawOpen] > 0.5f);
  // The hold of a t, 80 ms without voice, does not shut the mouth.
  const Script stop = [](int64_t j) { return j < 50 || j >= 53 ? vowel() : noise(); };
  const std::vector<Face> held = faces(at_fps(50), 100, stop);
  for (size_t k = 10; k < held.size(); ++k) CHECK(held[k].weight[arkit::jawOpen] > 0.5f);
}

void hostile_steps_stay_in_bounds() {
  const float bad[] = {
      std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1e30f, 1e30f, 0.5f, -0.0f};
  const Script script = [&](int64_t j) {
    Step step;
    for (int c = 0; c < ts::kVoiceChannels; ++c) step.channel[c] = bad[(j * 7 + c * 3 + j / 5) % 6];
    return step;
  };
  for (const double fps : {20.0, 29.97, 60.0}) {
    DriveParams params = at_fps(fps);
    params.mouth = params.head = params.blink = 2;
    for (const Face& face : faces(params, 3000, script)) {
      for (const float w : face.weight) CHECK(w >= 0 && w <= 1);  // false for NaN
      CHECK(face.voice >= 0 && face.voice <= 1);
      for (const float r : face.head_pose) CHECK(std::fabs(r) <= 0.28f);
      CHECK(face.weight[arkit::mouthClose] <= face.weight[arkit::jawOpen]);
    }
  }
}

struct Blinks {
  int count = 0;
  double shortest_gap_s = 1e9, longest_gap_s = 0, most_open_peak = 1;
};

Blinks blinks(const std::vector<Face>& all, double fps) {
  Blinks found;
  double last = -1, peak = 0;
  for (size_t k = 0; k < all.size(); ++k) {
    const double lid = static_cast<double>(all[k].weight[arkit::eyeBlinkLeft]), t = static_cast<double>(k) / fps;
    CHECK(all[k].weight[arkit::eyeBlinkLeft] == all[k].weight[arkit::eyeBlinkRight]);
    if (lid > 0.3) {
      if (peak == 0) {
        if (last >= 0) {
          found.shortest_gap_s = std::min(found.shortest_gap_s, t - last);
          found.longest_gap_s = std::max(found.longest_gap_s, t - last);
        }
        last = t;
        ++found.count;
      }
      peak = std::max(peak, lid);
    } else {
      if (peak > 0) found.most_open_peak = std::min(found.most_open_peak, peak);
      peak = 0;
    }
  }
  return found;
}

void eyes_blink() {
  constexpr int64_t kTenMinutes = 10 * 60 * ts::kStepHz;
  for (const uint64_t seed : {0, 1, 2}) {
    DriveParams params;
    params.seed = seed;
    const Blinks still = blinks(faces(params, kTenMinutes, [](int64_t) { return noise(); }), 25);
    CHECK_MESSAGE(still.count >= 130 && still.count <= 240, std::to_string(still.count) + " blinks in ten minutes");
    CHECK(still.longest_gap_s < 7);
    CHECK(still.shortest_gap_s > 0.3);
    CHECK(still.most_open_peak > 0.99);  // no frame rate from 25 on misses the shut eye
    // Who ends phrases blinks there.
    const Script phrases = [](int64_t j) { return j % 150 < 100 ? syllables(j) : noise(); };
    const std::vector<Face> talk = faces(params, kTenMinutes, phrases);
    CHECK(blinks(talk, 25).count > still.count);
    int near_end = 0;
    for (size_t k = 1; k < talk.size(); ++k) {
      const bool begins = talk[k].weight[arkit::eyeBlinkLeft] > 0.3f && talk[k - 1].weight[arkit::eyeBlinkLeft] <= 0.3f;
      near_end += begins && k % 75 >= 50 && k % 75 < 62;  // within half a second, a sixth of the time
    }
    CHECK_MESSAGE(near_end > blinks(talk, 25).count / 3, std::to_string(near_end) + " blinks at ends of phrases");
    params.blink = 2;
    const int twice = blinks(faces(params, kTenMinutes, [](int64_t) { return noise(); }), 25).count;
    CHECK_MESSAGE(twice > 1.6 * still.count && twice < 2.4 * still.count, std::to_string(twice) + " blinks, not twice");
    params.blink = 0;
    for (const Face& face : faces(params, 3000, syllables)) {
      for (int w = arkit::eyeBlinkLeft; w <= arkit::eyeWideRight; ++w) CHECK(face.weight[w] == 0);
    }
  }
}

void head_moves_within_bounds() {
  for (const uint64_t seed : {0, 1, 2, 3}) {
    DriveParams params = at_fps(60);
    params.seed = seed;
    const Script scripts[] = {[](int64_t) { return noise(); }, syllables};
    constexpr float kFarthest[2][3] = {{0.020f, 0.045f, 0.012f}, {0.120f, 0.050f, 0.050f}};
    double spread[2] = {0, 0};
    for (int talking = 0; talking < 2; ++talking) {
      const std::vector<Face> all = faces(params, 120 * ts::kStepHz, scripts[talking]);
      double sum[3] = {};
      for (size_t k = 0; k < all.size(); ++k) {
        const float* pose = all[k].head_pose;
        for (int axis = 0; axis < 3; ++axis) CHECK(std::fabs(pose[axis]) < kFarthest[talking][axis]);
        spread[talking] += pose[0] * pose[0] + pose[2] * pose[2];
        for (int axis = 0; axis < 3; ++axis) {
          sum[axis] += pose[axis];
          if (k == 0) CHECK(std::fabs(pose[axis]) < 0.002f);
          // rad/s, and rad/s^2: a head has mass.
          if (k > 0) CHECK(std::fabs(pose[axis] - all[k - 1].head_pose[axis]) * 60 < (talking ? 0.6f : 0.2f));
          if (k > 1) {
            const float bend = pose[axis] - 2 * all[k - 1].head_pose[axis] + all[k - 2].head_pose[axis];
            CHECK(std::fabs(bend) * 3600 < (talking ? 12 : 1));
          }
        }
      }
      for (const double s : sum) CHECK(std::fabs(s) / static_cast<double>(all.size()) < 0.01);  // no drift
      // Never frozen: within any two seconds something of the head has moved.
      for (size_t k = 120; k < all.size(); k += 30) {
        double moved = 0;
        for (size_t i = k - 119; i <= k; ++i) {
          for (int axis = 0; axis < 3; ++axis) {
            moved = std::max(moved, std::fabs(double{all[i].head_pose[axis]} - double{all[k - 120].head_pose[axis]}));
          }
        }
        CHECK(moved > 0.001);
      }
    }
    CHECK(spread[1] > 4 * spread[0]);  // livelier while speaking
    params.head = 0;
    for (const Face& face : faces(params, 1000, syllables)) {
      for (const float r : face.head_pose) CHECK(r == 0);
    }
  }
}

void brows_rise_with_speech_only() {
  float still = 0, talking = 0;
  for (const Face& face : faces({}, 3000, [](int64_t) { return noise(); })) {
    still = std::max(still, face.weight[arkit::browInnerUp]);
  }
  for (const Face& face : faces({}, 3000, syllables)) talking = std::max(talking, face.weight[arkit::browInnerUp]);
  CHECK(still == 0);
  CHECK(talking > 0.1f && talking < 0.31f);
}

void mouth_amount_scales() {
  DriveParams params;
  const std::vector<Face> usual = faces(params, 500, syllables);
  params.mouth = 0.5f;
  const std::vector<Face> half = faces(params, 500, syllables);
  params.mouth = 0;
  const std::vector<Face> none = faces(params, 500, syllables);
  for (size_t k = 0; k < usual.size(); ++k) {
    CHECK(mouth_rests(none[k]));
    CHECK(std::fabs(half[k].weight[arkit::jawOpen] - usual[k].weight[arkit::jawOpen] / 2) < 1e-6f);
    CHECK(half[k].weight[arkit::eyeBlinkLeft] == usual[k].weight[arkit::eyeBlinkLeft]);
  }
}

bool same(const std::vector<Face>& a, const std::vector<Face>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Face)) == 0);
}

// Life is a function of time: faces at 25 fps are every second face at 50.
void rate_changes_lips_only() {
  const std::vector<Face> slow = faces(at_fps(25), 3000, syllables), fast = faces(at_fps(50), 3000, syllables);
  CHECK(slow.size() > 1400);
  for (size_t k = 0; k < slow.size(); ++k) {
    CHECK(std::memcmp(slow[k].head_pose, fast[2 * k].head_pose, sizeof(Face::head_pose)) == 0);
    for (int w = 0; w <= arkit::eyeWideRight; ++w) CHECK(slow[k].weight[w] == fast[2 * k].weight[w]);
    CHECK(slow[k].weight[arkit::browInnerUp] == fast[2 * k].weight[arkit::browInnerUp]);
    CHECK(slow[k].voice == fast[2 * k].voice);
  }
}

void frames_come_when_promised() {
  for (const double fps : kRates) {
    Drive drive(at_fps(fps));
    int64_t k = 0;
    for (int64_t j = 0; j < 700; ++j) {
      drive.push(syllables(j).channel);
      int64_t promised = 0;
      while (std::floor(static_cast<double>(k + promised) * ts::kStepHz / fps) + 1 <= static_cast<double>(j))
        ++promised;
      Face face;
      int64_t step = -1;
      float mix = -1;
      for (; promised > 0; --promised, ++k) {
        CHECK(drive.pop(&face, &step, &mix));
        const double position = static_cast<double>(k) * ts::kStepHz / fps;
        CHECK(step == static_cast<int64_t>(position));
        CHECK(std::fabs(static_cast<double>(step) + static_cast<double>(mix) - position) < 1e-4);
      }
      CHECK(!drive.pop(&face, &step, &mix));
    }
  }
}

void order_of_calls_changes_nothing() {
  DriveParams params = at_fps(30);
  params.seed = 5;
  const std::vector<Face> expected = faces(params, 1000, syllables);
  Drive drive(params);
  for (int round = 0; round < 2; ++round) {  // and reset() begins anew
    std::vector<Face> out;
    Face face;
    int64_t step;
    float mix;
    for (int64_t j = 0; j < 1000; ++j) {
      drive.push(syllables(j).channel);
      if (j % 53 == 52 || j == 999) {  // as many as may wait
        while (drive.pop(&face, &step, &mix)) out.push_back(face);
      }
    }
    CHECK(same(out, expected));
    drive.reset();
    CHECK(!drive.pop(&face, &step, &mix));
  }
  params.seed = 6;
  CHECK(!same(faces(params, 1000, syllables), expected));
}

void names_are_in_apples_order() {
  CHECK(std::string(ts::kArkitNames[0]) == "eyeBlinkLeft");
  CHECK(std::string(ts::kArkitNames[17]) == "jawOpen");
  CHECK(std::string(ts::kArkitNames[51]) == "tongueOut");
  CHECK(std::string(ts::kVoiceChannelNames[ts::kVoice]) == "voice");
}

}  // namespace

int main() {
  closures_survive_every_rate();
  silence_rests();
  clicks_are_not_held();
  doubt_does_not_flicker();
  hostile_steps_stay_in_bounds();
  eyes_blink();
  head_moves_within_bounds();
  brows_rise_with_speech_only();
  mouth_amount_scales();
  rate_changes_lips_only();
  frames_come_when_promised();
  order_of_calls_changes_nothing();
  names_are_in_apples_order();
  return ts_test::report("drive");
}
