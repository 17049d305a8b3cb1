// SPDX-License-Identifier: Apache-2.0
// project_kernel: to the bit what the CPU's AVX2 kernel says, and near float64.
#include "kernels/cuda/project.cu"
//
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cpp/check.h"
#include "cpu/kernel_table.h"
#include "math/half.h"
#include "ops/project.h"

namespace {

using ts::cuda::BinSplat;
using ts::cuda::BlendSplat;
using ts::cuda::kHidden;
using ts::cuda::kProjectThreads;
using ts::cuda::LayerStatus;
using ts::cuda::ProjectJob;
using ts::cuda::SplatColor;

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kDilation = 0.3f;

ts::Camera some_camera() {
  // Turned by 0.3 rad about y and a little shifted.
  const float c = std::cos(0.3f), s = std::sin(0.3f);
  return {{c, 0, s, 0.05f, 0, 1, 0, -0.1f, -s, 0, c, 0.2f, 0, 0, 0, 1}, 600, 580, 250, 130, 0.2f};
}

struct Scene {
  int n, width, height;
  bool fast;
  int sh_degree, sh_stride;
  std::vector<float> mean, quat, scale, opacity, color;
};

Scene make_scene(int n, bool fast, int sh_degree, int sh_stride, bool hostile, uint32_t seed) {
  Scene s{n, 500, 270, fast, sh_degree, sh_stride, {}, {}, {}, {}, {}};
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform;
  const int columns = sh_degree < 0 ? 3 : 3 * sh_stride;
  const auto many = [n](int of) { return static_cast<size_t>(n) * static_cast<size_t>(of); };
  s.mean.resize(many(3)), s.quat.resize(many(4)), s.scale.resize(many(3)), s.opacity.resize(many(1));
  s.color.resize(many(columns));
  for (size_t i = 0; i < many(1); ++i) {
    for (size_t c = 0; c < 3; ++c) s.mean[3 * i + c] = normal(random) * (c == 2 ? 0.8f : 0.6f) + (c == 2 ? 3.0f : 0.0f);
    for (size_t c = 0; c < 4; ++c) s.quat[4 * i + c] = normal(random);
    for (size_t c = 0; c < 3; ++c) s.scale[3 * i + c] = 0.02f * std::exp(normal(random));
    s.opacity[i] = uniform(random);
  }
  for (float& c : s.color) c = sh_degree < 0 ? uniform(random) : 0.3f * normal(random);
  if (!hostile) return s;
  const float values[] = {kNan,   kInf, -kInf, 0.0f,  -0.0f,   1.0f,          -1.0f,         1e-40f,
                          1e-20f, 1e4f, -1e4f, 1e20f, 3.0e38f, -3.0e38f,      70e3f,         -70e3f,
                          2.0f,   0.2f, 6e-8,  65504, 65519,   1.0f / 255.0f, 0.0039215683f, 1e-6f};
  std::vector<float>* rows[] = {&s.mean, &s.quat, &s.scale, &s.opacity, &s.color};
  for (int i = 0; i < n; i += 3) {
    std::vector<float>& hit = *rows[random() % 5];
    const size_t width = hit.size() / many(1);
    hit[static_cast<size_t>(i) * width + random() % width] = values[random() % std::size(values)];
    if (i % 7 == 0) std::fill_n(s.quat.begin() + 4 * i, 4, values[random() % std::size(values)]);
    if (i % 11 == 0) std::fill_n(s.scale.begin() + 3 * i, 3, values[random() % std::size(values)]);
    if (i % 13 == 0) s.mean[3 * static_cast<size_t>(i) + 2] *= 1e3f;
  }
  return s;
}

// What the kernel wrote. The arrays are longer than n, so that writing beyond it shows.
struct Written {
  std::vector<BlendSplat> blend;
  std::vector<BinSplat> bin;
  std::vector<SplatColor> color;
  std::vector<uint32_t> key;
  LayerStatus status;

  explicit Written(int n) {
    const auto rows = static_cast<size_t>(n) + 3;
    blend.resize(rows), bin.resize(rows), color.resize(rows), key.resize(rows);
    fill(blend), fill(bin), fill(color), fill(key);
  }
  template <class T>
  static void fill(std::vector<T>& rows) {
    std::memset(static_cast<void*>(rows.data()), 0xbd, rows.size() * sizeof(T));
  }
};

template <class T>
bool same_bits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}
template <class T>
bool untouched(const T& row) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&row);
  return std::all_of(bytes, bytes + sizeof(T), [](unsigned char byte) { return byte == 0xbd; });
}

std::vector<Written> run(const std::vector<Scene>& scenes, simt::Order order) {
  std::vector<Written> written;
  std::vector<ProjectJob> jobs;
  int n_max = 1;
  for (const Scene& s : scenes) written.emplace_back(s.n), n_max = std::max(n_max, s.n);
  for (size_t i = 0; i < scenes.size(); ++i) {
    const Scene& s = scenes[i];
    Written& w = written[i];
    jobs.push_back({s.n, s.width, s.height, s.sh_degree, s.sh_stride, s.mean.data(), s.quat.data(), s.scale.data(),
                    s.opacity.data(), s.color.data(), ts::project_camera(some_camera(), s.width, s.height, kDilation),
                    w.blend.data(), w.bin.data(), s.fast ? nullptr : w.color.data(), w.key.data(), &w.status});
  }
  const dim3 grid((static_cast<unsigned>(n_max) + kProjectThreads - 1) / kProjectThreads,
                  static_cast<unsigned>(jobs.size()));
  simt::launch("project", grid, kProjectThreads, 0, {order, 7}, [&] { ts::cuda::project_kernel({jobs.data()}); });
  return written;
}

// A colour as the nearest half, ties to the even one; those out of range as the largest.
void check_half(uint32_t half, float value) {
  const double want = std::clamp(static_cast<double>(value), -65504.0, 65504.0);
  const auto off = [want](uint32_t h) {
    return std::fabs(static_cast<double>(ts::float_of_half(static_cast<uint16_t>(h))) - want);
  };
  CHECK((half >> 15 & 1) == static_cast<uint32_t>(std::signbit(value)) && (half & 0x7fff) <= 0x7bff);
  if ((half & 0x7fff) < 0x7bff) CHECK(off(half) < off(half + 1) || (off(half) == off(half + 1) && half % 2 == 0));
  if ((half & 0x7fff) > 0) CHECK(off(half) < off(half - 1) || (off(half) == off(half - 1) && half % 2 == 0));
}

void check_status(const Scene& s, const Written& w) {
  LayerStatus want;
  for (int i = 0; i < s.n; ++i) {
    const uint32_t key = w.key[static_cast<size_t>(i)];
    if (key == kHidden) continue;
    ++want.n_visible;
    want.depth_min = std::min(want.depth_min, key), want.depth_max = std::max(want.depth_max, key);
  }
  CHECK(same_bits(want, w.status));
}

void check_rest_untouched(const Scene& s, const Written& w) {
  for (size_t i = 0; i < w.key.size(); ++i) {
    const bool exists = i < static_cast<size_t>(s.n), visible = exists && w.key[i] != kHidden;
    CHECK(exists || untouched(w.key[i]));
    CHECK(visible || (untouched(w.blend[i]) && untouched(w.bin[i])));
    CHECK((visible && !s.fast) || untouched(w.color[i]));
  }
}

void check_against_cpu(const Scene& s, const Written& w, const ts::KernelTable& cpu) {
  const auto n = static_cast<size_t>(s.n);
  std::vector<ts::Splat> splats(n);
  std::vector<uint32_t> list(n);
  ts::ProjectArgs args{};
  args.gaussians = {s.n,
                    s.mean.data(),
                    s.quat.data(),
                    s.scale.data(),
                    s.opacity.data(),
                    s.color.data(),
                    s.sh_degree,
                    s.sh_degree < 0 ? 0 : s.sh_stride};
  args.camera = some_camera(), args.width = s.width, args.height = s.height, args.dilation = kDilation;
  args.splat = splats.data(), args.visible = list.data();
  ts::ProjectPart part{0, s.n, 0};
  cpu.project_part(args, part);
  std::vector<bool> visible(n);
  for (int64_t k = 0; k < part.n_visible; ++k) visible[list[static_cast<size_t>(k)]] = true;

  for (size_t i = 0; i < n; ++i) {
    CHECK_MESSAGE((w.key[i] != kHidden) == visible[i], "Gaussian " + std::to_string(i) + " is seen by one alone");
    if (w.key[i] == kHidden || !visible[i]) continue;
    const ts::Splat& want = splats[i];
    const BlendSplat& blend = w.blend[i];
    const BinSplat& bin = w.bin[i];
    CHECK(same_bits(blend.x_px, want.x_px) && same_bits(blend.y_px, want.y_px));
    CHECK(same_bits(blend.a, want.a) && same_bits(blend.d, want.d) && same_bits(blend.slope, want.slope));
    CHECK(same_bits(blend.log2_opacity, want.log2_opacity));
    CHECK(same_bits(bin.reach, want.reach) && same_bits(bin.y_at_x_extreme, want.y_at_x_extreme));
    CHECK(same_bits(bin.inv_a, want.inv_a));
    CHECK((bin.block_x & 0xffff) == want.block_x0 && bin.block_x >> 16 == want.block_x1);
    CHECK((bin.tile_y & 0xffff) == want.tile_y0 && bin.tile_y >> 16 == want.tile_y1);
    CHECK(same_bits(__uint_as_float(w.key[i]), want.depth));
    if (s.fast) {
      check_half(blend.red_green & 0xffff, want.red);
      check_half(blend.red_green >> 16, want.green);
      check_half(blend.blue, want.blue);
    } else {
      const SplatColor color{want.red, want.green, want.blue, want.depth};
      CHECK(same_bits(w.color[i], color) && blend.red_green == 0 && blend.blue == 0);
    }
  }
}

// The splat's covariance by matrices in float64, its inverse, and the exponent at a few pixels around the centre.
void check_against_float64(const Scene& s, const Written& w) {
  const ts::Camera camera = some_camera();
  const auto from_world = [&](int row, int column) {
    return static_cast<double>(camera.cam_from_world[4 * row + column]);
  };
  double worst_centre = 0, worst_power = 0;
  for (size_t i = 0; i < static_cast<size_t>(s.n); ++i) {
    if (w.key[i] == kHidden) continue;
    double at[3], q[4], norm = 0;
    for (int row = 0; row < 3; ++row) {
      at[row] = from_world(row, 3);
      for (int c = 0; c < 3; ++c) at[row] += from_world(row, c) * s.mean[3 * i + static_cast<size_t>(c)];
    }
    for (size_t c = 0; c < 4; ++c) norm += double{s.quat[4 * i + c]} * s.quat[4 * i + c];
    for (size_t c = 0; c < 4; ++c) q[c] = s.quat[4 * i + c] / std::sqrt(norm);
    const double r[3][3] = {
        {1 - 2 * (q[2] * q[2] + q[3] * q[3]), 2 * (q[1] * q[2] - q[0] * q[3]), 2 * (q[1] * q[3] + q[0] * q[2])},
        {2 * (q[1] * q[2] + q[0] * q[3]), 1 - 2 * (q[1] * q[1] + q[3] * q[3]), 2 * (q[2] * q[3] - q[0] * q[1])},
        {2 * (q[1] * q[3] - q[0] * q[2]), 2 * (q[2] * q[3] + q[0] * q[1]), 1 - 2 * (q[1] * q[1] + q[2] * q[2])}};
    const double z = at[2];
    const double tan_x = std::clamp(at[0] / z, -1.3 * 0.5 * s.width / camera.fx, 1.3 * 0.5 * s.width / camera.fx);
    const double tan_y = std::clamp(at[1] / z, -1.3 * 0.5 * s.height / camera.fy, 1.3 * 0.5 * s.height / camera.fy);
    const double jacobian[2][3] = {{camera.fx / z, 0, -camera.fx * tan_x / z},
                                   {0, camera.fy / z, -camera.fy * tan_y / z}};
    double half[2][3] = {};  // J W R S
    for (int a = 0; a < 2; ++a)
      for (int b = 0; b < 3; ++b)
        for (int c = 0; c < 3; ++c)
          for (int d = 0; d < 3; ++d)
            half[a][b] += jacobian[a][c] * from_world(c, d) * r[d][b] * s.scale[3 * i + static_cast<size_t>(b)];
    double xx = kDilation, xy = 0, yy = kDilation;
    for (int b = 0; b < 3; ++b)
      xx += half[0][b] * half[0][b], xy += half[0][b] * half[1][b], yy += half[1][b] * half[1][b];
    const double det = xx * yy - xy * xy;

    const BlendSplat& splat = w.blend[i];
    const double x = camera.fx * at[0] / (z + 1e-7) + camera.cx - 0.5,
                 y = camera.fy * at[1] / (z + 1e-7) + camera.cy - 0.5;
    worst_centre = std::max({worst_centre, std::fabs(splat.x_px - x), std::fabs(splat.y_px - y)});
    CHECK(std::fabs(__uint_as_float(w.key[i]) - z) < 1e-5);
    CHECK(std::fabs(splat.log2_opacity - std::log2(static_cast<double>(s.opacity[i]))) < 1e-5);
    for (double angle = 0; angle < 6; angle += 1.1) {  // on a circle of the size of the ellipse
      const double dx = std::sqrt(xx) * std::cos(angle), dy = std::sqrt(yy) * std::sin(angle);
      const double want = 0.5 * (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / det * std::log2(std::exp(1.0));
      const double along = splat.a * (dx - splat.slope * dy), across = splat.d * dy;
      worst_power = std::max(worst_power, std::fabs(along * along + across * across - want) / (1 + want));
    }
  }
  CHECK_MESSAGE(worst_centre < 1e-3, "centres are off by " + std::to_string(worst_centre) + " px");
  CHECK_MESSAGE(worst_power < 1e-3, "exponents are off by " + std::to_string(worst_power) + " of 1");
}

}  // namespace

int main() {
  std::vector<Scene> scenes;
  const int sizes[] = {0, 1, 31, 32, 33, 255, 256, 257, 1000};
  for (const int n : sizes) scenes.push_back(make_scene(n, n % 2 == 0, n % 5 - 1, 16, true, static_cast<uint32_t>(n)));
  // Every degree of SH, rows of its own length and longer ones; 1 and 9 coefficients make rows of no whole 16 bytes.
  const int strides[][2] = {{-1, 0}, {0, 1}, {0, 4}, {0, 5}, {1, 4}, {1, 9}, {2, 9}, {2, 16}, {3, 16}, {3, 17}};
  for (const auto& [degree, stride] : strides) {
    for (const bool fast : {false, true}) scenes.push_back(make_scene(2003, fast, degree, stride, true, 9));
  }
  scenes.push_back(make_scene(20000, true, -1, 0, true, 1));
  scenes.push_back(make_scene(20000, false, 3, 16, true, 2));
  const size_t n_hostile = scenes.size();
  scenes.push_back(make_scene(5000, true, -1, 0, false, 3));
  // All behind the camera; all fainter than 1/255; all beside the picture.
  for (int i = 0; i < 3; ++i) scenes.push_back(make_scene(300, i == 1, -1, 0, false, 4));
  const size_t none = scenes.size() - 3;
  for (size_t i = 2; i < scenes[none].mean.size(); i += 3) scenes[none].mean[i] = -5;
  std::fill(scenes[none + 1].opacity.begin(), scenes[none + 1].opacity.end(), 0.003f);
  for (size_t i = 0; i < scenes[none + 2].mean.size(); i += 3) scenes[none + 2].mean[i] += 100;
  scenes[0].width = scenes[1].width = 16, scenes[2].width = 17, scenes[3].height = 1;

  const std::vector<Written> written = run(scenes, simt::Order::kAscending);
  for (const simt::Order order : {simt::Order::kDescending, simt::Order::kRandom}) {
    const std::vector<Written> again = run(scenes, order);
    for (size_t i = 0; i < scenes.size(); ++i) {
      CHECK(same_bits(again[i].blend, written[i].blend) && same_bits(again[i].bin, written[i].bin));
      CHECK(same_bits(again[i].color, written[i].color) && same_bits(again[i].key, written[i].key));
      CHECK(same_bits(again[i].status, written[i].status));
    }
  }

  const ts::KernelTable* cpu = nullptr;
  if (!ts::find_kernels("avx2", &cpu).ok())
    std::printf("test_project: not compared with the CPU's kernel: this CPU lacks AVX2, and others round otherwise\n");
  for (size_t i = 0; i < scenes.size(); ++i) {
    check_status(scenes[i], written[i]);
    check_rest_untouched(scenes[i], written[i]);
    if (cpu) check_against_cpu(scenes[i], written[i], *cpu);
    if (scenes[i].n > 100) CHECK((written[i].status.n_visible == 0) == (i >= none));
  }
  check_against_float64(scenes[n_hostile], written[n_hostile]);
  return ts_test::report("test_project");
}
