// SPDX-License-Identifier: Apache-2.0
// Avatars whose networks hear windows of features, through the C ABI: a stream of the voice fills the window, waits for
// the frames after it, moves brows and lids, and refuses what does not fit. Arguments: a voice, and an avatar of another
// encoder.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "check.h"
#include "reader_test.h"
#include "sample_deform.h"
#include "talksplat.h"

using ts_test::contains;

namespace {

constexpr int kFeatures = 18;  // of the sample voice
constexpr int64_t kSamples = 24000, kFrames = 38;
constexpr double kAfterS = 1 / 25.0;  // the sample's window ends a frame later

// The sample avatar, told brows and lids, that hears the sample voice: each of kFrames frames and both beside it.
ts_test::SampleDeform listener(int channels = kFeatures, int length = 1) {
  ts_test::SampleDeform sample;
  const std::string c = std::to_string(channels), l = std::to_string(length);
  sample.replace("\"size\": 24", "\"size\": " + std::to_string(3 * channels * length));
  sample.replace("\"channels\": 4, \"length\": 2", "\"channels\": " + c + ", \"length\": " + l);
  sample.replace("\"shape\": [3, 4, 2]", "\"shape\": [3, " + c + ", " + l + "]");
  sample.replace("\"hubert\"", "\"talksplat-voice\"");
  sample.replace("\"brow\", \"blink\", \"jaw\"", "\"au01_R\", \"AU45\", \"jaw\"");
  sample.replace("\"name\": \"head\"", "\"name\": \"head_pose\"");
  const std::vector<float> weight(static_cast<size_t>(5 * channels * 3), 0.01f);
  sample.tensors["deform/condition/1/weight"] = ts_test::tensor("F32", {5, channels, 3}, weight);
  return sample;
}

ts_avatar* load(ts_engine* engine, const ts_test::SampleDeform& sample) {
  std::string pattern = (std::filesystem::temp_directory_path() / "talksplat_test_XXXXXX").string();
  ts_avatar* avatar = nullptr;
  if (!CHECK(mkdtemp(pattern.data()))) return nullptr;
  ts_test::write(pattern + "/a.tsplat", sample.file());
  CHECK_MESSAGE(ts_avatar_load(engine, (pattern + "/a.tsplat").c_str(), &avatar) == TS_OK, ts_last_error());
  std::filesystem::remove_all(pattern);
  return avatar;
}

ts_avatar_info info_of(const ts_avatar* avatar) {
  ts_avatar_info info{};
  info.struct_size = sizeof info;
  CHECK(ts_avatar_get_info(avatar, &info) == TS_OK);
  return info;
}

uint32_t offset_of(const ts_avatar* avatar, const char* input) {
  ts_input_info info{};
  info.struct_size = sizeof info;
  CHECK(ts_avatar_find_input(avatar, input, &info) == TS_OK);
  return info.offset;
}

ts_speech* speech_at(ts_engine* engine, const ts_voice* voice, double fps = 25) {
  ts_speech_params params = ts_speech_params_default();
  params.fps = fps;
  params.blink = 2;
  ts_speech* speech = nullptr;
  CHECK(ts_speech_create(engine, voice, &params, &speech) == TS_OK);
  return speech;
}

std::vector<float> sound() {
  std::vector<float> x(kSamples);
  for (size_t i = 0; i < x.size(); ++i) {
    const float t = static_cast<float>(i);
    x[i] = 0.3f * std::sin(0.05f * t) * std::sin(0.0007f * t) + (i % 97 < 40 ? 0.1f : 0.0f);
  }
  return x;
}

struct Faces {
  std::vector<float> weight = std::vector<float>(kFrames * TS_N_WEIGHTS), head_pose = std::vector<float>(kFrames * 3),
                     feature = std::vector<float>(kFrames * kFeatures);
};

Faces faces_of(ts_engine* engine, const ts_voice* voice, const std::vector<float>& x) {
  ts_speech* speech = speech_at(engine, voice);
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, x.data(), kSamples) == TS_OK && ts_speech_finish(speech) == TS_OK);
  Faces out;
  ts_faces faces{};
  faces.struct_size = sizeof faces;
  faces.weight = out.weight.data(), faces.head_pose = out.head_pose.data(), faces.feature = out.feature.data();
  int64_t n = 0;
  CHECK(ts_speech_read(speech, &faces, kFrames, &n) == TS_OK && n == kFrames);
  ts_speech_destroy(speech);
  return out;
}

// Controls of all frames, pushed `hop` samples at a time and read at most `most` frames at a time.
std::vector<float> controls_of(ts_speech* speech, const ts_avatar* avatar, const std::vector<float>& x, int64_t hop,
                               int64_t most) {
  const int64_t n_control = info_of(avatar).n_control;
  std::vector<float> control(static_cast<size_t>(kFrames * n_control));
  int64_t read = 0;
  const auto read_ready = [&] {
    for (int64_t n = 1; n > 0; read += n) {
      const int64_t ready = ts_speech_ready_control(speech, avatar);
      CHECK(ts_speech_read_control(speech, avatar, control.data() + read * n_control, std::min(most, kFrames - read),
                                   &n) == TS_OK);
      CHECK(n == std::min({ready, most, kFrames - read}));
    }
  };
  for (int64_t at = 0; at < kSamples; at += hop) {
    CHECK(ts_speech_push(speech, TS_SAMPLE_F32, x.data() + at, std::min(hop, kSamples - at)) == TS_OK);
    read_ready();
  }
  CHECK(read < kFrames);
  CHECK(ts_speech_finish(speech) == TS_OK);
  read_ready();
  CHECK(read == kFrames && ts_speech_ready_control(speech, avatar) == 0);
  return control;
}

void windows_hold_the_frames_around(ts_engine* engine, const ts_avatar* avatar, const ts_voice* voice) {
  const std::vector<float> x = sound();
  const Faces faces = faces_of(engine, voice, x);
  ts_speech* speech = speech_at(engine, voice);
  const std::vector<float> control = controls_of(speech, avatar, x, kSamples, kFrames);
  const int64_t n_control = info_of(avatar).n_control;
  const uint32_t audio = offset_of(avatar, "audio"), au = offset_of(avatar, "au"),
                 head = offset_of(avatar, "head_pose");
  constexpr int kBrow = 43, kBlinkLeft = 0, kBlinkRight = 7;  // among ARKit's weights
  float most = 0, least_feature = 0;
  for (int64_t frame = 0; frame < kFrames; ++frame) {
    const float* row = control.data() + frame * n_control;
    for (int64_t k = 0; k < 3; ++k) {
      const int64_t of = frame + k - 1;
      for (int i = 0; i < kFeatures; ++i) {
        const float wanted = of < 0 || of >= kFrames ? 0 : faces.feature[static_cast<size_t>(of * kFeatures + i)];
        CHECK(row[audio + k * kFeatures + i] == wanted);
        least_feature = std::min(least_feature, wanted);
      }
    }
    const float* weight = faces.weight.data() + frame * TS_N_WEIGHTS;
    CHECK(std::abs(row[au] - 4 * weight[kBrow]) < 1e-6f);
    CHECK(std::abs(row[au + 1] - (weight[kBlinkLeft] + weight[kBlinkRight])) < 1e-6f);
    CHECK(row[au + 2] == 0);  // its default: no action unit
    CHECK(std::equal(row + head, row + head + 3, faces.head_pose.data() + frame * 3));
    most = std::max(most, row[au + 1]);
  }
  CHECK(least_feature < 0 && most > 0.5f && most <= 2);
  for (const auto& [hop, reads] : {std::pair{int64_t{317}, int64_t{1}}, {1280, 3}, {12001, kFrames}}) {
    ts_speech_reset(speech);
    CHECK(controls_of(speech, avatar, x, hop, reads) == control);
  }
  // Faces and controls are of one queue: who reads both misses no feature.
  ts_speech_reset(speech);
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, x.data(), kSamples) == TS_OK && ts_speech_finish(speech) == TS_OK);
  int64_t n = 0;
  std::vector<float> two(static_cast<size_t>(n_control));
  ts_faces none{};
  none.struct_size = sizeof none;
  CHECK(ts_speech_read(speech, &none, 5, &n) == TS_OK && n == 5);
  CHECK(ts_speech_read_control(speech, avatar, two.data(), 1, &n) == TS_OK && n == 1);
  CHECK(std::equal(two.begin(), two.end(), control.begin() + 5 * n_control));
  ts_speech_destroy(speech);
}

void frames_wait_for_those_after_them(ts_engine* engine, const ts_avatar* avatar, const ts_voice* voice) {
  ts_voice_info info{};
  info.struct_size = sizeof info;
  CHECK(ts_voice_get_info(voice, &info) == TS_OK);
  CHECK(std::abs(info_of(avatar).look_ahead_s - kAfterS) < 1e-9);
  ts_speech* speech = speech_at(engine, voice);
  CHECK(ts_speech_ready_control(speech, avatar) == 0 && ts_speech_ready_control(nullptr, avatar) == 0);
  const std::vector<float> x = sound();
  const double seconds = 1.0;
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, x.data(), 16000) == TS_OK);
  const auto frames_by = [](double s) { return static_cast<int64_t>(std::floor(s * 25 + 1e-9)) + 1; };
  CHECK(ts_speech_ready(speech) == frames_by(seconds - info.look_ahead_s));
  CHECK(ts_speech_ready_control(speech, avatar) == frames_by(seconds - info.look_ahead_s - kAfterS));
  ts_speech_destroy(speech);
}

void what_does_not_fit_is_refused(ts_engine* engine, const ts_voice* voice, const char* hubert) {
  ts_speech* speech = speech_at(engine, voice);
  const auto refused = [&](ts_speech* by, const ts_avatar* avatar, const char* part) {
    int64_t n = 7;
    CHECK(ts_speech_read_control(by, avatar, nullptr, 0, &n) == TS_INVALID_ARGUMENT && n == 0);
    CHECK_MESSAGE(contains(ts_last_error(), part), ts_last_error());
  };
  ts_avatar* other = nullptr;
  CHECK(ts_avatar_load(engine, hubert, &other) == TS_OK);
  CHECK(info_of(other).speaks == 0 && info_of(other).has_face == 0);
  refused(speech, other, "features that hubert made of the sound");
  refused(speech, other, "--features");
  ts_avatar_destroy(other);

  ts_avatar* wide = load(engine, listener(kFeatures + 1));
  refused(speech, wide, "\"audio\" of this avatar takes 19 channels of length 1 a frame, and this voice has 18");
  ts_avatar_destroy(wide);
  ts_avatar* longer = load(engine, listener(kFeatures, 2));
  refused(speech, longer, "takes 18 channels of length 2 a frame, and this voice has 18 features of length 1");
  ts_avatar_destroy(longer);
  ts_test::SampleDeform newer = listener();
  newer.replace("\"talksplat-voice\"", "\"talksplat-voice-2\"");
  ts_avatar* other_ear = load(engine, newer);
  refused(speech, other_ear, "fitted to the features talksplat-voice-2, and this voice has talksplat-voice. Load");
  ts_avatar_destroy(other_ear);

  ts_avatar* avatar = load(engine, listener());
  ts_speech* fast = speech_at(engine, voice, 30);
  refused(fast, avatar, "frames at 25 fps; got a stream of 30");
  ts_speech_destroy(fast);
  ts_avatar_destroy(avatar);
  ts_speech_destroy(speech);
}

}  // namespace

int main(int argc, char** argv) {
  ts_engine* engine = nullptr;
  ts_voice* voice = nullptr;
  CHECK(ts_engine_create(nullptr, &engine) == TS_OK);
  if (!CHECK(argc == 3 && ts_voice_load(argv[1], &voice) == TS_OK)) return ts_test::report("test_hearing");
  ts_avatar* avatar = load(engine, listener());
  if (!avatar) return ts_test::report("test_hearing");
  CHECK(info_of(avatar).speaks == 1 && info_of(avatar).has_face == 1);
  windows_hold_the_frames_around(engine, avatar, voice);
  frames_wait_for_those_after_them(engine, avatar, voice);
  what_does_not_fit_is_refused(engine, voice, argv[2]);
  ts_avatar_destroy(avatar);
  ts_voice_destroy(voice);
  ts_engine_destroy(engine);
  return ts_test::report("test_hearing");
}
