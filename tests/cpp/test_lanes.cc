// SPDX-License-Identifier: Apache-2.0
// lanes, the elementary functions and the transposing loads of one instruction set, against plain double arithmetic.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "check.h"
#include "math/activation.h"
#include "math/half.h"
#include "math/lanes.h"
#include "ops/backend.h"

#define TS_STRING(x) #x
#define TS_NAME(x) TS_STRING(x)

using ts::f32;
using ts::i32;
using ts::kLanes;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Applies f to kLanes values at a time; n is a multiple of 16.
template <class F>
std::vector<float> map(const std::vector<float>& x, const F& f) {
  std::vector<float> y(x.size());
  for (size_t i = 0; i < x.size(); i += kLanes) store(&y[i], f(ts::load(&x[i])));
  return y;
}

std::vector<float> ramp(float low, float high, int n) {
  std::vector<float> x(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i)
    x[static_cast<size_t>(i)] = low + (high - low) * static_cast<float>(i) / static_cast<float>(n - 1);
  return x;
}

void elementary_functions() {
  const auto x = ramp(-126, 126, 1 << 16);
  const auto y = map(x, [](f32 v) { return ts::exp2_fast(v); });
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i)
    worst = std::fmax(worst, std::fabs(y[i] / std::exp2(static_cast<double>(x[i])) - 1));
  CHECK_MESSAGE(worst < 2e-6, "exp2_fast: relative error " + std::to_string(worst * 1e6) + "e-6");

  const auto exponents = ramp(-87, 87, 1 << 16);
  const auto powers = map(exponents, [](f32 v) { return ts::exp_fast(v); });
  const auto shares = map(exponents, [](f32 v) { return ts::sigmoid_fast(v); });
  const auto gated = map(exponents, [](f32 v) { return ts::silu_fast(v); });
  worst = 0;
  for (size_t i = 0; i < exponents.size(); ++i) {
    const double exact = static_cast<double>(exponents[i]), sigmoid = 1 / (1 + std::exp(-exact));
    worst = std::fmax(worst, std::fabs(powers[i] / std::exp(exact) - 1));
    worst = std::fmax(worst, std::fabs(shares[i] / sigmoid - 1));
    if (exact != 0) worst = std::fmax(worst, std::fabs(gated[i] / (exact * sigmoid) - 1));
  }
  CHECK_MESSAGE(worst < 1e-5, "exp_fast: relative error " + std::to_string(worst * 1e6) + "e-6");
  const auto ends = map(ramp(-1e30f, 1e30f, 16), [](f32 v) { return ts::sigmoid_fast(v); });
  CHECK(ends.front() >= 0 && ends.front() < 1e-37f && ends.back() == 1);

  const auto opacity = ramp(1.0f / 512, 2, 1 << 16);
  const auto logs = map(opacity, [](f32 v) { return ts::log2_accurate(v); });
  worst = 0;
  for (size_t i = 0; i < logs.size(); ++i)
    worst = std::fmax(worst, std::fabs(logs[i] - std::log2(static_cast<double>(opacity[i]))));
  CHECK_MESSAGE(worst < 1e-6, "log2_accurate: absolute error " + std::to_string(worst * 1e6) + "e-6");

  const auto squares = ramp(0, 1000, 1 << 12);
  const auto roots = map(squares, [](f32 v) { return ts::sqrt_above(v); });
  for (size_t i = 0; i < roots.size(); ++i) {
    const double exact = std::sqrt(static_cast<double>(squares[i]));
    if (!CHECK(roots[i] >= exact * (1 - 1e-7) && roots[i] <= 1.001 * exact + 1e-9)) break;
  }
}

template <class F, class Exact>
double worst_error(const std::vector<float>& x, const F& f, const Exact& exact, bool relative) {
  const std::vector<float> y = map(x, f);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = exact(static_cast<double>(x[i])), off = std::fabs(y[i] - want);
    worst = std::fmax(worst, relative ? off / want : off);
  }
  return worst;
}

void accurate_functions() {
  const auto whole = ramp(-87, 87, 1 << 16), middle = ramp(-4, 4, 1 << 16);
  const auto exp = [](double x) { return std::exp(x); };
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto tanh = [](double x) { return std::tanh(x); };
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  for (const auto& x : {whole, middle}) {
    const double power = worst_error(x, [](f32 v) { return ts::exp_accurate(v); }, exp, true);
    const double share = worst_error(x, [](f32 v) { return ts::sigmoid_accurate(v); }, sigmoid, false);
    const double turn = worst_error(x, [](f32 v) { return ts::tanh_accurate(v); }, tanh, false);
    const double size = worst_error(x, [](f32 v) { return ts::softplus_accurate(v); }, softplus, true);
    CHECK_MESSAGE(power < 3e-7, "exp_accurate: relative error " + std::to_string(power * 1e7) + "e-7");
    CHECK_MESSAGE(share < 2e-7, "sigmoid_accurate: absolute error " + std::to_string(share * 1e7) + "e-7");
    CHECK_MESSAGE(turn < 2e-7, "tanh_accurate: absolute error " + std::to_string(turn * 1e7) + "e-7");
    CHECK_MESSAGE(size < 1e-6, "softplus_accurate: relative error " + std::to_string(size * 1e7) + "e-7");
  }
  std::vector<float> ends(16, 0.0f);
  const float values[] = {kNan, kInf, -kInf, 3e38f, -3e38f};
  std::memcpy(ends.data(), values, sizeof values);
  const auto powers = map(ends, [](f32 v) { return ts::exp_accurate(v); });
  const auto turns = map(ends, [](f32 v) { return ts::tanh_accurate(v); });
  const auto shares = map(ends, [](f32 v) { return ts::sigmoid_accurate(v); });
  const auto sizes = map(ends, [](f32 v) { return ts::softplus_accurate(v); });
  for (size_t i = 0; i < std::size(values); ++i) {
    const float up = values[i] > 0 ? 1.0f : 0.0f;  // no number is as the least
    CHECK(powers[i] >= 0 && std::isfinite(powers[i]) && (powers[i] > 1) == (up > 0));
    CHECK(i == 0 || (std::fabs(shares[i] - up) < 1e-6f && std::fabs(turns[i] - (2 * up - 1)) < 1e-6f));
    CHECK(shares[i] >= 0 && shares[i] <= 1 && std::fabs(turns[i]) <= 1);
    CHECK(sizes[i] >= 0 && (i == 0 || up == 0 || sizes[i] == values[i]));
  }
}

void special_values() {
  std::vector<float> x(16, 0.0f);
  const float values[] = {kNan, kInf, -kInf, 0.0f, -0.0f, 1.5f, -1.5f, 2.5f, std::numeric_limits<float>::max(), 1e-40f};
  std::memcpy(x.data(), values, sizeof values);
  const auto least = map(x, [](f32 v) { return min(v, f32(7.0f)); });
  const auto most = map(x, [](f32 v) { return max(v, f32(7.0f)); });
  const auto finite = map(x, [](f32 v) { return select(ts::is_finite(v), f32(1.0f), f32(0.0f)); });
  const auto rounded = map(
      x, [](f32 v) { return to_float(round_to_int(select(ts::is_finite(v) && abs(v) < f32(100.0f), v, f32(0.0f)))); });
  CHECK(least[0] == 7 && most[0] == 7);  // the second operand when the first is NaN
  CHECK(least[2] == -kInf && most[1] == kInf);
  CHECK(finite[0] == 0 && finite[1] == 0 && finite[2] == 0 && finite[3] == 1 && finite[8] == 1 && finite[9] == 1);
  CHECK(rounded[5] == 2 && rounded[6] == -2 && rounded[7] == 2);  // to even
}

void masks() {
  for (int n = 0; n <= kLanes; ++n) {
    const auto m = ts::first_lanes(n);
    CHECK(bits(m) == (n == 32 ? ~0u : (1u << n) - 1));
    CHECK(any(m) == (n > 0) && all(m) == (n == kLanes));
    int32_t packed[2 * 16] = {};
    CHECK(append(packed, m, i32::iota() + i32(5)) == n);
    for (int i = 0; i < n; ++i) CHECK(packed[i] == i + 5);
  }
  // A mask with holes: lanes stay in order.
  int32_t packed[2 * 16] = {};
  const auto odd = i32(0) < (i32::iota() & i32(1));
  CHECK(append(packed, odd, i32::iota()) == kLanes / 2);
  for (int i = 0; i < kLanes / 2; ++i) CHECK(packed[i] == 2 * i + 1);
}

void halves() {
  uint16_t half[17];  // read from the second on, at an odd address of lanes
  float widened[16];
  for (int first = 0; first < 1 << 16; first += kLanes) {
    for (int i = 0; i < kLanes; ++i) half[i + 1] = static_cast<uint16_t>(first + i);
    store(widened, ts::load_half(half + 1));
    for (int i = 0; i < kLanes; ++i) {
      const float exact = ts::float_of_half(half[i + 1]);
      if (!CHECK(std::isnan(exact) ? std::isnan(widened[i]) : std::memcmp(&widened[i], &exact, sizeof exact) == 0))
        return;
    }
  }
}

template <int kFields, class Load, class Store>
void interleaving(const Load& load_fields, const Store& store_fields) {
  float memory[kFields * 16 + 1], copy[kFields * 16 + 1];
  for (int i = 0; i < kFields * kLanes; ++i) memory[i] = static_cast<float>(i);
  memory[kFields * kLanes] = copy[kFields * kLanes] = -1;
  f32 fields[4];
  load_fields(memory, fields);
  for (int f = 0; f < kFields; ++f) {
    float lanes[16];
    store(lanes, fields[f]);
    for (int i = 0; i < kLanes; ++i) CHECK(lanes[i] == static_cast<float>(kFields * i + f));
  }
  store_fields(copy, fields);
  CHECK(std::memcmp(memory, copy, sizeof(float) * (kFields * kLanes + 1)) == 0);  // and nothing past the end
}

}  // namespace

int main() {
  bool present = false;
  for (int i = 0; i < ts::isa_count(); ++i) present |= std::strcmp(ts::isa_name(i), TS_NAME(TS_TARGET)) == 0;
  if (!present) {
    std::printf("test_lanes: this CPU lacks " TS_NAME(TS_TARGET) "\n");
    return 0;
  }
  elementary_functions();
  accurate_functions();
  special_values();
  masks();
  halves();
  interleaving<3>([](const float* p, f32* v) { load3(p, v[0], v[1], v[2]); },
                  [](float* p, const f32* v) { store3(p, v[0], v[1], v[2]); });
  interleaving<4>([](const float* p, f32* v) { load4(p, v[0], v[1], v[2], v[3]); },
                  [](float* p, const f32* v) { store4(p, v[0], v[1], v[2], v[3]); });
  return ts_test::report("test_lanes " TS_NAME(TS_TARGET));
}
