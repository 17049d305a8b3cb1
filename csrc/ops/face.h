// SPDX-License-Identifier: Apache-2.0
// A face, in the weights that ARKit rigs are moved by: what drive makes of a voice.
#pragma once

namespace ts {

constexpr int kStepHz = 50;  // of the voice's words on a face

// In ARKit's own order and spelling, as runtime/talksplat/arkit.py.
// clang-format off: it would put each name further to the right
#define TS_ARKIT_WEIGHTS(X) \
  X(eyeBlinkLeft) X(eyeLookDownLeft) X(eyeLookInLeft) X(eyeLookOutLeft) X(eyeLookUpLeft) X(eyeSquintLeft) \
  X(eyeWideLeft) X(eyeBlinkRight) X(eyeLookDownRight) X(eyeLookInRight) X(eyeLookOutRight) X(eyeLookUpRight) \
  X(eyeSquintRight) X(eyeWideRight) X(jawForward) X(jawLeft) X(jawRight) X(jawOpen) X(mouthClose) \
  X(mouthFunnel) X(mouthPucker) X(mouthLeft) X(mouthRight) X(mouthSmileLeft) X(mouthSmileRight) \
  X(mouthFrownLeft) X(mouthFrownRight) X(mouthDimpleLeft) X(mouthDimpleRight) X(mouthStretchLeft) \
  X(mouthStretchRight) X(mouthRollLower) X(mouthRollUpper) X(mouthShrugLower) X(mouthShrugUpper) \
  X(mouthPressLeft) X(mouthPressRight) X(mouthLowerDownLeft) X(mouthLowerDownRight) X(mouthUpperUpLeft) \
  X(mouthUpperUpRight) X(browDownLeft) X(browDownRight) X(browInnerUp) X(browOuterUpLeft) X(browOuterUpRight) \
  X(cheekPuff) X(cheekSquintLeft) X(cheekSquintRight) X(noseSneerLeft) X(noseSneerRight) X(tongueOut)
// clang-format on

namespace arkit {
#define TS_ENUMERATE(name) name,
enum Weight { TS_ARKIT_WEIGHTS(TS_ENUMERATE) kCount };
#undef TS_ENUMERATE
}  // namespace arkit

constexpr int kArkitWeights = 52;
static_assert(arkit::kCount == kArkitWeights, "ARKit has 52 weights");
extern const char* const kArkitNames[kArkitWeights];

struct Face {
  float weight[kArkitWeights];  // 0..1
  float head_pose[3];           // axis-angle, radians: x to the face's left, y up, z out of the face
  float voice;                  // how surely someone speaks, 0..1
  float breath;                 // how full the lungs are, 0..1
};

// How far somebody's head moves: shares of the usual pitch, yaw and roll.
struct Manner {
  double share[3] = {1, 1, 1};
};

// From 0 to 1 without a jump of velocity; x in 0..1.
inline double ease(double x) { return x * x * (3 - 2 * x); }
// The value that lies a share of the way from a to b.
inline double lerp(double a, double b, double share) { return a + (b - a) * share; }

}  // namespace ts
