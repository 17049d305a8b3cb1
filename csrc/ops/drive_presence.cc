// SPDX-License-Identifier: Apache-2.0
// attitude — see drive_presence.h.
#include "ops/drive_presence.h"

#include <algorithm>
#include <cmath>

namespace ts {
namespace {

// Time constants of Eased: the head is there in 0.5 s, moods and attention in 0.4 s, amounts in 0.3 s.
constexpr double kPoseS = 0.08, kMoodS = 0.064, kAmountS = 0.048;
constexpr double kSpeechS = 0.05;  // smiles make way for speech

// Somebody who listens looks at the speaker most of the time (Argyle and Cook 1976: about 75 %, and 40 % while
// speaking), nods every few seconds, once or twice, and tilts the head a little to the side and forward.
constexpr double kListenAttention = 0.75;
constexpr double kNodEveryS[2] = {2.5, 6.0}, kDoubleNodChance = 0.4;
constexpr double kNod[2] = {0.030, 0.055}, kNodS[3] = {0.28, 0.04, 0.46};
constexpr double kQuickNod[2] = {0.022, 0.040}, kQuickNodS[3] = {0.20, 0.02, 0.28}, kSecondNod = 0.6;
constexpr double kListenPose[3] = {0.025, 0.0, 0.035};  // of roll: to the one or the other side

// When a mood's shape is there: always; fainter while somebody speaks; in silence only, because it opens the mouth, parts
// the lips or presses them.
enum class When { kAlways, kFainter, kInSilence };
constexpr double kFaint = 0.4;
// Half a mood is to be seen, and the rest of it adds less: 0.5 shows 0.65 of its shapes.
constexpr double kFirstPart = 1.6;

struct Shape {
  arkit::Weight weight;
  double amount;
  When when;
};
#define TS_BOTH(name, amount, when) \
  {arkit::name##Left, amount, When::when}, { arkit::name##Right, amount, When::when }
#define TS_ONE(name, amount, when) {arkit::name, amount, When::when}

// The action units of EMFACS' prototypes (Ekman and Friesen 1978; Friesen and Ekman 1983; as in Lucey et al. 2010, table
// 1), in the ARKit shapes that stand for each (Apple's ARFaceAnchor.BlendShapeLocation), their amounts by eye.
constexpr Shape kHappyShapes[] = {// AU6 cheek raiser, AU12 lip corner puller
                                  TS_BOTH(cheekSquint, 0.80, kAlways), TS_BOTH(eyeSquint, 0.35, kAlways),
                                  TS_BOTH(mouthSmile, 0.90, kFainter), TS_BOTH(mouthDimple, 0.20, kFainter)};
constexpr Shape kSadShapes[] = {
    // AU1 inner brow raiser, AU4 brow lowerer, AU15 lip corner depressor, and AU17 chin raiser
    TS_ONE(browInnerUp, 1.00, kAlways), TS_BOTH(browDown, 0.20, kAlways), TS_BOTH(eyeSquint, 0.30, kAlways),
    TS_BOTH(mouthFrown, 0.90, kFainter), TS_ONE(mouthShrugLower, 0.40, kInSilence)};
constexpr Shape kAngryShapes[] = {// AU4 brow lowerer, AU5 upper lid raiser, AU7 lid tightener, AU23 lip tightener
                                  TS_BOTH(browDown, 1.00, kAlways),         TS_BOTH(eyeWide, 0.15, kAlways),
                                  TS_BOTH(eyeSquint, 0.60, kAlways),        TS_BOTH(noseSneer, 0.45, kAlways),
                                  TS_BOTH(mouthFrown, 0.55, kFainter),      TS_BOTH(mouthPress, 0.55, kInSilence),
                                  TS_ONE(mouthRollLower, 0.20, kInSilence), TS_ONE(mouthRollUpper, 0.15, kInSilence)};
constexpr Shape kSurprisedShapes[] = {// AU1 and AU2 brow raisers, AU5 upper lid raiser, AU26 jaw drop
                                      TS_ONE(browInnerUp, 0.90, kAlways), TS_BOTH(browOuterUp, 1.00, kAlways),
                                      TS_BOTH(eyeWide, 0.85, kAlways), TS_ONE(jawOpen, 0.28, kInSilence),
                                      TS_ONE(mouthFunnel, 0.15, kInSilence)};
constexpr Shape kAfraidShapes[] = {
    // AU1 and AU2 brow raisers, AU4 brow lowerer, AU5 upper lid raiser, AU20 lip stretcher
    TS_ONE(browInnerUp, 1.00, kAlways),       TS_BOTH(browOuterUp, 0.20, kAlways),
    TS_BOTH(browDown, 0.30, kAlways),         TS_BOTH(eyeWide, 1.00, kAlways),
    TS_BOTH(mouthStretch, 0.75, kFainter),    TS_BOTH(mouthFrown, 0.30, kFainter),
    TS_BOTH(mouthLowerDown, 0.20, kInSilence)};
constexpr Shape kDisgustedShapes[] = {
    // AU9 nose wrinkler, AU10 upper lip raiser, AU15 lip corner depressor, and AU4, which AU9 brings with it
    TS_BOTH(noseSneer, 1.00, kAlways),   TS_BOTH(browDown, 0.70, kAlways),    TS_BOTH(eyeSquint, 0.60, kAlways),
    TS_BOTH(cheekSquint, 0.50, kAlways), TS_BOTH(mouthFrown, 0.55, kFainter), TS_BOTH(mouthUpperUp, 0.50, kInSilence)};
constexpr Shape kListeningShapes[] = {TS_ONE(browInnerUp, 0.14, kAlways), TS_BOTH(browOuterUp, 0.10, kAlways),
                                      TS_BOTH(mouthSmile, 0.08, kFainter)};
#undef TS_BOTH
#undef TS_ONE

struct Shapes {
  const Shape *begin, *end;
};
template <int n>
constexpr Shapes all(const Shape (&shapes)[n]) {
  return {shapes, shapes + n};
}
constexpr Shapes kMoods[kEmotions] = {all(kHappyShapes),     all(kSadShapes),    all(kAngryShapes),
                                      all(kSurprisedShapes), all(kAfraidShapes), all(kDisgustedShapes)};

double within(double x, double low, double high, double otherwise) {
  return std::isfinite(x) ? std::clamp(x, low, high) : otherwise;
}

// How surely the lips of a face are to be together, as drive says it: the jaw is open and they close it, or they press.
double seals(const Face& face) {
  constexpr double kPressed = 0.25, kLeastJaw = 0.05;
  const auto weight = [&face](arkit::Weight w) { return static_cast<double>(face.weight[w]); };
  const double closed = weight(arkit::mouthClose) / std::max(weight(arkit::jawOpen), kLeastJaw);
  const double pressed = std::max(weight(arkit::mouthPressLeft), weight(arkit::mouthPressRight)) / kPressed;
  return std::min(std::max(closed, pressed), 1.0);
}

}  // namespace

Attitude::Attitude(uint64_t seed) : nod_random_(seed, kNodStream) {
  tilt_ = nod_random_.uniform() < 0.5 ? -1 : 1;
  next_nod_ = nod_random_.between(kNodEveryS[0], kNodEveryS[1]);
}

void Attitude::set(const Presence& presence) {
  const Presence before = presence_, usual;
  presence_ = presence;
  for (double& place : presence_.gaze) place = within(place, -1, 1, 0);
  for (double& angle : presence_.head_pose) angle = within(angle, -1, 1, 0);
  presence_.head = within(presence.head, 0, 2, usual.head);
  presence_.blink = within(presence.blink, 0, 2, usual.blink);
  presence_.listening = within(presence.listening, 0, 1, 0);
  double sum = 0;
  for (double& emotion : presence_.emotion) sum += emotion = within(emotion, 0, 1, 0);
  for (double& emotion : presence_.emotion) emotion /= std::max(sum, 1.0);
  if (!presence_.look) presence_.gaze[0] = presence_.gaze[1] = 0;
  turned_ |= presence_.look != before.look || !std::equal(before.gaze, before.gaze + 2, presence_.gaze);
}

bool Attitude::step(double now, double open) {
  for (int axis = 0; axis < 3; ++axis) pose_[axis].step(presence_.head_pose[axis], kPoseS);
  head_.step(presence_.head, kAmountS);
  blink_.step(presence_.blink, kAmountS);
  listening_.step(presence_.listening, kMoodS);
  for (int i = 0; i < kEmotions; ++i) emotion_[i].step(presence_.emotion[i], kMoodS);
  speech_.step(open, kSpeechS);
  open_[0] = open_[1];
  open_[1] = open;
  plan_nod(now);
  const bool turned = turned_;
  turned_ = false;
  return turned;
}

// Nods are planned whether or not anybody listens, so that they come when the seed says.
void Attitude::plan_nod(double now) {
  if (next_nod_ >= now + kStepS) return;
  const bool twice = nod_random_.uniform() < kDoubleNodChance;
  const double size = nod_random_.uniform();
  const double* s = twice ? kQuickNodS : kNodS;
  const double amount = twice ? lerp(kQuickNod[0], kQuickNod[1], size) : lerp(kNod[0], kNod[1], size);
  nodding_[0] = {next_nod_, s[0], s[1], s[2], amount};
  nodding_[1] = {next_nod_ + s[0] + s[1] + s[2], s[0], s[1], s[2], twice ? kSecondNod * amount : 0};
  next_nod_ += nod_random_.between(kNodEveryS[0], kNodEveryS[1]);
}

double Attitude::attention(double share) const { return presence_.look ? 1 : kListenAttention * listening_.at(share); }

void Attitude::attend(double time_s, double share, double pose[3]) const {
  const double listening = listening_.at(share);
  const double nod = (nodding_[0].at(time_s) + nodding_[1].at(time_s)) * (1 - speech_.at(share));
  pose[0] += listening * (kListenPose[0] + nod);
  pose[1] += listening * kListenPose[1];
  pose[2] += listening * kListenPose[2] * tilt_;
}

void Attitude::turn(double share, double pose[3]) const {
  for (int axis = 0; axis < 3; ++axis) {
    const double angle = pose_[axis].at(share);
    if (angle != 0) pose[axis] += angle;  // else -0 would become 0
  }
}

void Attitude::express(double share, Face* face) const {
  const double fainter = lerp(1, kFaint, speech_.at(share));
  // A gate that opens is believed at once, and lips that seal are before it does.
  const double heard = std::max(lerp(open_[0], open_[1], share), speech_.at(share));
  const double silence = (1 - heard) * (1 - seals(*face));
  double added[kArkitWeights] = {};
  const auto add = [&](const Shapes& shapes, double amount) {
    for (const Shape* shape = shapes.begin; shape != shapes.end; ++shape) {
      const double part = shape->when == When::kAlways ? 1 : shape->when == When::kFainter ? fainter : silence;
      added[shape->weight] += amount * part * shape->amount;
    }
  };
  for (int i = 0; i < kEmotions; ++i) {
    const double mood = emotion_[i].at(share);
    add(kMoods[i], mood * lerp(kFirstPart, 1, mood));
  }
  add(all(kListeningShapes), listening_.at(share));
  // Wide eyes shut when they blink.
  added[arkit::eyeWideLeft] *= 1 - static_cast<double>(face->weight[arkit::eyeBlinkLeft]);
  added[arkit::eyeWideRight] *= 1 - static_cast<double>(face->weight[arkit::eyeBlinkRight]);
  for (int w = 0; w < kArkitWeights; ++w) {
    if (added[w] == 0) continue;
    const double value = static_cast<double>(face->weight[w]) + added[w];
    face->weight[w] = static_cast<float>(std::clamp(value, 0.0, 1.0));
  }
}

}  // namespace ts
