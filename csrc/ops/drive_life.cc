// SPDX-License-Identifier: Apache-2.0
// life — see drive_life.h. Rates and sizes are of people in conversation, from the literature where named, else chosen
// by eye at 25 fps.
#include "ops/drive_life.h"

#include <algorithm>
#include <cmath>

namespace ts {
namespace {

constexpr double kPi = 3.14159265358979323846;

// Blinks: 17 a minute at rest, 26 in conversation (Bentivoglio et al. 1997), intervals skewed to the long side. These
// are for rest; talk adds those at the ends of phrases.
constexpr double kBlinkMedianS = 3.4, kBlinkSpread = 0.35, kBlinkLeastS = 2.0, kBlinkMostS = 6.5;
constexpr double kBlinkFirstS[2] = {0.8, 2.5};
// Lids shut faster than they open (Evinger et al. 1991). Shut for 40 ms: one frame at 25 fps shows it.
constexpr double kShutS = 0.07, kShutHoldS = 0.04, kReopenS = 0.15;
constexpr double kDoubleChance = 0.12, kDoubleAfterS = 0.34;
// People blink at the end of what they say (Nakano and Kitazawa 2010).
constexpr double kPhraseBlinkChance = 0.6, kPhraseBlinkWithinS = 0.25, kPhraseBlinkGapS = 0.8;
constexpr double kBlinkSquint = 0.12;  // the cheek's part of a blink
constexpr double kLidFollow = 0.3;     // upper lids go down with the eyes

// Gaze rests on the viewer with small shifts, and goes aside and down now and then.
constexpr double kGlance[2] = {0.04, 0.03}, kGlanceHoldS[2] = {0.5, 1.6};
constexpr double kAwayChance = 0.15, kAway[2] = {0.12, 0.30}, kAwayUp = 0.05, kAwayDown = 0.15;
constexpr double kAwayHoldS[2] = {0.4, 1.0};
// 2.2 ms a degree (Bahill et al. 1975), a little slower; from one corner to another sooner than that.
constexpr double kSaccadeS = 0.03, kSaccadePerUnitS = 0.1, kSaccadeMostS = 0.08;
constexpr double kEyesPerRadian = 1.4;  // eyes stay with the viewer as the head turns; weight 1 is about 0.6 rad

// Head: pitch, yaw, roll in radians. Postures, most of them near the middle, at rest and in speech.
constexpr double kPostureIdle[3] = {0.013, 0.025, 0.008}, kPostureTalk[3] = {0.035, 0.012, 0.020};
constexpr double kMoveIdleS[2] = {0.6, 1.1}, kMoveTalkS[2] = {0.4, 0.85};
constexpr double kHoldIdleS[2] = {1.2, 3.5}, kHoldTalkS[2] = {0.05, 0.6};
static_assert(kHoldTalkS[0] > 2 * kStepS, "frames since the last step still need the move of before");
constexpr double kPostureFirstS[2] = {0.3, 1.0};
// Four waves: the two slow ones are always there, the lower of them at about the rate of breath, the others in speech.
constexpr double kWaveHz[4][2] = {{0.12, 0.22}, {0.27, 0.45}, {0.55, 0.85}, {1.0, 1.5}};
constexpr double kSway[3] = {0.004, 0.006, 0.003}, kSwayShare[2] = {0.65, 0.35}, kSwayIdle = 0.6;
constexpr double kStir[3] = {0.009, 0.004, 0.0045}, kStirShare[2] = {0.6, 0.4};
constexpr double kFarTurn = 0.02;  // eyes look anew as such a turn begins

// Accents: where the jaw opens suddenly more than it has of late, the head nods, now and then upwards, a little aslant,
// and the brows may rise. Tracked heads are fastest 0.1 s after a syllable is loudest, and go either way.
constexpr double kTalkS = 0.15, kStressFastS = 0.05, kStressSlowS = 0.6, kStressAbove = 0.05;
constexpr double kAccentGapS[2] = {0.4, 0.85};
constexpr double kNodChance = 0.85, kUpChance = 0.3, kNod[2] = {0.015, 0.040};
constexpr double kNodS[3] = {0.19, 0.03, 0.37}, kNodPace[2] = {0.65, 1.1};  // small ones are quick
constexpr double kNodYaw = 0.2, kNodRoll = 0.3;
static_assert(2 * kAccentGapS[0] > kNodPace[1] * (kNodS[0] + kNodS[1] + kNodS[2]), "no more than two nods at a time");
constexpr double kRaiseChance = 0.22, kRaise[2] = {0.10, 0.26}, kRaiseS[3] = {0.20, 0.12, 0.45};
constexpr double kOuterBrow = 0.6;  // of the inner brow

}  // namespace

Life::Life(uint64_t seed, double head, double blink, const Manner& manner)
    : head_(head),
      blink_(blink),
      manner_(manner),
      blink_random_(seed, kBlinkStream),
      gaze_random_(seed, kGazeStream),
      head_random_(seed, kHeadStream),
      accent_random_(seed, kAccentStream),
      blink_pace_(blink),
      attitude_(seed),
      breath_(seed) {
  next_blink_ = blink_random_.between(kBlinkFirstS[0], kBlinkFirstS[1]);
  next_gaze_ = gaze_random_.between(kGlanceHoldS[0], kGlanceHoldS[1]);
  next_posture_ = head_random_.between(kPostureFirstS[0], kPostureFirstS[1]);
  for (double (&hz)[4] : wave_hz_) {
    for (int i = 0; i < 4; ++i) {
      hz[i] = head_random_.between(kWaveHz[i][0], kWaveHz[i][1]);
      if (head_random_.uniform() < 0.5) hz[i] = -hz[i];
    }
  }
}

void Life::step(double open, double jaw, bool phrase_ends) {
  const double now = static_cast<double>(steps_) * kStepS;
  // Twice filtered, so that what it scales speeds up and slows down gently.
  talk_mean_ += smoothing(kTalkS) * (open - talk_mean_);
  talk_[0] = talk_[1];
  talk_[1] += smoothing(kTalkS) * (talk_mean_ - talk_[1]);
  const bool turns = attitude_.step(now, open);
  pace_blinks(now);
  plan_blink(now, phrase_ends);
  const bool far = plan_head(now);
  plan_gaze(now, turns || far);
  plan_accent(now, open, jaw);
  ++steps_;
}

// Where there are to be more of them or fewer, what is left of the wait for the next one is shorter or longer.
void Life::pace_blinks(double now) {
  const double before = blink_pace_;
  blink_pace_ = blink_ * attitude_.presence().blink;
  if (blink_pace_ == before || blink_pace_ <= 0) return;
  const double wait =
      before > 0 ? (next_blink_ - now) * before / blink_pace_ : blink_random_.between(kBlinkFirstS[0], kBlinkFirstS[1]);
  next_blink_ = std::max(now + wait, blinking_.start + kDoubleAfterS);
}

void Life::plan_blink(double now, bool phrase_ends) {
  if (blink_pace_ <= 0) return;
  if (phrase_ends) {
    const bool wanted = blink_random_.uniform() < kPhraseBlinkChance;
    const double at = now + blink_random_.between(0, kPhraseBlinkWithinS);
    if (wanted && at < next_blink_ && at > blinking_.start + kPhraseBlinkGapS) next_blink_ = at;
  }
  if (next_blink_ >= now + kStepS) return;
  blinking_ = {next_blink_, kShutS, kShutHoldS, kReopenS, 1};
  const double usual = kBlinkMedianS * std::exp(kBlinkSpread * blink_random_.normal());
  const double wait = std::clamp(usual, kBlinkLeastS, kBlinkMostS) / blink_pace_;
  const bool twice = blink_random_.uniform() < kDoubleChance && !double_next_;
  next_blink_ += twice ? kDoubleAfterS : std::max(wait, kDoubleAfterS);
  double_next_ = twice;
}

// turns: told to look somewhere else, or the head turns. A saccade that has begun ends first; frames since the last
// step still need it.
void Life::plan_gaze(double now, bool turns) {
  if (turns) next_gaze_ = now;
  if (next_gaze_ >= now + kStepS || now - kStepS < gaze_.start + gaze_.duration) return;
  next_gaze_ = std::max(next_gaze_, now);
  const bool away = gaze_random_.uniform() < kAwayChance * (1 - attitude_.attention(1)) && !away_;
  const double side = gaze_random_.about_zero(), up = gaze_random_.about_zero();
  const double far = gaze_random_.between(kAway[0], kAway[1]);
  const double height = gaze_random_.between(-kAwayDown, kAwayUp);
  const double wait = gaze_random_.uniform();
  Move move{next_gaze_, 0, {gaze_.to[0], gaze_.to[1], gaze_.to[2]}, {kGlance[0] * side, kGlance[1] * up, 0}};
  if (away) {
    move.to[0] = side < 0 ? -far : far;
    move.to[1] = height;
  } else if (const Presence& asked = attitude_.presence(); asked.look) {
    const double amount = std::min(blink_ * attitude_.blink(1), 1.0);
    for (int axis = 0; axis < 2; ++axis) move.to[axis] = asked.gaze[axis] + amount * move.to[axis];
    move.to[2] = 1;
  }
  const double way = std::hypot(move.to[0] - move.from[0], move.to[1] - move.from[1]);
  move.duration = std::min(kSaccadeS + kSaccadePerUnitS * way, kSaccadeMostS);
  const double* hold = away ? kAwayHoldS : kGlanceHoldS;
  next_gaze_ += move.duration + lerp(hold[0], hold[1], wait);
  gaze_ = move;
  away_ = away;
}

bool Life::plan_head(double now) {
  if (next_posture_ >= now + kStepS) return false;
  const double talk = talk_[1];
  Move move{next_posture_, 0, {}, {}};
  for (int axis = 0; axis < 3; ++axis) {
    move.from[axis] = posture_.to[axis];
    move.to[axis] = lerp(kPostureIdle[axis], kPostureTalk[axis], talk) * head_random_.about_zero();
  }
  const double pace = head_random_.uniform(), wait = head_random_.uniform();
  const auto within = [talk](const double (&idle)[2], const double (&talking)[2], double share) {
    return lerp(lerp(idle[0], idle[1], share), lerp(talking[0], talking[1], share), talk);
  };
  move.duration = within(kMoveIdleS, kMoveTalkS, pace);
  next_posture_ += move.duration + within(kHoldIdleS, kHoldTalkS, wait);
  posture_ = move;
  return std::hypot(move.to[0] - move.from[0], move.to[1] - move.from[1]) > kFarTurn;
}

void Life::plan_accent(double now, double open, double jaw) {
  const double force = open * jaw;
  stress_fast_ += smoothing(kStressFastS) * (force - stress_fast_);
  stress_slow_ += smoothing(kStressSlowS) * (force - stress_slow_);
  const bool stressed = stress_fast_ - stress_slow_ > kStressAbove;
  const bool begins = stressed && !stressed_ && now >= next_accent_;
  stressed_ = stressed;
  if (!begins) return;
  const bool nods = accent_random_.uniform() < kNodChance;
  const double size = accent_random_.uniform();
  const double nod = lerp(kNod[0], kNod[1], size) * (accent_random_.uniform() < kUpChance ? -1 : 1);
  const double yaw = kNodYaw * accent_random_.between(-1, 1), roll = kNodRoll * accent_random_.between(-1, 1);
  const bool raises = accent_random_.uniform() < kRaiseChance;
  const double raise = accent_random_.between(kRaise[0], kRaise[1]);
  if (nods) {
    nodding_[0] = nodding_[1];
    const double pace = lerp(kNodPace[0], kNodPace[1], size);
    nodding_[1] = {{now, pace * kNodS[0], pace * kNodS[1], pace * kNodS[2], nod}, yaw, roll};
  }
  if (raises && now - kStepS >= raising_.start + raising_.rise + raising_.hold + raising_.fall)
    raising_ = {now, kRaiseS[0], kRaiseS[1], kRaiseS[2], raise};
  next_accent_ = now + accent_random_.between(kAccentGapS[0], kAccentGapS[1]);
}

void Life::at(double time_s, double share, Face* face) const {
  const double talk = lerp(talk_[0], talk_[1], share);
  double pose[3];
  for (int axis = 0; axis < 3; ++axis) {
    double wave[4];
    for (int i = 0; i < 4; ++i) wave[i] = std::sin(2 * kPi * wave_hz_[axis][i] * time_s);
    pose[axis] = posture_.at(time_s, axis) +
                 kSway[axis] * lerp(kSwayIdle, 1, talk) * (kSwayShare[0] * wave[0] + kSwayShare[1] * wave[1]) +
                 kStir[axis] * talk * (kStirShare[0] * wave[2] + kStirShare[1] * wave[3]);
  }
  for (const Nod& nod : nodding_) {
    const double pitch = nod.pitch.at(time_s);
    pose[0] += pitch;
    pose[1] += nod.yaw * pitch;
    pose[2] += nod.roll * pitch;
  }
  for (int axis = 0; axis < 3; ++axis) pose[axis] *= manner_.share[axis];
  attitude_.attend(time_s, share, pose);
  const double moves = head_ * attitude_.head(share);
  for (double& angle : pose) angle *= moves;
  attitude_.turn(share, pose);
  for (int axis = 0; axis < 3; ++axis) face->head_pose[axis] = static_cast<float>(pose[axis]);
  face->breath = static_cast<float>(std::min(moves, 1.0) * breath_.at(time_s));

  const auto set = [face](arkit::Weight weight, double value) {
    face->weight[weight] = static_cast<float>(std::clamp(value, 0.0, 1.0));
  };
  const double raise = raising_.at(time_s);
  set(arkit::browInnerUp, raise);
  set(arkit::browOuterUpLeft, kOuterBrow * raise);
  set(arkit::browOuterUpRight, kOuterBrow * raise);

  // Both eyes look at one place. +x of head_pose is down, +y to the face's left.
  const double amount = lerp(std::min(blink_ * attitude_.blink(share), 1.0), 1.0, gaze_.at(time_s, 2));
  const double side = amount * (gaze_.at(time_s, 0) - kEyesPerRadian * pose[1]);
  const double up = amount * (gaze_.at(time_s, 1) + kEyesPerRadian * pose[0]);
  set(arkit::eyeLookOutLeft, side);
  set(arkit::eyeLookInRight, side);
  set(arkit::eyeLookInLeft, -side);
  set(arkit::eyeLookOutRight, -side);
  set(arkit::eyeLookUpLeft, up);
  set(arkit::eyeLookUpRight, up);
  set(arkit::eyeLookDownLeft, -up);
  set(arkit::eyeLookDownRight, -up);
  const double shut = blinking_.at(time_s);
  const double lid = shut + (1 - shut) * kLidFollow * std::clamp(-up, 0.0, 1.0);
  set(arkit::eyeBlinkLeft, lid);
  set(arkit::eyeBlinkRight, lid);
  set(arkit::eyeSquintLeft, kBlinkSquint * shut);
  set(arkit::eyeSquintRight, kBlinkSquint * shut);
  attitude_.express(share, face);
}

}  // namespace ts
