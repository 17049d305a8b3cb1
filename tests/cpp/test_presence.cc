// SPDX-License-Identifier: Apache-2.0
// Presence: whatever is set and whenever, nothing jumps; eyes go where they are told, sealed lips stay sealed, somebody
// who listens nods, and a face that nobody speaks to lives on.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "check.h"
#include "ops/drive.h"

using ts::Breath;
using ts::Face;
using ts::Gate;
using ts::kStepHz;
using ts::kStepS;
using ts::Life;
using ts::Presence;
namespace arkit = ts::arkit;

namespace {

using Sets = std::map<int64_t, Presence>;              // before which step
using Speech = std::function<Gate(int64_t)>;           // what the gate says at a step
using See = std::function<void(double, const Face&)>;  // a face and its time

Gate silence(int64_t) { return {}; }
Gate talk(int64_t j) {
  const int64_t at = j % 150;  // two seconds of speech and one of silence
  const double open =
      std::clamp(std::min(0.5 * static_cast<double>(at), 0.25 * static_cast<double>(104 - at)), 0.0, 1.0);
  return {open, 0.5 + 0.4 * std::sin(0.3 * static_cast<double>(j)), at == 101};
}

// Utterances that others interrupt: the gate is open and shut from one step to the next.
Gate cut_off(int64_t j) { return {j / 37 % 3 < 2 ? 1.0 : 0.0, 0.2 + 0.15 * static_cast<double>(j % 5), false}; }

// Faces of life alone, `fps` a second, over a mouth that rests.
void live(Life& life, int64_t n_steps, double fps, const Sets& sets, const Speech& speech, const See& see) {
  int64_t frame = 0;
  for (int64_t j = 0; j < n_steps; ++j) {
    if (const auto set = sets.find(j); set != sets.end()) life.set(set->second);
    const Gate gate = speech(j);
    life.step(gate.open, gate.jaw, gate.phrase_ends);
    for (;; ++frame) {
      const double position = static_cast<double>(frame) * ts::kStepHz / fps;
      if (std::floor(position) + 1 > static_cast<double>(j)) break;
      Face face{};
      life.at(static_cast<double>(frame) / fps, position - std::floor(position), &face);
      see(static_cast<double>(frame) / fps, face);
    }
  }
}

std::vector<Face> faces(uint64_t seed, int64_t n_steps, double fps, const Sets& sets, const Speech& speech = silence) {
  Life life(seed, 1, 1);
  std::vector<Face> out;
  live(life, n_steps, fps, sets, speech, [&](double, const Face& face) { out.push_back(face); });
  return out;
}

bool same(const std::vector<Face>& a, const std::vector<Face>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Face)) == 0;
}

Presence mood(ts::Emotion emotion, double amount = 1) {
  Presence presence;
  presence.emotion[emotion] = amount;
  return presence;
}

Presence looking(double side, double up) {
  Presence presence;
  presence.look = true;
  presence.gaze[0] = side, presence.gaze[1] = up;
  return presence;
}

Presence listening() {
  Presence presence;
  presence.listening = 1;
  return presence;
}

Presence anything(ts::Random& random) {
  Presence p;
  p.look = random.uniform() < 0.5;
  for (double& x : p.gaze) x = random.between(-1, 1);
  for (double& x : p.head_pose) x = random.between(-1, 1);
  p.head = random.between(0, 2), p.blink = random.uniform() < 0.2 ? 0 : random.between(0, 2);
  p.listening = random.uniform();
  for (double& x : p.emotion) x = random.uniform() < 0.5 ? 0 : random.uniform();
  return p;
}

Sets anything_anytime(uint64_t seed, int64_t n_steps) {
  ts::Random random(seed, ts::kAccentStream);
  Sets sets;
  for (int64_t j = 0; j < n_steps; j += 1 + static_cast<int64_t>(50 * random.uniform() * random.uniform())) {
    sets[j] = anything(random);
  }
  return sets;
}

double side_of(const Face& face) {
  return static_cast<double>(face.weight[arkit::eyeLookOutLeft] - face.weight[arkit::eyeLookInLeft]);
}
double up_of(const Face& face) {
  return static_cast<double>(face.weight[arkit::eyeLookUpLeft] - face.weight[arkit::eyeLookDownLeft]);
}

void the_defaults_change_nothing() {
  for (const uint64_t seed : {0, 1, 2}) {
    Sets often;
    for (int64_t j = 0; j < 3000; ++j) often[j] = {};
    CHECK(same(faces(seed, 3000, 30, often, talk), faces(seed, 3000, 30, {}, talk)));
    // What was set leaves nothing behind, but for the blinks and glances that came at other times.
    Presence all = looking(0.5, 0.5);
    all.head = 2, all.blink = 0.5, all.listening = 1;
    for (double& angle : all.head_pose) angle = 0.5;
    for (double& emotion : all.emotion) emotion = 1;
    const std::vector<Face> was = faces(seed, 3000, 30, {{20, all}, {200, {}}}, talk),
                            is = faces(seed, 3000, 30, {}, talk);
    for (size_t k = 240; k < is.size(); ++k) {  // four seconds later
      CHECK(std::memcmp(was[k].head_pose, is[k].head_pose, sizeof(Face::head_pose)) == 0);
      for (int w = arkit::jawForward; w < ts::kArkitWeights; ++w) CHECK(was[k].weight[w] == is[k].weight[w]);
    }
    CHECK(std::memcmp(was[60].head_pose, is[60].head_pose, sizeof(Face::head_pose)) != 0);
  }
}

// The most that a weight or an angle moves: within 2 ms, and from what a time was before a step to what it is after it.
struct Moved {
  static constexpr int kNumbers = ts::kArkitWeights + 3;
  double within[kNumbers] = {}, across[kNumbers] = {};
};

Moved most_moved(const Speech& speech, uint64_t seed) {
  constexpr int kParts = 10;
  constexpr int64_t kSteps = 3000;
  const Sets sets = anything_anytime(seed, kSteps);
  Life life(seed, 1, 1);
  Moved most;
  Face before{};
  for (int64_t j = 0; j < kSteps; ++j) {
    if (const auto set = sets.find(j); set != sets.end()) life.set(set->second);
    const Gate gate = speech(j);
    life.step(gate.open, gate.jaw, gate.phrase_ends);
    for (int part = 0; j > 0 && part <= kParts; ++part) {
      const double share = static_cast<double>(part) / kParts;
      Face face{};
      life.at((static_cast<double>(j - 1) + share) * kStepS, share, &face);
      for (int i = 0; (j > 1 || part > 0) && i < Moved::kNumbers; ++i) {
        const bool angle = i >= ts::kArkitWeights;
        const int axis = i - ts::kArkitWeights;
        const float moved = angle ? face.head_pose[axis] - before.head_pose[axis] : face.weight[i] - before.weight[i];
        double& worst = (part > 0 ? most.within : most.across)[i];
        worst = std::max(worst, static_cast<double>(std::fabs(moved)));
      }
      before = face;
    }
  }
  return most;
}

void nothing_jumps() {
  // How fast a mood leaves the mouth as the gate opens, in 40 ms, or is cut.
  const std::pair<Speech, double> speeches[] = {{silence, 0.012}, {talk, 0.03}, {cut_off, 0.06}};
  for (const auto& [speech, gated_within] : speeches) {
    for (const uint64_t seed : {1, 2, 3}) {
      const Moved most = most_moved(speech, seed);
      for (int i = 0; i < Moved::kNumbers; ++i) {
        const bool angle = i >= ts::kArkitWeights, eye = i <= arkit::eyeWideRight;
        const bool looks = eye && i % 7 >= arkit::eyeLookDownLeft && i % 7 <= arkit::eyeLookUpLeft;
        const bool gated = i >= arkit::jawOpen && i <= arkit::mouthUpperUpRight;
        // A saccade from one corner to the other takes 80 ms, lids shut in 70; all else takes 300 or more.
        const double within = angle ? 0.012 : looks ? 0.11 : eye ? 0.05 : gated ? gated_within : 0.012;
        const std::string what = (angle ? "angle " : ts::kArkitNames[i]) + std::string(" moves by ") +
                                 std::to_string(most.within[i]) + ", " + std::to_string(most.across[i]);
        CHECK_MESSAGE(most.within[i] <= within, what);
        CHECK_MESSAGE(most.across[i] <= 1e-6, what);
      }
    }
  }
}

// rad/s and rad/s^2, at 60 fps: of a user who moves the head by `reach` at most whenever it pleases.
void a_head_has_mass() {
  for (const double reach : {0.0, 0.25, 1.0}) {
    double fastest = 0, hardest = 0;
    for (const uint64_t seed : {4, 5}) {
      Sets sets = anything_anytime(seed, 6000);
      for (auto& [step, presence] : sets) {
        for (double& angle : presence.head_pose) angle *= reach;
      }
      const std::vector<Face> all = faces(seed, 6000, 60, sets, seed == 4 ? talk : cut_off);
      for (size_t k = 2; k < all.size(); ++k) {
        for (int axis = 0; axis < 3; ++axis) {
          const double a = static_cast<double>(all[k - 2].head_pose[axis]),
                       b = static_cast<double>(all[k - 1].head_pose[axis]),
                       c = static_cast<double>(all[k].head_pose[axis]);
          fastest = std::max(fastest, std::fabs(c - b) * 60);
          hardest = std::max(hardest, std::fabs(c - 2 * b + a) * 3600);
          CHECK(std::fabs(c) < reach + 0.35);
        }
      }
    }
    const std::string what = std::to_string(reach) + ": " + std::to_string(fastest) + ", " + std::to_string(hardest);
    CHECK_MESSAGE(fastest < 1 + 7 * reach, what);
    CHECK_MESSAGE(hardest < 20 + 75 * reach, what);
  }
}

// Where the rate of frames changes nothing.
void times_agree_at_every_rate() {
  const Sets sets = anything_anytime(7, 3000);
  const std::vector<Face> slow = faces(7, 3000, 25, sets, talk), fast = faces(7, 3000, 50, sets, talk);
  CHECK(slow.size() > 1400);
  for (size_t k = 0; k < slow.size(); ++k) CHECK(std::memcmp(&slow[k], &fast[2 * k], sizeof(Face)) == 0);
  CHECK(same(slow, faces(7, 3000, 25, sets, talk)));
  CHECK(!same(slow, faces(8, 3000, 25, sets, talk)));
}

void hostile_numbers_stay_in_bounds() {
  const double bad[] = {
      std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1e300, 1e300, 0.5, -0.0};
  Sets sets;
  for (int64_t j = 0; j < 3000; j += 9) {
    int i = static_cast<int>(j);
    const auto next = [&] { return bad[(i += 7) % 6]; };
    Presence p;
    p.look = j % 2 == 0;
    for (double& x : p.gaze) x = next();
    for (double& x : p.head_pose) x = next();
    p.head = next(), p.blink = next(), p.listening = next();
    for (double& x : p.emotion) x = next();
    sets[j] = p;
  }
  for (const Face& face : faces(0, 3000, 30, sets, talk)) {
    for (const float w : face.weight) CHECK(w >= 0 && w <= 1);  // false for NaN
    for (const float r : face.head_pose) CHECK(std::fabs(r) <= 1.35f);
  }
}

// A saccade: where it begins, how long it takes, where it ends.
void eyes_go_where_they_are_told() {
  const double targets[][2] = {{1, 0}, {-0.7, 0.5}, {0.2, -0.6}, {0, 0}, {-1, -1}};
  for (const auto& target : targets) {
    std::vector<double> durations;
    for (const uint64_t seed : {0, 1, 2, 3, 4}) {
      Life life(seed, 0, 1);
      double begins = -1, ends = -1;
      const int64_t told = 40 + 13 * static_cast<int64_t>(seed);
      Face before{};
      live(life, told + 12, 1000, {{told, looking(target[0], target[1])}}, silence,
           [&](double time_s, const Face& face) {
             const double way = std::hypot(side_of(face) - side_of(before), up_of(face) - up_of(before));
             const double since = time_s - static_cast<double>(told) * kStepS;
             if (since > 0 && since < 0.16 && way > 1e-6) {
               if (begins < 0) begins = since;
               ends = since;
             }
             before = face;
           });
      CHECK(std::fabs(side_of(before) - target[0]) < 0.041 && std::fabs(up_of(before) - target[1]) < 0.031);
      CHECK_MESSAGE(begins >= 0 && begins < 0.1, std::to_string(begins));  // once the saccade of before has ended
      CHECK_MESSAGE(ends < 0.18, std::to_string(ends));
      durations.push_back(ends - begins);
    }
    std::sort(durations.begin(), durations.end());
    const double usual = durations[durations.size() / 2];
    CHECK_MESSAGE(usual > 0.025 && usual < 0.082, std::to_string(usual));
  }
  // They stay there as the head turns, and with blinks off.
  for (const double blink : {0.0, 1.0}) {
    Presence p = looking(0.3, 0);
    p.blink = blink, p.head_pose[1] = 0.4;
    Life life(1, 0, 1);
    live(life, 1500, 25, {{0, p}}, silence, [&](double time_s, const Face& face) {
      if (time_s < 1) return;
      CHECK(std::fabs(side_of(face) - (0.3 - 1.4 * 0.4)) < 0.05 && std::fabs(up_of(face)) < 0.04);
    });
  }
  // Let go, they return to the viewer.
  const std::vector<Face> free = faces(2, 250, 25, {{0, looking(1, 0.5)}, {100, {}}});
  CHECK(side_of(free[45]) > 0.85 && side_of(free[60]) < 0.45);
}

void lids_follow_the_amount() {
  const auto count = [](const Sets& sets, double from_s, double to_s) {
    Life life(3, 1, 1);
    int blinks = 0;
    bool shut = false;
    live(life, 15000, 50, sets, silence, [&](double time_s, const Face& face) {
      const bool now = face.weight[arkit::eyeBlinkLeft] > 0.6f;
      blinks += now && !shut && time_s >= from_s && time_s < to_s;
      shut = now;
    });
    return blinks;
  };
  Presence off, twice;
  off.blink = 0, twice.blink = 2;
  const int usual = count({}, 100, 300);
  CHECK(count({{4900, off}}, 100, 300) == 0);
  CHECK(count({{4900, off}, {10000, {}}}, 200, 203) >= 1);  // and soon again
  CHECK(count({{4900, off}, {10000, {}}}, 200, 200.7) == 0);
  const int more = count({{5000, twice}}, 100, 300);
  CHECK_MESSAGE(more > 1.6 * usual && more < 2.4 * usual, std::to_string(more) + " and " + std::to_string(usual));
}

void attention_nods_and_looks() {
  constexpr int64_t kSteps = 15000;  // five minutes
  const Speech alone = silence;
  struct Seen {
    int nods = 0, away = 0;
    double shortest_s = 1e9, longest_s = 0, brow = 0, smile = 0, tilt = 0;
  };
  const auto watch = [&](uint64_t seed, const Sets& sets, const Speech& speech) {
    Seen seen;
    Life life(seed, 1, 1);
    double last_s = -1, n = 0;
    std::vector<double> pitch;
    live(life, kSteps, 25, sets, speech, [&](double time_s, const Face& face) {
      pitch.push_back(static_cast<double>(face.head_pose[0]));
      seen.away += std::hypot(side_of(face) + 1.4 * static_cast<double>(face.head_pose[1]),
                              up_of(face) - 1.4 * static_cast<double>(face.head_pose[0])) > 0.1;
      seen.brow = std::max(seen.brow, static_cast<double>(face.weight[arkit::browInnerUp]));
      seen.smile = std::max(seen.smile, static_cast<double>(face.weight[arkit::mouthSmileLeft]));
      seen.tilt += std::fabs(static_cast<double>(face.head_pose[2]));
      n += 1;
      // A nod: down by 0.02 within 0.32 s.
      const size_t k = pitch.size();
      if (k > 8 && pitch[k - 1] - pitch[k - 9] > 0.018 && time_s - last_s > 1.1) {
        if (last_s >= 0) {
          seen.shortest_s = std::min(seen.shortest_s, time_s - last_s);
          seen.longest_s = std::max(seen.longest_s, time_s - last_s);
        }
        last_s = time_s;
        ++seen.nods;
      }
    });
    seen.tilt /= n;
    return seen;
  };
  for (const uint64_t seed : {0, 1, 2}) {
    const Seen listens = watch(seed, {{0, listening()}}, alone), waits = watch(seed, {}, alone);
    CHECK_MESSAGE(listens.nods > 50 && listens.nods < 110, std::to_string(listens.nods) + " nods in five minutes");
    CHECK_MESSAGE(listens.longest_s < 13, std::to_string(listens.longest_s));
    CHECK_MESSAGE(waits.nods < 5, std::to_string(waits.nods));
    CHECK_MESSAGE(2 * listens.away < waits.away, std::to_string(listens.away) + ", " + std::to_string(waits.away));
    CHECK(listens.brow > 0.1 && listens.brow < 0.2 && waits.brow == 0);
    CHECK(listens.smile > 0 && listens.smile < 0.1 && waits.smile == 0);
    CHECK(listens.tilt > waits.tilt + 0.015 && listens.tilt < 0.06);
    // Who speaks does not nod to it: attention adds its pose alone.
    const Speech speaking = [](int64_t) { return Gate{1, 0.3, false}; };
    const std::vector<Face> told = faces(seed, kSteps, 25, {{0, listening()}}, speaking),
                            usual = faces(seed, kSteps, 25, {}, speaking);
    for (size_t k = 100; k < told.size(); ++k) {
      const float added = told[k].head_pose[0] - usual[k].head_pose[0];
      CHECK_MESSAGE(std::fabs(added - 0.025f) < 1e-3f, std::to_string(added));
    }
  }
}

void moods_leave_speech_its_mouth() {
  // Phrases that begin with a p, and have one later: before the gate opens, as it opens, and after.
  const auto said = [](int64_t j, float* channel) {
    const int64_t at = j % 100;
    std::fill_n(channel, ts::kVoiceChannels, 0.3f);
    channel[ts::kJawOpen] = 0.6f;
    channel[ts::kMouthPress] = 0.02f;
    channel[ts::kVoice] = at >= 20 && at < 80 ? 0.95f : 0.02f;
    channel[ts::kClosure] = (at >= 18 && at < 26) || (at >= 50 && at < 54) ? 0.9f : 0.02f;
  };
  for (const double fps : {25.0, 30.0, 50.0, 60.0}) {
    for (int emotion = 0; emotion < ts::kEmotions; ++emotion) {
      ts::DriveParams params;
      params.fps = fps;
      ts::Lips lips(params);
      Life life(0, 1, 1);
      life.set(mood(static_cast<ts::Emotion>(emotion)));
      int64_t lived = 0, frame = 0, sealed = 0, silent = 0;
      double jaw_in_silence = 0, shown = 0;
      for (int64_t j = 0; j < 1000; ++j) {
        float channel[ts::kVoiceChannels];
        said(j, channel);
        lips.push(channel);
        Face spoken;
        int64_t step;
        float share;
        for (; lips.pop(&spoken, &step, &share); ++frame) {
          for (; lived < lips.taken(); ++lived) {
            const Gate& gate = lips.gate(lived);
            life.step(gate.open, gate.jaw, gate.phrase_ends);
          }
          Face face = spoken;
          life.at(static_cast<double>(frame) / fps, static_cast<double>(share), &face);
          const auto more = [&](arkit::Weight w) { return static_cast<double>(face.weight[w] - spoken.weight[w]); };
          const double jaw = more(arkit::jawOpen), lower = more(arkit::mouthLowerDownLeft),
                       upper = more(arkit::mouthUpperUpLeft), funnel = more(arkit::mouthFunnel);
          const double open = std::min(lips.gate(step).open, lips.gate(step + 1).open);
          const bool closes = static_cast<double>(spoken.weight[arkit::mouthPressLeft]) >= 0.25;
          if (closes) {
            ++sealed;
            CHECK(std::max({jaw, lower, upper, funnel}) <= 1e-6);
          }
          if (open == 1) {
            CHECK(std::max({jaw, lower, upper, funnel}) <= 1e-6);
            CHECK(more(arkit::mouthPressLeft) <= 1e-6);
          }
          CHECK(more(arkit::mouthClose) == 0);
          if (lips.gate(step).open == 0 && frame > 15) {
            ++silent;
            jaw_in_silence = std::max(jaw_in_silence, jaw);
          }
          for (int w = arkit::browDownLeft; w < ts::kArkitWeights; ++w) shown = std::max(shown, more(arkit::Weight(w)));
        }
      }
      CHECK(sealed > 20 && silent > 100);
      CHECK(emotion == ts::kSurprised ? jaw_in_silence > 0.1 && jaw_in_silence < 0.3 : jaw_in_silence == 0);
      CHECK(shown > 0.7);
    }
  }
  // Together they are one face, not six.
  Presence all;
  for (double& emotion : all.emotion) emotion = 1;
  const Face six = faces(0, 100, 50, {{0, all}}).back(),
             one = faces(0, 100, 50, {{0, mood(ts::kHappy, 1.0 / 6)}}).back();
  CHECK(std::fabs(six.weight[arkit::mouthSmileLeft] - one.weight[arkit::mouthSmileLeft]) < 1e-5f);
}

// Ten minutes in which nothing is said: something always goes on, and nothing goes away.
void a_face_that_waits_lives() {
  for (const uint64_t seed : {0, 1}) {
    for (const Presence& presence : {Presence{}, listening(), mood(ts::kSad)}) {
      Life life(seed, 1, 1);
      double last_saccade_s = 0, sum[3] = {}, n = 0;
      int saccades[2] = {0, 0};  // in the first five minutes, in the last
      float first = 0, last = 0;
      Face before{};
      live(life, 600 * ts::kStepHz, 25, {{0, presence}}, silence, [&](double time_s, const Face& face) {
        const double pitch = static_cast<double>(face.head_pose[0] - before.head_pose[0]),
                     yaw = static_cast<double>(face.head_pose[1] - before.head_pose[1]);
        const double moved =
            std::hypot(side_of(face) - side_of(before) + 1.4 * yaw, up_of(face) - up_of(before) - 1.4 * pitch);
        if (moved > 0.005 && time_s > last_saccade_s + 0.1) {
          CHECK(time_s - last_saccade_s < 6);
          last_saccade_s = time_s;
          ++saccades[time_s > 300];
        }
        for (int axis = 0; axis < 3; ++axis) {
          CHECK(std::fabs(face.head_pose[axis]) < 0.16f);
          sum[axis] += static_cast<double>(face.head_pose[axis]);
        }
        const float brow = face.weight[arkit::browInnerUp];
        (time_s < 300 ? first : last) = std::max(time_s < 300 ? first : last, brow);
        n += 1;
        before = face;
      });
      CHECK_MESSAGE(
          saccades[0] > 120 && saccades[1] > 120,
          std::to_string(saccades[0]) + ", " + std::to_string(saccades[1]) + " saccades in five minutes each");
      for (const double s : sum) CHECK(std::fabs(s / n) < (presence.listening > 0 ? 0.045 : 0.006));
      CHECK(first == last);  // moods do not creep
    }
  }
}

void breath_is_of_time_alone() {
  const auto seen = [](const Life& life, double time_s) {
    Face face{};
    life.at(time_s, 1, &face);
    return static_cast<double>(face.breath);
  };
  const Breath breath(5);
  Life life(5, 1, 0), other(6, 1, 0);
  const double at_7 = seen(life, 7), at_90000 = seen(life, 90000);
  for (int64_t j = 0; j < 100; ++j) {
    life.set(listening());
    life.step(1, 1, true);
  }
  CHECK(seen(life, 7) == at_7 && seen(life, 90000) == at_90000 && seen(other, 7) != at_7);
  double low = 1, high = 0, steepest = 0;
  for (double t = 0; t < 600; t += 0.02) {
    low = std::min(low, breath.at(t)), high = std::max(high, breath.at(t));
    steepest = std::max(steepest, std::fabs(breath.at(t + 0.02) - breath.at(t)));
  }
  CHECK(low >= 0 && low < 0.01 && high > 0.95 && high <= 1 && steepest < 0.04);
}

// The more the head moves, up to a whole breath; not at all where it is still.
void breath_has_the_amount_of_the_head() {
  const double whole = Breath(5).at(9);
  for (const double amount : {0.0, 0.5, 1.0, 2.0}) {
    Life made(5, amount, 1), told(5, 1, 1);
    Presence presence;
    presence.head = amount;
    told.set(presence);
    for (int64_t j = 0; j <= 10 * kStepHz; ++j) made.step(0, 0, false), told.step(0, 0, false);
    Face one{}, other{};
    made.at(9, 1, &one), told.at(9, 1, &other);
    CHECK(one.breath == static_cast<float>(std::min(amount, 1.0) * whole));
    CHECK(std::fabs(other.breath - one.breath) < 1e-6f);
  }
}

}  // namespace

int main() {
  the_defaults_change_nothing();
  nothing_jumps();
  a_head_has_mass();
  times_agree_at_every_rate();
  hostile_numbers_stay_in_bounds();
  eyes_go_where_they_are_told();
  lids_follow_the_amount();
  attention_nods_and_looks();
  moods_leave_speech_its_mouth();
  a_face_that_waits_lives();
  breath_is_of_time_alone();
  breath_has_the_amount_of_the_head();
  return ts_test::report("presence");
}
