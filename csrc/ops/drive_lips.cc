// SPDX-License-Identifier: Apache-2.0
// lips — see drive_lips.h.
// Maths    a frame lies a `share` of the way from step j to j + 1. Shapes: the steps j - 1, j, j + 1 weighted
//          (1 - share) / 4, (1 - share) / 2 and the rest, whose middle is the frame's own time: smooth where frames and
//          steps coincide, never late, never beyond what was said. Closure is not smoothed: a frame takes the strongest
//          one near it.
// Cost     O(1) a step and a frame; about 200 operations
// Order    doubles inside, one thread; the same on one machine however steps and frames are interleaved
// Edges    before the first step: rest. Silence for kHoldSteps + kReleaseSteps: every weight of the mouth is 0
#include "ops/drive_lips.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace ts {
namespace {

// The gate: who speaks is heard above kVoiceOn until below kVoiceOff. It opens in 40 ms, a step ahead of the voice
// (late gates fit tracked faces worse), and is shut 160 ms after the last voice: longer than the hold of a p, t or k.
// Below kNobody it is sure: tones and hum that began like a voice fall to 0.02 within 100 ms.
constexpr double kVoiceOn = 0.4, kVoiceOff = 0.2, kNobody = 0.08;
constexpr int kAttackSteps = 2, kHoldSteps = 4, kReleaseSteps = 4;
constexpr double kAttack = 1.0 / kAttackSteps, kRelease = 1.0 / kReleaseSteps;  // of the gate, a step

// Lips count as sealing from kSealFrom of the voice's closure on, and as sealed from kSealFull: recall and precision on
// held-out synthetic voices. The jaw's own curve knows p, b and m (turning it down there fits faces worse): mouthClose
// alone brings the lips together.
constexpr double kSealFrom = 0.4, kSealFull = 0.7;
constexpr double kSealedPress = 0.30, kSealedRoll = 0.22;  // as visemes of p, b and m are drawn

double unit(double x) { return std::isfinite(x) ? std::clamp(x, 0.0, 1.0) : 0.0; }

}  // namespace

const char* const kVoiceChannelNames[kVoiceChannels] = {
    "jawOpen",    "mouthFunnel",  "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthRollLower", "mouthRollUpper",
    "mouthPress", "mouthStretch", "mouthSmile",  "tongueOut",      "closure",      "voice"};

Lips::Lips(const DriveParams& params) : params_(params) {}

void Lips::reset() { *this = Lips(params_); }

void Lips::push(const float* channel) {
  assert(pushed_ - taken_ < kMaxWaiting);
  float* to = channel_[pushed_++ % kRing];
  for (int c = 0; c < kVoiceChannels; ++c) to[c] = static_cast<float>(unit(static_cast<double>(channel[c])));
}

const float* Lips::row(int64_t step) const {
  static constexpr float kRest[kVoiceChannels] = {};
  return step < 0 ? kRest : channel_[step % kRing];
}

const Gate& Lips::gate(int64_t step) const {
  assert(step >= 0 && step < taken_ && step >= taken_ - kRing);
  return gate_[step % kRing];
}

// The gate sees the next step.
void Lips::advance() {
  const float* channel = row(taken_);
  const double voice = static_cast<double>(channel[kVoice]);
  speaking_ = voice > (speaking_ ? kVoiceOff : kVoiceOn);
  quiet_steps_ = speaking_ ? 0 : quiet_steps_ + 1;
  // What was taken for a voice for a moment, a click or the beginning of a tone, is held no longer than it lasted, and
  // not at all where it is sure that nobody speaks.
  const bool moment = spoken_steps_ < 2 * kHoldSteps;
  const int hold = moment && voice < kNobody ? 0 : std::min(kHoldSteps, spoken_steps_);
  bool phrase_ends = false;
  if (speaking_) {
    spoken_steps_ = std::min(spoken_steps_ + 1, 2 * kHoldSteps);
    open_ = std::min(1.0, open_ + kAttack);
  } else if (quiet_steps_ > hold) {
    phrase_ends = quiet_steps_ == kHoldSteps + 1 && !moment;
    open_ = std::max(0.0, open_ - kRelease);
    if (open_ == 0) spoken_steps_ = quiet_steps_ = 0;
  }
  gate_[taken_++ % kRing] = {open_, static_cast<double>(channel[kJawOpen]), phrase_ends};
}

// The strongest closure within half a frame of `at`, in steps, as far as it is known: a straight line from step to step
// is highest at a step or at an end.
double Lips::sealed(double at) const {
  const int64_t known = static_cast<int64_t>(std::floor(at)) + 1;
  const double half = 0.5 * kStepHz / params_.fps;
  const double from = at - half, to = std::min(at + half, static_cast<double>(known));
  const auto closure = [this](double position) {
    const double below = std::floor(position);
    const int64_t step = static_cast<int64_t>(below);
    const double a = static_cast<double>(row(step)[kClosure]);
    // At a step itself the next one may not be there.
    return position > below ? lerp(a, static_cast<double>(row(step + 1)[kClosure]), position - below) : a;
  };
  double strongest = std::max(closure(from), closure(to));
  for (int64_t step = static_cast<int64_t>(std::ceil(from)); static_cast<double>(step) <= to; ++step) {
    strongest = std::max(strongest, static_cast<double>(row(step)[kClosure]));
  }
  return ease(std::clamp((strongest - kSealFrom) / (kSealFull - kSealFrom), 0.0, 1.0));
}

void Lips::shape_mouth(int64_t step, double share, Face* face) const {
  // Opening does not wait for the next step: while someone speaks it goes on as it has begun.
  const double open = gate_[step % kRing].open;
  const double ahead = speaking_ ? lerp(open_, std::min(1.0, open_ + kAttack), share) : 0.0;
  const double gate = ease(std::max(lerp(open, open_, share), ahead));
  const double gain = gate * static_cast<double>(params_.mouth);
  const double seal = sealed(static_cast<double>(step) + share);
  const float *before = row(step - 1), *here = row(step), *after = row(step + 1);
  const auto said = [=](VoiceChannel c) {
    const double w = (1 - share) / 4;
    return w * static_cast<double>(before[c]) + 2 * w * static_cast<double>(here[c]) +
           (1 - 3 * w) * static_cast<double>(after[c]);
  };
  const auto set = [face](arkit::Weight weight, double value) {
    face->weight[weight] = static_cast<float>(std::clamp(value, 0.0, 1.0));
  };
  const auto set_both = [&](arkit::Weight left, arkit::Weight right, double value) {
    set(left, value);
    set(right, value);
  };
  const double jaw = std::min(gain * said(kJawOpen), 1.0);
  set(arkit::jawOpen, jaw);
  set(arkit::mouthClose, seal * jaw);
  set(arkit::mouthFunnel, gain * said(kMouthFunnel) * (1 - seal));
  set(arkit::mouthPucker, gain * said(kMouthPucker));
  set_both(arkit::mouthLowerDownLeft, arkit::mouthLowerDownRight, gain * said(kMouthLowerDown) * (1 - seal));
  set_both(arkit::mouthUpperUpLeft, arkit::mouthUpperUpRight, gain * said(kMouthUpperUp) * (1 - seal));
  set_both(arkit::mouthStretchLeft, arkit::mouthStretchRight, gain * said(kMouthStretch));
  set_both(arkit::mouthSmileLeft, arkit::mouthSmileRight, gain * said(kMouthSmile));
  set(arkit::tongueOut, gain * said(kTongueOut) * (1 - seal));
  // Where the voice says lips seal, they press and roll at least so much; a strong gain does not squeeze them.
  const double squeeze = seal * gate * std::min(static_cast<double>(params_.mouth), 1.0);
  set_both(arkit::mouthPressLeft, arkit::mouthPressRight, std::max(gain * said(kMouthPress), kSealedPress * squeeze));
  set(arkit::mouthRollLower, std::max(gain * said(kMouthRollLower), kSealedRoll * squeeze));
  set(arkit::mouthRollUpper, std::max(gain * said(kMouthRollUpper), kSealedRoll * squeeze));
}

bool Lips::pop(Face* face, int64_t* step, float* share) {
  const double at = static_cast<double>(frame_) * kStepHz / params_.fps;
  const int64_t j = static_cast<int64_t>(at);
  if (j + 1 >= pushed_) return false;
  const double t = at - static_cast<double>(j);
  while (taken_ <= j + 1) advance();
  *face = {};
  shape_mouth(j, t, face);
  face->voice =
      static_cast<float>(lerp(static_cast<double>(row(j)[kVoice]), static_cast<double>(row(j + 1)[kVoice]), t));
  *step = j;
  *share = static_cast<float>(t);
  ++frame_;
  return true;
}

}  // namespace ts
