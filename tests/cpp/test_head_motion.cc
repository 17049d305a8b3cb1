// SPDX-License-Identifier: Apache-2.0
// Heads that talk: nods where syllables are stressed and only there, eyes that stay where they look, the amount.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "check.h"
#include "ops/drive_life.h"
#include "ops/drive_lips.h"

using ts::Face;
using ts::Gate;
using ts::kStepS;
using ts::Life;
namespace arkit = ts::arkit;

namespace {

using Speech = std::function<Gate(int64_t)>;
constexpr int64_t kSteps = 3000, kFirst = 100, kEvery = 70;  // a stress every 1.4 s, longer than what it may start

// Somebody speaks all the time, in one tone.
Gate even(int64_t j) { return {std::min(0.5 * static_cast<double>(j), 1.0), 0.25, false}; }
bool stressed(int64_t j) { return j >= kFirst && (j - kFirst) % kEvery < 9; }
Gate syllables(int64_t j) { return {even(j).open, stressed(j) ? 0.65 : 0.25, false}; }
// What a voice may say of a room in which nobody speaks.
Gate shut(int64_t j) { return {0, syllables(j).jaw, false}; }

// Life's face at every step but the last.
std::vector<Face> faces(uint64_t seed, const Speech& speech, double head = 1) {
  Life life(seed, head, 1);
  std::vector<Face> out;
  for (int64_t j = 0; j < kSteps; ++j) {
    const Gate gate = speech(j);
    life.step(gate.open, gate.jaw, gate.phrase_ends);
    if (j == 0) continue;
    Face face{};
    life.at(static_cast<double>(j - 1) * kStepS, 0, &face);
    out.push_back(face);
  }
  return out;
}

// Postures and waves are the seed's: what stress adds is the difference from speech without.
void heads_nod_at_stress_alone() {
  int stresses = 0, nods = 0, upward = 0, raises = 0;
  for (const uint64_t seed : {0, 1, 2, 3}) {
    const std::vector<Face> with = faces(seed, syllables), without = faces(seed, even);
    for (int64_t first = kFirst; first + kEvery < kSteps; first += kEvery) {
      double most = 0, brow = 0, yaw = 0, roll = 0;
      for (int64_t j = first; j < first + kEvery; ++j) {
        const auto k = static_cast<size_t>(j);
        const auto added = [&](int axis) {
          return static_cast<double>(with[k].head_pose[axis] - without[k].head_pose[axis]);
        };
        const int64_t since = j - first;
        // It begins within 80 ms, and is over 0.75 s later.
        if (since < 1 || since > 42) CHECK(std::fabs(added(0)) < 1e-6);
        if (std::fabs(added(0)) > std::fabs(most)) most = added(0);
        yaw = std::max(yaw, std::fabs(added(1))), roll = std::max(roll, std::fabs(added(2)));
        brow = std::max(brow, static_cast<double>(with[k].weight[arkit::browInnerUp]));
        CHECK(without[k].weight[arkit::browInnerUp] == 0);
      }
      ++stresses;
      nods += most != 0;
      upward += most < 0;
      raises += brow > 0;
      CHECK_MESSAGE(most == 0 || (std::fabs(most) > 0.0145 && std::fabs(most) < 0.0405), std::to_string(most));
      CHECK(yaw <= 0.2 * std::fabs(most) + 1e-6 && roll <= 0.3 * std::fabs(most) + 1e-6);
      CHECK(brow == 0 || (brow > 0.09 && brow < 0.27));
    }
  }
  const std::string seen = std::to_string(nods) + " nods, " + std::to_string(upward) + " upward, " +
                           std::to_string(raises) + " raised brows at " + std::to_string(stresses) + " stresses";
  CHECK_MESSAGE(nods > 0.75 * stresses && nods < 0.95 * stresses, seen);
  CHECK_MESSAGE(upward > 0.15 * nods && upward < 0.45 * nods, seen);
  CHECK_MESSAGE(raises > 0.1 * stresses && raises < 0.35 * stresses, seen);
}

void nobody_nods_in_silence() {
  const Speech silence = [](int64_t) { return Gate(); };
  for (const uint64_t seed : {0, 1, 2}) {
    const std::vector<Face> quiet = faces(seed, silence), room = faces(seed, shut);
    CHECK(std::memcmp(quiet.data(), room.data(), quiet.size() * sizeof(Face)) == 0);
  }
}

void amount_scales_all_of_it() {
  const std::vector<Face> usual = faces(3, syllables), half = faces(3, syllables, 0.5), none = faces(3, syllables, 0);
  for (size_t k = 0; k < usual.size(); ++k) {
    for (int axis = 0; axis < 3; ++axis) {
      CHECK(std::fabs(half[k].head_pose[axis] - 0.5f * usual[k].head_pose[axis]) < 1e-7f);
      CHECK(none[k].head_pose[axis] == 0);
    }
    CHECK(none[k].weight[arkit::browInnerUp] == usual[k].weight[arkit::browInnerUp]);
  }
}

// Eyes turn back as the head turns: with the head's part taken out they are where they are on a head that is still.
void eyes_stay_where_they_look() {
  constexpr float kEyesPerRadian = 1.4f;
  const std::vector<Face> moving = faces(4, syllables), still = faces(4, syllables, 0);
  const auto side = [](const Face& f) { return f.weight[arkit::eyeLookOutLeft] - f.weight[arkit::eyeLookInLeft]; };
  const auto up = [](const Face& f) { return f.weight[arkit::eyeLookUpLeft] - f.weight[arkit::eyeLookDownLeft]; };
  float most = 0;
  for (size_t k = 0; k < moving.size(); ++k) {
    const Face& face = moving[k];
    CHECK(std::fabs(side(face) + kEyesPerRadian * face.head_pose[1] - side(still[k])) < 1e-6f);
    CHECK(std::fabs(up(face) - kEyesPerRadian * face.head_pose[0] - up(still[k])) < 1e-6f);
    most = std::max(most, std::fabs(up(face) - up(still[k])));
  }
  CHECK(most > 0.05f);
}

}  // namespace

int main() {
  heads_nod_at_stress_alone();
  nobody_nods_in_silence();
  amount_scales_all_of_it();
  eyes_stay_where_they_look();
  return ts_test::report("head_motion");
}
