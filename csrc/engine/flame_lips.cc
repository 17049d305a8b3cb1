// SPDX-License-Identifier: Apache-2.0
// flame_lips — see flame_lips.h.
// Maths    per weight, over coefficients c of the expressions: minimise, in mouth widths,
//              |lips(c) - wanted|² + 30 kElsewhereCost² mean |elsewhere(c)|² + 30 kCoefficientCost² |c|²
//          whose normal equations have one matrix [n,n] for all weights, solved by Cholesky's method in float64
// Cost     n² · 15,069 / 2 multiply-adds for the matrix: 15 ms of a core for 100 expressions that move all vertices,
//          0.35 s for kMaxExpressions (Xeon of the Sapphire Rapids family, 2 doubles a vector); all else is small
// Order    deterministic, one thread
#include "engine/flame_lips.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ts {

const int kUpperLip[kLipRing] = {1713, 1715, 1716, 1735, 1696, 1694, 1657, 3543,
                                 2774, 2811, 2813, 2850, 2833, 2832, 2830};
const int kLowerLip[kLipRing] = {1576, 1577, 1773, 1774, 1795, 1802, 1865, 3503,
                                 2948, 2905, 2898, 2881, 2880, 2713, 2712};

namespace {

// What counts beside the lips' error, in terms of it. A coefficient of 1 (one standard deviation among people's
// expressions) costs as much as lips that are all off by kCoefficientCost mouth widths; a movement of the rest of the
// face as much as lips that are off by kElsewhereCost times that movement.
constexpr double kCoefficientCost = 0.01;
constexpr double kElsewhereCost = 1.0 / 3;
constexpr double kMouthReach = 0.9;  // mouth widths from its middle: cheeks and chin go along

constexpr int kLips = 2 * kLipRing;
constexpr double kRidge = kLips * kCoefficientCost * kCoefficientCost;

struct Point {
  double x = 0, y = 0, z = 0;  // to the face's left, up, out of the face; mouth widths
};
struct LipShape {
  arkit::Weight weight = arkit::kCount;
  Point left, top, bottom, right;  // left corner, middle of the upper and of the lower lip, right corner
};

constexpr Point mirrored(Point p) { return {-p.x, p.y, p.z}; }
constexpr LipShape even(arkit::Weight weight, Point corner, Point top, Point bottom) {
  return {weight, corner, top, bottom, mirrored(corner)};
}
constexpr LipShape mirrored(arkit::Weight weight, const LipShape& s) {
  return {weight, mirrored(s.right), mirrored(s.top), mirrored(s.bottom), mirrored(s.left)};
}

// What weight 1 does, measured on the outer lips of the ICT-FaceKit generic face (USC-ICT, MIT licence) and rounded.
// clang-format off: a table is read by its columns
constexpr LipShape kEven[] = {
    even(arkit::mouthFunnel,     {-0.07,  0.00,  0.16}, {0,  0.12,  0.14}, {0, -0.18,  0.08}),
    even(arkit::mouthPucker,     {-0.09,  0.04,  0.19}, {0,  0.07,  0.16}, {0, -0.04,  0.12}),
    even(arkit::mouthRollLower,  { 0.01, -0.01, -0.01}, {0,  0.00,  0.00}, {0,  0.18, -0.09}),
    even(arkit::mouthRollUpper,  { 0.03,  0.01, -0.02}, {0, -0.11, -0.13}, {0,  0.00,  0.00}),
    even(arkit::mouthShrugLower, { 0.01,  0.03,  0.04}, {0,  0.00,  0.00}, {0,  0.15,  0.10}),
    even(arkit::mouthShrugUpper, { 0.00,  0.00,  0.00}, {0,  0.11,  0.00}, {0,  0.00,  0.00}),
};
constexpr LipShape kLeft[] = {
    {arkit::mouthPressLeft,     {0.00,  0.03,  0.01}, {0,    -0.01, -0.01}, {0,     0.03,  0.02}, {}},
    {arkit::mouthLowerDownLeft, {0.00, -0.02,  0.00}, {0,     0.00,  0.00}, {0,    -0.07, -0.02}, {}},
    {arkit::mouthUpperUpLeft,   {0.00,  0.09,  0.01}, {0,     0.08, -0.01}, {0,     0.00,  0.00}, {}},
    {arkit::mouthStretchLeft,   {0.13, -0.06, -0.14}, {0,    -0.01, -0.02}, {0,     0.01, -0.02}, {}},
    {arkit::mouthSmileLeft,     {0.14,  0.21, -0.18}, {0,     0.03, -0.03}, {0,     0.04, -0.02}, {}},
    {arkit::mouthFrownLeft,     {0.04, -0.09, -0.04}, {0,    -0.01, -0.01}, {0,     0.00,  0.00}, {}},
    {arkit::mouthDimpleLeft,    {0.02,  0.05, -0.12}, {0,     0.00,  0.00}, {0,     0.02, -0.02}, {}},
    {arkit::mouthLeft,          {0.12,  0.11, -0.08}, {0.32,  0.02, -0.07}, {0.31,  0.01, -0.07}, {0.31, 0.01, 0.18}},
};
// clang-format on
// Of the rows of kLeft.
constexpr arkit::Weight kRight[] = {arkit::mouthPressRight,   arkit::mouthLowerDownRight, arkit::mouthUpperUpRight,
                                    arkit::mouthStretchRight, arkit::mouthSmileRight,     arkit::mouthFrownRight,
                                    arkit::mouthDimpleRight,  arkit::mouthRight};

// Even weights, then those of the left side, then those of the right one.
constexpr std::array<LipShape, kLipWeights> every_lip_shape() {
  constexpr int kEvens = sizeof kEven / sizeof *kEven, kLefts = sizeof kLeft / sizeof *kLeft;
  static_assert(sizeof kRight / sizeof *kRight == kLefts && kEvens + 2 * kLefts == kLipWeights);
  std::array<LipShape, kLipWeights> out{};
  for (int i = 0; i < kEvens; ++i) out[static_cast<size_t>(i)] = kEven[i];
  for (int i = 0; i < kLefts; ++i) {
    out[static_cast<size_t>(kEvens + i)] = kLeft[i];
    out[static_cast<size_t>(kEvens + kLefts + i)] = mirrored(kRight[i], kLeft[i]);
  }
  return out;
}
constexpr std::array<LipShape, kLipWeights> kLipShapes = every_lip_shape();

const float* position(const float* vertex, int id) { return vertex + 3 * static_cast<size_t>(id); }

// Where x lies across a mouth: 1 in its left corner and beyond, 0 in the middle, -1 in the right corner and beyond.
double across(double x, double right, double middle, double left) {
  if (x >= left) return 1;
  if (x <= right) return -1;
  return x < middle ? (x - middle) / (middle - right) : (x - middle) / (left - middle);
}

double distance(const double* a, const double* b) { return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]); }

struct Mouth {
  double width = 0;
  double middle[3] = {};
};

Mouth find_mouth(const float* vertex) {
  Mouth mouth;
  double left[3], right[3];
  for (int axis = 0; axis < 3; ++axis) {
    const auto at = [&](const int* ring, int i) { return static_cast<double>(position(vertex, ring[i])[axis]); };
    left[axis] = (at(kUpperLip, 0) + at(kLowerLip, 0)) / 2;
    right[axis] = (at(kUpperLip, kLipRing - 1) + at(kLowerLip, kLipRing - 1)) / 2;
    for (int i = 0; i < kLipRing; ++i) mouth.middle[axis] += (at(kUpperLip, i) + at(kLowerLip, i)) / kLips;
  }
  mouth.width = distance(left, right);
  return mouth;
}

// A vertex's movement costs its squared length, in mouth widths, times this number of the vertex.
std::vector<double> movement_costs(const float* vertex, const Mouth& mouth) {
  std::vector<double> cost(kFlameVertices, 0.0);
  int n_elsewhere = 0;
  for (int v = 0; v < kFlameVertices; ++v) {
    const float* p = position(vertex, v);
    const double at[3] = {static_cast<double>(p[0]), static_cast<double>(p[1]), static_cast<double>(p[2])};
    if (!(distance(at, mouth.middle) > kMouthReach * mouth.width)) continue;
    cost[static_cast<size_t>(v)] = 1;
    ++n_elsewhere;
  }
  for (double& c : cost) c *= kLips * kElsewhereCost * kElsewhereCost / std::max(n_elsewhere, 1);
  for (const int* ring : {kUpperLip, kLowerLip}) {
    for (int i = 0; i < kLipRing; ++i) cost[static_cast<size_t>(ring[i])] += 1;
  }
  return cost;
}

constexpr int kPanel = 8;  // vertices whose products are added at once, so that the matrix is read and written less

// matrix[i,j] += sum over 8 columns of column[.][i] * column[.][j], for j <= i.
void add_products(const double* column, int64_t n, double* matrix) {
  const double *c0 = column, *c1 = c0 + n, *c2 = c1 + n, *c3 = c2 + n, *c4 = c3 + n, *c5 = c4 + n, *c6 = c5 + n,
               *c7 = c6 + n;
  for (int64_t i = 0; i < n; ++i) {
    const double a0 = c0[i], a1 = c1[i], a2 = c2[i], a3 = c3[i], a4 = c4[i], a5 = c5[i], a6 = c6[i], a7 = c7[i];
    double* __restrict row = matrix + i * n;
    for (int64_t j = 0; j <= i; ++j) {
      row[j] += ((a0 * c0[j] + a1 * c1[j]) + (a2 * c2[j] + a3 * c3[j])) +
                ((a4 * c4[j] + a5 * c5[j]) + (a6 * c6[j] + a7 * c7[j]));
    }
  }
}

// The deltas of one shape that are still to come: a shape's vertices are in rising order.
struct Cursor {
  uint32_t next = 0, end = 0;
};

// The lower half of sum over v of cost[v] * delta[i,v]·delta[j,v] / width², with kRidge on the diagonal: [n,n].
std::vector<double> normal_matrix(const AvatarFile& file, const AvatarInput& expr, int64_t n, const Mouth& mouth) {
  const std::vector<double> cost = movement_costs(file.vertex, mouth);
  std::vector<Cursor> cursor(static_cast<size_t>(n));
  for (size_t i = 0; i < cursor.size(); ++i) {
    const int shape = expr.index[i];
    if (shape >= 0) cursor[i] = {file.shape_start[shape], file.shape_start[shape + 1]};
  }
  std::vector<double> matrix(static_cast<size_t>(n * n), 0.0);
  std::vector<double> panel(static_cast<size_t>(3 * kPanel * n), 0.0);  // [axis][vertex][expression]
  for (int first = 0; first < kFlameVertices; first += kPanel) {
    const int last = std::min(first + kPanel, kFlameVertices);
    bool moves = false;
    for (int64_t i = 0; i < n; ++i) {
      Cursor& c = cursor[static_cast<size_t>(i)];
      for (; c.next < c.end && file.shape_vertex[c.next] < static_cast<uint32_t>(last); ++c.next) {
        const uint32_t v = file.shape_vertex[c.next];
        if (cost[v] == 0) continue;
        const double scale = std::sqrt(cost[v]) / mouth.width;
        const float* delta = file.shape_delta + 3 * static_cast<size_t>(c.next);
        for (int axis = 0; axis < 3; ++axis) {
          panel[static_cast<size_t>((kPanel * axis + static_cast<int>(v) - first) * n + i)] =
              scale * static_cast<double>(delta[axis]);
        }
        moves = true;
      }
    }
    if (!moves) continue;
    for (int axis = 0; axis < 3; ++axis) add_products(panel.data() + kPanel * axis * n, n, matrix.data());
    std::fill(panel.begin(), panel.end(), 0.0);
  }
  for (int64_t i = 0; i < n; ++i) matrix[static_cast<size_t>(i * n + i)] += kRidge;
  return matrix;
}

// [n,kLipWeights]: each expression's movement of the lips times what each weight wants of them.
std::vector<double> lip_products(const AvatarFile& file, const AvatarInput& expr, int64_t n, double width,
                                 const double* wanted) {
  std::vector<int> ring_of_vertex(kFlameVertices, -1);
  for (int i = 0; i < kLipRing; ++i) {
    ring_of_vertex[static_cast<size_t>(kUpperLip[i])] = i;
    ring_of_vertex[static_cast<size_t>(kLowerLip[i])] = kLipRing + i;
  }
  std::vector<double> out(static_cast<size_t>(n * kLipWeights), 0.0);
  for (int64_t i = 0; i < n; ++i) {
    const int shape = expr.index[static_cast<size_t>(i)];
    if (shape < 0) continue;
    for (uint32_t at = file.shape_start[shape]; at < file.shape_start[shape + 1]; ++at) {
      const uint32_t v = file.shape_vertex[at];
      if (v >= kFlameVertices) break;
      if (ring_of_vertex[v] < 0) continue;
      const float* delta = file.shape_delta + 3 * static_cast<size_t>(at);
      for (int lip = 0; lip < kLipWeights; ++lip) {
        const double* want = wanted + 3 * (lip * kLips + ring_of_vertex[v]);
        for (int axis = 0; axis < 3; ++axis) {
          out[static_cast<size_t>(i * kLipWeights + lip)] += static_cast<double>(delta[axis]) / width * want[axis];
        }
      }
    }
  }
  return out;
}

// Solves matrix · x = rows for all columns of `rows` [n,kLipWeights], in their place. matrix: [n,n], of which the lower
// half is read and overwritten. False where it is not positive definite in numbers.
bool solve_cholesky(std::vector<double>& matrix, int64_t n, std::vector<double>& rows) {
  const auto at = [&](int64_t i, int64_t j) -> double& { return matrix[static_cast<size_t>(i * n + j)]; };
  const auto row = [&](int64_t i) { return rows.data() + i * kLipWeights; };
  const auto subtract = [&](double factor, int64_t from, int64_t to) {
    for (int k = 0; k < kLipWeights; ++k) row(to)[k] -= factor * row(from)[k];
  };
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = at(i, j);
      for (int64_t k = 0; k < j; ++k) sum -= at(i, k) * at(j, k);
      if (j < i) {
        at(i, j) = sum / at(j, j);
      } else if (!(sum > 0 && std::isfinite(sum))) {
        return false;
      } else {
        at(i, i) = std::sqrt(sum);
      }
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) subtract(at(i, j), j, i);
    for (int k = 0; k < kLipWeights; ++k) row(i)[k] /= at(i, i);
  }
  for (int64_t i = n - 1; i >= 0; --i) {
    for (int64_t j = i + 1; j < n; ++j) subtract(at(j, i), j, i);
    for (int k = 0; k < kLipWeights; ++k) row(i)[k] /= at(i, i);
  }
  return true;
}

// The solution costs no more than no movement at all does, so kRidge |c|² <= |wanted|². Coefficients beyond that, or
// that are no numbers, come from rounding in a matrix that is nearly singular. Twice the bound is let through: so
// little rounding is harmless.
bool plausible(const std::vector<double>& coefficient, int64_t n, const double* wanted) {
  for (int lip = 0; lip < kLipWeights; ++lip) {
    double length2 = 0, wanted2 = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double c = coefficient[static_cast<size_t>(i * kLipWeights + lip)];
      length2 += c * c;
    }
    for (int i = 0; i < 3 * kLips; ++i) wanted2 += wanted[3 * kLips * lip + i] * wanted[3 * kLips * lip + i];
    if (!(kRidge * length2 <= 2 * wanted2)) return false;
  }
  return true;
}

}  // namespace

arkit::Weight lip_weight(int lip) { return kLipShapes[static_cast<size_t>(lip)].weight; }

void lip_movement(int lip, const float* vertex, double* movement) {
  const LipShape& shape = kLipShapes[static_cast<size_t>(lip)];
  for (const int* ring : {kUpperLip, kLowerLip}) {
    const Point& centre = ring == kUpperLip ? shape.top : shape.bottom;
    const auto x = [&](int i) { return static_cast<double>(position(vertex, ring[i])[0]); };
    for (int i = 0; i < kLipRing; ++i, movement += 3) {
      const double side = across(x(i), x(kLipRing - 1), x(kLipRing / 2), x(0));
      const Point& corner = side > 0 ? shape.left : shape.right;
      const double outward = std::abs(side), inward = 1 - outward;
      movement[0] = inward * centre.x + outward * corner.x;
      movement[1] = inward * centre.y + outward * corner.y;
      movement[2] = inward * centre.z + outward * corner.z;
    }
  }
}

std::vector<double> solve_lips(const AvatarFile& file, const AvatarInput& expr) {
  const int64_t n = std::min<int64_t>(expr.size, kMaxExpressions);
  const Mouth mouth = find_mouth(file.vertex);
  double wanted[kLipWeights * 3 * kLips];
  for (int lip = 0; lip < kLipWeights; ++lip) lip_movement(lip, file.vertex, wanted + lip * 3 * kLips);
  std::vector<double> coefficient = lip_products(file, expr, n, mouth.width, wanted);
  std::vector<double> matrix = normal_matrix(file, expr, n, mouth);
  if (!solve_cholesky(matrix, n, coefficient) || !plausible(coefficient, n, wanted)) {
    std::fill(coefficient.begin(), coefficient.end(), 0.0);
  }
  return coefficient;
}

}  // namespace ts
