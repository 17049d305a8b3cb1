// SPDX-License-Identifier: Apache-2.0
// FLAME's expression coefficients for ARKit's lip weights, solved on an avatar's own mesh when it is loaded.
//
// FLAME's expressions are principal components: none of them is a pucker or a smile, and their meaning differs between
// releases. So every lip weight is given as what it does to the lips of an average face, in mouth widths, and the
// coefficients that move the avatar's 30 lip vertices so are found by ridge least squares. The rest of the face and
// large coefficients cost something too, so what the lips do not need does not move.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/avatar_file.h"
#include "ops/face.h"

namespace ts {

constexpr int kFlameVertices = 5023;  // of FLAME's topology; teeth may follow
constexpr int kLipRing = 15;          // vertices of a lip, from the left corner of the mouth to the right one
constexpr int kLipWeights = 22;

// Vertices that are asked to move, as ids of FLAME's topology.
extern const int kUpperLip[kLipRing], kLowerLip[kLipRing];

// Weight number `lip` of those that move lips and are not the jaw's; 0..kLipWeights-1.
arkit::Weight lip_weight(int lip);

// How 1 of that weight moves the upper ring, then the lower one, in mouth widths: linear between the
// corners and the middle of the mouth.
// vertex: [V,3] at rest, on FLAME's topology.  movement: [2*kLipRing,3] (out), finite for any finite vertex.
void lip_movement(int lip, const float* vertex, double* movement);

// What an input may cost at load, whatever the file asks for: FLAME has 50 to 100 expressions, and the time grows with
// their square. Later ones stay at their defaults.
constexpr int64_t kMaxExpressions = 400;

// [n,kLipWeights] with n = min(expr.size, kMaxExpressions): what to add to each element of `expr` per unit of each lip
// weight. All zero where there is no answer in numbers: a mouth without width, say.
// expr: an input of `file` that moves blendshapes; the file's mesh must have kFlameVertices or more.
std::vector<double> solve_lips(const AvatarFile& file, const AvatarInput& expr);

}  // namespace ts
