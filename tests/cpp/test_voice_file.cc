// SPDX-License-Identifier: Apache-2.0
// The reader of voice files: a good file arrives whole, and whatever is wrong with a bad one is named.
// `test_voice_file --write FILE` writes the sample voice instead, for other tests.
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "check.h"
#include "engine/avatar_file.h"
#include "engine/voice_file.h"
#include "math/half.h"
#include "reader_test.h"
#include "sample_avatar.h"
#include "sample_voice.h"

using ts::Status;
using ts::StatusCode;
using ts::VoiceFile;
using ts_test::Bytes;
using ts_test::expect;
using ts_test::kInf;
using ts_test::kNan;
using ts_test::safetensors_file;
using ts_test::SampleVoice;
using ts_test::write;

namespace {

using Break = ts_test::Break<SampleVoice>;

Status parse(const Bytes& file) {
  VoiceFile voice;
  return ts::parse_voice_file(file.data(), file.size(), voice);
}

void expect_invalid(const Bytes& file, const std::string& part) {
  expect(parse(file), StatusCode::kVoiceInvalid, part);
}

void loads_everything() {
  const Bytes file = SampleVoice().file();
  VoiceFile v;
  const Status status = ts::parse_voice_file(file.data(), file.size(), v);
  if (!CHECK_MESSAGE(status.ok(), status.message())) return;
  CHECK(v.name == "sample" && v.look_ahead_steps == 3 && v.manifest == SampleVoice().manifest);
  CHECK(v.mel.n_mels == 3 && v.mel.f_min_hz == 60 && v.mel.f_max_hz == 7600 && v.mel.start_db == -20);
  CHECK(v.mel.floor_db == -55 && v.mel.attack_s == 0.03 && v.mel.release_db_per_s == 3);
  CHECK(v.mel.offset_db == -21 && v.mel.scale_db == 15 && v.mel.clip_low == -4 && v.mel.clip_high == 4.5);
  CHECK(v.manner.share[0] == 1.5 && v.manner.share[1] == 0.5 && v.manner.share[2] == 1);
  CHECK(v.channel_names.size() == 14 && v.channel_names[6] == "voice" && v.channel_names[13] == "breath");
  CHECK(v.file_bytes == file.size());
  if (!CHECK(v.towers.size() == 2)) return;
  const ts::TowerWeights &t = v.towers[0], &small = v.towers[1];
  CHECK(t.inputs == 6 && t.width == 18 && t.heads == 2 && t.window == 5 && t.taps == 4 && t.hidden == 7);
  CHECK(t.layers.size() == 2 && t.outputs == 7 && t.sigmoid[6] && !t.sigmoid[0]);
  CHECK(small.width == 16 && small.layers.size() == 1 && small.sigmoid[5] && small.sigmoid[6] && !small.sigmoid[4]);

  uint64_t n = 0;
  const SampleVoice sample;
  for (const auto& [name, tensor] : sample.tensors) n += tensor.bytes.size() / (tensor.dtype == "F16" ? 2 : 4);
  CHECK(v.n_parameters == n);
  const auto same = [&](const std::string& name, const std::vector<float>& values) {
    const ts_test::SampleTensor& tensor = sample.tensors.at(name);
    const bool half = tensor.dtype == "F16";
    if (!CHECK_MESSAGE(values.size() == tensor.bytes.size() / (half ? 2 : 4), name)) return;
    for (size_t i = 0; i < values.size(); ++i) {
      float want = 0;
      uint16_t bits = 0;
      std::memcpy(half ? static_cast<void*>(&bits) : &want, tensor.bytes.data() + i * (half ? 2 : 4), half ? 2 : 4);
      if (half) want = ts::float_of_half(bits);
      if (!CHECK_MESSAGE(values[i] == want, name)) return;
    }
  };
  const ts::LayerWeights& layer = t.layers[1];
  same("tower/0/stem/weight", t.stem.weight), same("tower/0/stem/bias", t.stem.bias);
  same("tower/0/layer/1/qkv/weight", layer.qkv.weight), same("tower/0/layer/1/qkv/bias", layer.qkv.bias);
  same("tower/0/layer/1/age_bias", layer.age_bias), same("tower/0/layer/1/out/weight", layer.out.weight);
  same("tower/0/layer/1/gate/weight", layer.gate.weight), same("tower/0/layer/1/conv/weight", layer.conv_weight);
  same("tower/0/layer/1/conv/bias", layer.conv_bias), same("tower/0/layer/1/mix/weight", layer.mix.weight);
  same("tower/0/layer/1/up/weight", layer.up.weight), same("tower/0/layer/1/down/weight", layer.down.weight);
  same("tower/1/head/weight", small.head.weight), same("tower/1/head/bias", small.head.bias);
}

void halves() {
  CHECK(ts::float_of_half(0x0000) == 0 && !std::signbit(ts::float_of_half(0x0000)));
  CHECK(std::signbit(ts::float_of_half(0x8000)));
  CHECK(ts::float_of_half(0x3c00) == 1 && ts::float_of_half(0xc000) == -2 && ts::float_of_half(0x7bff) == 65504);
  CHECK(ts::float_of_half(0x0001) == std::ldexp(1.0f, -24) && ts::float_of_half(0x0400) == std::ldexp(1.0f, -14));
  CHECK(ts::float_of_half(0x03ff) == std::ldexp(1023.0f, -24) && ts::float_of_half(0x3555) == 0.333251953125f);
  CHECK(std::isinf(ts::float_of_half(0x7c00)) && ts::float_of_half(0xfc00) == -kInf);
  CHECK(std::isnan(ts::float_of_half(0x7e00)));
}

void files() {
  VoiceFile voice;
  expect(ts::read_voice_file("there is no such file", voice), StatusCode::kVoiceNotFound, "no such file; looked from");
  expect(ts::read_voice_file(".", voice), StatusCode::kVoiceInvalid, "is a directory");
  const std::string path = "test_voice_file.safetensors";
  write(path, {});
  expect(ts::read_voice_file(path.c_str(), voice), StatusCode::kVoiceInvalid, path + ": the file is empty");
  write(path, SampleVoice().file());
  CHECK(ts::read_voice_file(path.c_str(), voice).ok() && voice.name == "sample");
  voice.name = "untouched";
  write(path, Bytes(100, 'x'));
  expect(ts::read_voice_file(path.c_str(), voice), StatusCode::kVoiceInvalid, "not a safetensors file");
  CHECK(voice.name == "untouched");
  std::filesystem::remove(path);
}

void containers() {
  const Bytes good = SampleVoice().file();
  Bytes file = good;
  file.resize(file.size() - 1);
  expect_invalid(file, "was the file cut short?");
  file = good;
  file.push_back(0);
  expect_invalid(file, "after its last tensor");
  expect_invalid({1, 2, 3}, "not a safetensors file: 3 bytes");
  expect_invalid(safetensors_file("{}", {}), "a safetensors file, but no voice");
  expect_invalid(ts_test::SampleAvatar().file(), "an avatar, not a voice");
  expect_invalid(safetensors_file("{\"__metadata__\":{\"talksplat\":\"{}\"}}", {}), "an avatar, not a voice");

  // Half floats are a voice's alone.
  ts_test::SampleAvatar avatar;
  avatar.add("gaussians/mean", "F16", {10, 3});
  ts::AvatarFile read;
  const Bytes halves = avatar.file();
  expect(ts::parse_avatar_file(halves.data(), halves.size(), read), StatusCode::kAvatarInvalid,
         "has dtype \"F16\"; an avatar may have F32, U8, U16, U32 and I32");
}

void manifests() {
  SampleVoice broken;
  broken.manifest = "{";
  expect_invalid(broken.file(), "manifest: not valid JSON");
  broken.manifest = "[]";
  expect_invalid(broken.file(), "manifest: must be an object; it is a list");
  const ts_test::Edit cases[] = {
      {"\"format\": 1, ", "", "format is missing"},
      {"\"format\": 1", "\"format\": 2", "format 2 was made by a newer talksplat"},
      {"\"format\": 1", "\"format\": 0", "format must be an integer from 1"},
      {"\"name\": \"sample\"", "\"name\": \"\"", "name must not be empty"},
      {"\"format\": 1", "\"format\": 1, \"features\": \"\"", "features must not be empty"},
      {"\"format\": 1", "\"format\": 1, \"features\": \"hubert\"", "features must begin with talksplat-voice"},
      {"\"licence\": \"Apache-2.0\"", "\"licence\": 2", "licence must be a text; got 2"},
      {"\"provenance\": {\"seed\": 1}", "\"provenance\": []", "provenance must be an object; got a list of 0"},
      {"\"rate_hz\": 16000", "\"rate_hz\": 8000", "rate_hz must be an integer from 16000 to 16000; got 8000"},
      {"\"hop\": 160", "\"hop\": 161", "hop must be"},
      {"\"window\": 400", "\"window\": 320", "window must be"},
      {"\"hop\": 160, ", "", "hop is missing"},
      {"\"fft\": 512", "\"fft\": 1024", "fft must be"},
      {"\"n_mels\": 3", "\"n_mels\": 0", "n_mels must be an integer from 1 to 128; got 0"},
      {"\"n_mels\": 3", "\"n_mels\": 129", "n_mels must be"},
      {"\"n_mels\": 3", "\"n_mels\": 4", "\"tower/0/stem/weight\" must be [18,8] F16 or F32; got [18,6] F16"},
      {"\"f_max_hz\": 7600", "\"f_max_hz\": 8000.5", "f_max_hz must be from 1 to 8000; got 8000.5"},
      {"\"f_min_hz\": 60", "\"f_min_hz\": 7600", "f_min_hz must be from 0 to 7599; got 7600"},
      {"\"f_min_hz\": 60", "\"f_min_hz\": -1", "f_min_hz must be from 0"},
      {"\"start_db\": -20, ", "", "leveller.start_db is missing"},
      {"\"start_db\": -20", "\"start_db\": 1e30", "leveller.start_db must be from -100 to 100"},
      {"\"floor_db\": -55", "\"floor_db\": \"low\"", "leveller.floor_db must be a number"},
      {"\"attack_s\": 0.03", "\"attack_s\": 0", "leveller.attack_s must be from 0.001 to 100"},
      {"\"release_db_per_s\": 3", "\"release_db_per_s\": -3", "leveller.release_db_per_s must be from 0"},
      {"\"offset_db\": -21", "\"offset_db\": 101", "feature.offset_db must be from -100"},
      {"\"scale_db\": 15", "\"scale_db\": 0", "feature.scale_db must be from 0.001"},
      {"\"clip_low\": -4", "\"clip_low\": 5", "feature.clip_low must be from -1000 to 4.5; got 5"},
      {"\"clip_high\": 4.5", "\"clip_high\": 1001", "feature.clip_high must be from -1000 to 1000"},
      {"\"head\": [1.5,", "\"head\": [3.5,", "head[0] must be from 0 to 3; got 3.5"},
      {"\"head\": [1.5, 0.5, 1]", "\"head\": [1.5, 0.5]", "head must have 3 entries; got a list of 2"},
      {"\"head\": [1.5, 0.5, 1]", "\"head\": 1", "head must be a list; got 1"},
      {"\"look_ahead_steps\": 3", "\"look_ahead_steps\": 4", "look_ahead_steps must be an integer from 0 to 3; got 4"},
      {"\"width\": 18", "\"width\": 15", "towers[0].width must be an integer from 16 to 512; got 15"},
      {"\"width\": 18", "\"width\": 513", "towers[0].width must be"},
      {"\"width\": 18", "\"width\": 19", "towers[0].width must be a multiple of heads, 2; got 19"},
      {"\"width\": 18", "\"width\": 20", "\"tower/0/stem/weight\" must be [20,6]"},
      {"\"heads\": 2", "\"heads\": 0", "towers[0].heads must be an integer from 1 to 16"},
      {"\"heads\": 2", "\"heads\": 3", "\"tower/0/layer/0/age_bias\" must be [3,5] F16 or F32; got [2,5] F16"},
      {"\"layers\": 2", "\"layers\": 9", "towers[0].layers must be an integer from 1 to 8"},
      {"\"layers\": 2", "\"layers\": 3", "tensor \"tower/0/layer/2/qkv/weight\" is missing"},
      {"\"layers\": 2", "\"layers\": 1", "\"tower/0/layer/1/age_bias\" is none of this voice's"},
      {"\"window\": 5", "\"window\": 257", "towers[0].window must be an integer from 1 to 256"},
      {"\"taps\": 4", "\"taps\": 65", "towers[0].taps must be an integer from 1 to 64"},
      {"\"taps\": 4", "\"taps\": 3", "\"tower/0/layer/0/conv/weight\" must be [18,3]"},
      {"\"hidden\": 7", "\"hidden\": 2049", "towers[0].hidden must be an integer from 1 to 2048"},
      {"\"hidden\": 7", "\"hidden\": 8", "\"tower/0/layer/0/up/weight\" must be [8,18]"},
      {"\"mouthFunnel\", ", "", "no tower has the channel \"mouthFunnel\""},
      {"\"mouthFunnel\"", "\"mouthPress\"", "no tower has the channel \"mouthFunnel\""},
      {"\"mouthFunnel\"", "\"jawOpen\"", "towers[0].channels[1] must be unique among this tower's"},
      {"\"closure\", \"breath\"],\n     \"sigmoid\": [\"closure\", \"breath\"]",
       "\"closure\", \"voice\"],\n     \"sigmoid\": [\"closure\"]",
       "towers[1].channels[6] must be listed in sigmoid too; got \"voice\""},
      {"\"mouthFunnel\"", "\"\"", "towers[0].channels[1] must not be empty"},
      {"\"sigmoid\": [\"voice\"]", "\"sigmoid\": []",
       "towers[0].channels[6] must be listed in sigmoid too; got \"voice\""},
      {"\"sigmoid\": [\"voice\"]", "\"sigmoid\": [\"voice\", \"jawOpen\"]",
       "towers[0].channels[0] must not be listed in sigmoid; got \"jawOpen\""},
      {"\"sigmoid\": [\"voice\"]", "\"sigmoid\": [\"voice\", \"closure\"]",
       "towers[0].sigmoid[1] must be one of this tower's channels"},
      {"\"sigmoid\": [\"voice\"]", "\"sigmoid\": [\"voice\", \"voice\"]", "towers[0].sigmoid[1] must be listed once"},
      {"\"breath\"],", "\"breath\", \"sigh\"],", "\"tower/1/head/weight\" must be [8,16]"},
  };
  ts_test::expect_each<SampleVoice>(cases, expect_invalid);
  for (const int towers : {0, 5}) {
    SampleVoice sample;
    const size_t begin = sample.manifest.find("[\n    {"), end = sample.manifest.find("],\n  \"licence\"");
    std::string list;
    for (int t = 0; t < towers; ++t) list += t ? ",null" : "null";
    sample.manifest.replace(begin, end - begin, "[" + list);
    expect_invalid(sample.file(), "towers must have 1 to 4 entries; got a list of " + std::to_string(towers));
  }
}

// A channel of two towers is one channel of the voice.
void sums() {
  SampleVoice sample;
  sample.replace("\"closure\", \"breath\"],\n     \"sigmoid\": [\"closure\", \"breath\"]",
                 "\"closure\", \"jawOpen\"],\n     \"sigmoid\": [\"closure\"]");
  VoiceFile v;
  const Bytes file = sample.file();
  const Status status = ts::parse_voice_file(file.data(), file.size(), v);
  if (!CHECK_MESSAGE(status.ok(), status.message())) return;
  CHECK(v.channel_names.size() == 13 && v.channel_names[0] == "jawOpen");
  CHECK(v.towers[0].channel == (std::vector<int>{0, 1, 2, 3, 4, 5, 6}));
  CHECK(v.towers[1].channel.back() == 0);
}

void tensors() {
  const std::pair<const char*, Break> cases[] = {
      {"tensor \"tower/0/stem/weight\" is missing; it must be [18,6] F16 or F32",
       [](auto& s) { s.drop("tower/0/stem/weight"); }},
      {"\"tower/0/stem/bias\" must be [18] F16 or F32; got [18,1] F32",
       [](auto& s) { s.add("tower/0/stem/bias", "F32", {18, 1}); }},
      {"\"tower/0/layer/1/qkv/weight\" must be [54,18] F16 or F32; got [18,54] F16",
       [](auto& s) { s.add("tower/0/layer/1/qkv/weight", "F16", {18, 54}); }},
      {"tensor \"tower/1/head/bias\" is missing", [](auto& s) { s.drop("tower/1/head/bias"); }},
      {"tensor \"tower/1/layer/0/down/weight\" has dtype \"U32\"; a voice may have F16 and F32",
       [](auto& s) { s.add("tower/1/layer/0/down/weight", "U32", {16, 1}); }},
      {"tensor \"extra\" is none of this voice's; its manifest asks for 53 others",
       [](auto& s) { s.add("extra", "F32", {1}); }},
      {"\"tower/0/stem/bias\" row 17 has nan; it must be finite",
       [](auto& s) { s.set("tower/0/stem/bias", 17, kNan); }},
      {"\"tower/1/head/bias\" row 0 has -inf", [](auto& s) { s.set("tower/1/head/bias", 0, -kInf); }},
      {"\"tower/0/layer/0/out/weight\" row 1 has nan",
       [](auto& s) { s.template set<uint16_t>("tower/0/layer/0/out/weight", 19, 0x7e01); }},
      {"\"tower/0/layer/0/age_bias\" row 1 has inf",
       [](auto& s) { s.template set<uint16_t>("tower/0/layer/0/age_bias", 9, 0x7c00); }},
  };
  ts_test::expect_each<SampleVoice>(cases, expect_invalid);
}

}  // namespace

int main(int argc, char** argv) {
  if (const int status = ts_test::write_if_asked<SampleVoice>(argc, argv); status >= 0) return status;
  loads_everything();
  sums();
  halves();
  files();
  containers();
  manifests();
  tensors();
  return ts_test::report("test_voice_file");
}
