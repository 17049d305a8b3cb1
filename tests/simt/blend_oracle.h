// SPDX-License-Identifier: Apache-2.0
// What blend, dilate and finish must give, in float64: pixel by pixel, splat by splat, plane by plane.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/cuda/blend.h"
#include "math/splat.h"

namespace ts_test {

struct OracleSplat {
  double x_px, y_px, a, d, slope, log2_opacity;
  double color[3], depth;
};

struct OraclePixel {
  double color[3] = {0, 0, 0}, depth = 0;
  double color_t = 1, coverage_t = 1;
};

struct OracleLayer {
  std::vector<OracleSplat> splats;  // from the nearest
  int dilate_px = 0;
};

// A layer by itself. Every splat at every pixel: what masks and lists leave out must be below 1/255 there.
inline std::vector<OraclePixel> draw_alone(const OracleLayer& layer, int width, int height) {
  std::vector<OraclePixel> picture(static_cast<size_t>(width) * static_cast<size_t>(height));
  for (int i = 0; i < width * height; ++i) {
    OraclePixel& p = picture[static_cast<size_t>(i)];
    double t = 1;
    for (const OracleSplat& s : layer.splats) {
      const double dx = i % width - s.x_px, dy = i / width - s.y_px;
      const double u = s.a * (dx - s.slope * dy), v = s.d * dy, exponent = s.log2_opacity - u * u - v * v;
      if (exponent < double{ts::kLog2MinAlpha}) continue;
      const double alpha = std::min(std::exp2(exponent), double{ts::kMaxAlpha});
      if (t * (1 - alpha) < double{ts::kMinTransmittance}) break;
      for (int c = 0; c < 3; ++c) p.color[c] += t * alpha * s.color[c];
      p.depth += t * alpha * s.depth;
      t *= 1 - alpha;
    }
    p.color_t = p.coverage_t = t;
  }
  return picture;
}

inline std::vector<OraclePixel> draw_layers(const std::vector<OracleLayer>& layers, int width, int height) {
  std::vector<OraclePixel> picture(static_cast<size_t>(width) * static_cast<size_t>(height));
  for (const OracleLayer& layer : layers) {
    const std::vector<OraclePixel> alone = draw_alone(layer, width, height);
    for (int i = 0; i < width * height; ++i) {
      OraclePixel& p = picture[static_cast<size_t>(i)];
      const OraclePixel& under = alone[static_cast<size_t>(i)];
      for (int c = 0; c < 3; ++c) p.color[c] += p.color_t * under.color[c];
      p.depth += p.coverage_t * under.depth;
      double most = 1 - under.coverage_t;
      for (int y = i / width - layer.dilate_px / 2; y <= i / width + layer.dilate_px / 2; ++y) {
        for (int x = i % width - layer.dilate_px / 2; x <= i % width + layer.dilate_px / 2; ++x) {
          if (x >= 0 && y >= 0 && x < width && y < height)
            most = std::max(most, 1 - alone[static_cast<size_t>(y * width + x)].coverage_t);
        }
      }
      p.color_t *= 1 - most;
      p.coverage_t *= under.coverage_t;
    }
  }
  return picture;
}

// Over a background of [3] per pixel, or nothing.
inline void put_over(std::vector<OraclePixel>& picture, const std::vector<double>& background) {
  for (size_t i = 0; i < picture.size(); ++i) {
    for (size_t c = 0; c < 3; ++c) picture[i].color[c] += picture[i].color_t * background[3 * i + c];
  }
}

inline double code(double x) { return 255 * std::min(std::max(x, 0.0), 1.0); }

// The values of a format before they are rounded to codes, in the order in which its bytes or floats lie, without
// padding.
inline std::vector<double> format_values(const std::vector<OraclePixel>& picture, int width, int height,
                                         ts::Format format, bool opaque) {
  std::vector<double> values;
  if (format != ts::Format::kNv12) {
    for (const OraclePixel& p : picture) {
      const double alpha = 1 - p.coverage_t;
      const bool straight = format == ts::Format::kRgba8 && !opaque;
      for (double c : p.color) {
        const double value = straight ? c / std::max(alpha, 1e-6) : c;
        values.push_back(format == ts::Format::kRgbF32 ? value : code(value));
      }
      if (format == ts::Format::kRgba8) values.push_back(opaque ? 255 : code(alpha));
    }
    return values;
  }
  const auto channel = [&](int x, int y, int c) {
    return code(picture[static_cast<size_t>(y * width + x)].color[c]) / 255;
  };
  const auto luma = [](double r, double g, double b) { return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x)
      values.push_back(16 + 219 * luma(channel(x, y, 0), channel(x, y, 1), channel(x, y, 2)));
  }
  for (int y = 0; y < height; y += 2) {
    for (int x = 0; x < width; x += 2) {
      double mean[3];
      for (int c = 0; c < 3; ++c) {
        mean[c] = (channel(x, y, c) + channel(x + 1, y, c) + channel(x, y + 1, c) + channel(x + 1, y + 1, c)) / 4;
      }
      const double v = luma(mean[0], mean[1], mean[2]);
      values.push_back(128 + 224 * (mean[2] - v) / 1.8556);
      values.push_back(128 + 224 * (mean[0] - v) / 1.5748);
    }
  }
  return values;
}

}  // namespace ts_test
