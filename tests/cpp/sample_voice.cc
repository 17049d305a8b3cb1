// SPDX-License-Identifier: Apache-2.0
#include "sample_voice.h"

namespace ts_test {
namespace {

constexpr int kMels = 3;

const char kManifest[] = R"({
  "format": 1, "name": "sample", "rate_hz": 16000, "hop": 160, "window": 400, "fft": 512,
  "n_mels": 3, "f_min_hz": 60, "f_max_hz": 7600,
  "leveller": {"start_db": -20, "floor_db": -55, "attack_s": 0.03, "release_db_per_s": 3},
  "feature": {"offset_db": -21, "scale_db": 15, "clip_low": -4, "clip_high": 4.5},
  "look_ahead_steps": 3, "head": [1.5, 0.5, 1],
  "towers": [
    {"width": 18, "heads": 2, "layers": 2, "window": 5, "taps": 4, "hidden": 7,
     "channels": ["jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthRollLower", "voice"],
     "sigmoid": ["voice"]},
    {"width": 16, "heads": 1, "layers": 1, "window": 1, "taps": 1, "hidden": 1,
     "channels": ["mouthRollUpper", "mouthPress", "mouthStretch", "mouthSmile", "tongueOut", "closure", "breath"],
     "sigmoid": ["closure", "breath"]}
  ],
  "licence": "Apache-2.0", "provenance": {"seed": 1}, "made_up_key": [null]
})";

// Binary16 of numbers below 1 in steps of 1/64: k / 64.
uint16_t half_of(int k) {
  if (k == 0) return 0;
  const int magnitude = k < 0 ? -k : k;
  int exponent = 0;
  while (magnitude >> (exponent + 1)) ++exponent;
  const int fraction = (magnitude << (10 - exponent)) & 1023;
  return static_cast<uint16_t>((k < 0 ? 0x8000 : 0) | (exponent + 9) << 10 | fraction);
}

struct Shape {
  int width, heads, layers, window, taps, hidden, outputs;
};

}  // namespace

SampleVoice::SampleVoice() : SampleFile{"talksplat_voice", kManifest, {}} {
  int next = 1;
  const auto value = [&] {  // -24/64 .. 24/64
    next = next * 37 % 4099;
    return next % 49 - 24;
  };
  const auto weight = [&](const std::string& name, std::vector<int64_t> shape) {
    size_t n = 1;
    for (const int64_t size : shape) n *= static_cast<size_t>(size);
    std::vector<uint16_t> values(n);
    for (uint16_t& v : values) v = half_of(value());
    tensors[name] = tensor("F16", std::move(shape), values);
  };
  const auto linear = [&](const std::string& at, int rows, int columns) {
    weight(at + "/weight", {rows, columns});
    std::vector<float> bias(static_cast<size_t>(rows));
    for (float& v : bias) v = static_cast<float>(value()) / 64;
    tensors[at + "/bias"] = tensor("F32", {rows}, bias);
  };
  int t = 0;
  for (const Shape& s : {Shape{18, 2, 2, 5, 4, 7, 7}, Shape{16, 1, 1, 1, 1, 1, 7}}) {
    const std::string at = "tower/" + std::to_string(t++);
    linear(at + "/stem", s.width, 2 * kMels);
    for (int i = 0; i < s.layers; ++i) {
      const std::string layer = at + "/layer/" + std::to_string(i);
      linear(layer + "/qkv", 3 * s.width, s.width);
      weight(layer + "/age_bias", {s.heads, s.window});
      linear(layer + "/out", s.width, s.width);
      linear(layer + "/gate", 2 * s.width, s.width);
      linear(layer + "/conv", s.width, s.taps);
      linear(layer + "/mix", s.width, s.width);
      linear(layer + "/up", s.hidden, s.width);
      linear(layer + "/down", s.width, s.hidden);
    }
    linear(at + "/head", s.outputs, s.width);
  }
}

}  // namespace ts_test
