// SPDX-License-Identifier: Apache-2.0
#include "engine/voice_file.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/mapped_file.h"
#include "core/safetensors.h"
#include "core/text.h"
#include "engine/manifest_node.h"
#include "engine/tensor_reader.h"
#include "ops/drive.h"

namespace ts {
namespace {

using manifest::Node;

constexpr int64_t kFormat = 1;
constexpr int kMaxTowers = 4, kMaxLayers = 8, kMaxChannels = 256;
constexpr double kMostManner = 3;  // of head motion, times the usual

// ---- manifest ----

Status read_number(const Node& node, double low, double high, double& out) {
  float value = 0;
  TS_RETURN_IF_ERROR(node.number(value));
  TS_RETURN_IF_ERROR(node.require(node.real() >= low && node.real() <= high,
                                  "be from " + manifest::show(Json(low)) + " to " + manifest::show(Json(high))));
  out = node.real();
  return Status();
}

Status read_mel(const Node& root, MelParams& mel) {
  for (const auto& [key, value] : {std::pair("rate_hz", 16000), std::pair("hop", kMelHop),
                                   std::pair("window", kMelWindow), std::pair("fft", PowerSpectrum512::kSize)}) {
    int64_t given = 0;
    TS_RETURN_IF_ERROR(root.at(key).integer(value, value, given));
  }
  TS_RETURN_IF_ERROR(root.at("n_mels").integer(1, 128, mel.n_mels));
  TS_RETURN_IF_ERROR(read_number(root.at("f_max_hz"), 1, 8000, mel.f_max_hz));
  TS_RETURN_IF_ERROR(read_number(root.at("f_min_hz"), 0, mel.f_max_hz - 1, mel.f_min_hz));
  const Node leveller = root.at("leveller"), feature = root.at("feature");
  TS_RETURN_IF_ERROR(read_number(leveller.at("start_db"), -100, 100, mel.start_db));
  TS_RETURN_IF_ERROR(read_number(leveller.at("floor_db"), -100, 100, mel.floor_db));
  TS_RETURN_IF_ERROR(read_number(leveller.at("attack_s"), 1e-3, 100, mel.attack_s));
  TS_RETURN_IF_ERROR(read_number(leveller.at("release_db_per_s"), 0, 1000, mel.release_db_per_s));
  TS_RETURN_IF_ERROR(read_number(feature.at("offset_db"), -100, 100, mel.offset_db));
  TS_RETURN_IF_ERROR(read_number(feature.at("scale_db"), 1e-3, 1000, mel.scale_db));
  TS_RETURN_IF_ERROR(read_number(feature.at("clip_high"), -1000, 1000, mel.clip_high));
  return read_number(feature.at("clip_low"), -1000, mel.clip_high, mel.clip_low);
}

bool is_probability(const std::string& channel) {
  return channel == kVoiceChannelNames[kClosure] || channel == kVoiceChannelNames[kVoice];
}
bool is_known(const std::string& channel) {
  return std::find(std::begin(kVoiceChannelNames), std::end(kVoiceChannelNames), channel) !=
         std::end(kVoiceChannelNames);
}

// Adds those of this tower's names that no tower before it has to `said`, and whether they are in its sigmoid to
// `squashed`.
Status read_channels(const Node& node, std::vector<std::string>& said, std::vector<bool>& squashed,
                     TowerWeights& tower) {
  const Node channels = node.at("channels"), sigmoid = node.at("sigmoid");
  size_t count = 0, n_sigmoid = 0;
  TS_RETURN_IF_ERROR(channels.list(-1, count));
  TS_RETURN_IF_ERROR(
      channels.require(count >= 1 && count <= kMaxChannels, "have 1 to " + std::to_string(kMaxChannels) + " entries"));
  const size_t before = said.size();
  std::vector<std::string> own;
  for (size_t i = 0; i < count; ++i) {
    std::string name;
    TS_RETURN_IF_ERROR(channels.at(i).name(name));
    TS_RETURN_IF_ERROR(
        channels.at(i).require(std::count(own.begin(), own.end(), name) == 0, "be unique among this tower's"));
    const auto known = std::find(said.begin(), said.end(), name);
    tower.channel.push_back(static_cast<int>(known - said.begin()));
    if (known == said.end()) said.push_back(name);
    own.push_back(std::move(name));
  }
  tower.outputs = static_cast<int>(count);
  tower.sigmoid.assign(count, false);
  TS_RETURN_IF_ERROR(sigmoid.list(-1, n_sigmoid));
  for (size_t i = 0; i < n_sigmoid; ++i) {
    std::string name;
    TS_RETURN_IF_ERROR(sigmoid.at(i).name(name));
    const auto it = std::find(own.begin(), own.end(), name);
    TS_RETURN_IF_ERROR(sigmoid.at(i).require(it != own.end(), "be one of this tower's channels"));
    const auto channel = static_cast<size_t>(it - own.begin());
    TS_RETURN_IF_ERROR(sigmoid.at(i).require(!tower.sigmoid[channel], "be listed once"));
    tower.sigmoid[channel] = true;
  }
  squashed.resize(said.size());
  for (size_t i = 0; i < count; ++i) {
    const auto channel = static_cast<size_t>(tower.channel[i]);
    if (channel >= before) squashed[channel] = tower.sigmoid[i];
    if (tower.sigmoid[i] != (is_known(own[i]) ? is_probability(own[i]) : squashed[channel]))
      return channels.at(i).require(false, tower.sigmoid[i] ? "not be listed in sigmoid" : "be listed in sigmoid too");
  }
  return Status();
}

Status read_tower(const Node& node, int n_mels, std::vector<std::string>& said, std::vector<bool>& squashed,
                  TowerWeights& tower) {
  int layers = 0;
  tower.inputs = 2 * n_mels;
  TS_RETURN_IF_ERROR(node.at("width").integer(16, 512, tower.width));
  TS_RETURN_IF_ERROR(node.at("heads").integer(1, 16, tower.heads));
  TS_RETURN_IF_ERROR(node.at("width").require(tower.width % tower.heads == 0,
                                              "be a multiple of heads, " + std::to_string(tower.heads)));
  TS_RETURN_IF_ERROR(node.at("layers").integer(1, kMaxLayers, layers));
  TS_RETURN_IF_ERROR(node.at("window").integer(1, 256, tower.window));
  TS_RETURN_IF_ERROR(node.at("taps").integer(1, 64, tower.taps));
  TS_RETURN_IF_ERROR(node.at("hidden").integer(1, 2048, tower.hidden));
  tower.layers.resize(static_cast<size_t>(layers));
  return read_channels(node, said, squashed, tower);
}

Status read_manifest(const std::string& text, VoiceFile& voice) {
  Json json;
  TS_RETURN_IF_ERROR(manifest::parse(text, kFormat, kVoiceErrors.invalid, json));
  const Node root(json, kVoiceErrors.invalid);

  TS_RETURN_IF_ERROR(root.at("name").name(voice.name));
  voice.features = kVoiceFeatures;
  if (json.find("features")) {
    const Node features = root.at("features");
    TS_RETURN_IF_ERROR(features.name(voice.features));
    TS_RETURN_IF_ERROR(
        features.require(is_voice_features(voice.features), std::string("begin with ") + kVoiceFeatures));
  }
  TS_RETURN_IF_ERROR(root.at("licence").is_text());
  const Json* provenance = json.find("provenance");
  TS_RETURN_IF_ERROR(root.at("provenance").require(provenance && provenance->object(), "be an object"));
  TS_RETURN_IF_ERROR(root.at("look_ahead_steps").integer(0, 3, voice.look_ahead_steps));
  TS_RETURN_IF_ERROR(read_mel(root, voice.mel));
  if (const Node head = root.at("head"); !head.absent()) {
    size_t axes = 0;
    TS_RETURN_IF_ERROR(head.list(3, axes));
    for (size_t i = 0; i < axes; ++i)
      TS_RETURN_IF_ERROR(read_number(head.at(i), 0, kMostManner, voice.manner.share[i]));
  }
  const Node towers = root.at("towers");
  size_t count = 0;
  TS_RETURN_IF_ERROR(towers.list(-1, count));
  TS_RETURN_IF_ERROR(
      towers.require(count >= 1 && count <= kMaxTowers, "have 1 to " + std::to_string(kMaxTowers) + " entries"));
  voice.towers.resize(count);
  std::vector<bool> squashed;
  for (size_t t = 0; t < count; ++t)
    TS_RETURN_IF_ERROR(read_tower(towers.at(t), voice.mel.n_mels, voice.channel_names, squashed, voice.towers[t]));
  for (const char* name : kVoiceChannelNames) {
    if (std::count(voice.channel_names.begin(), voice.channel_names.end(), name) == 0)
      return root.invalid("no tower has the channel " + quoted(name) + ", which a voice must have");
  }
  voice.manifest = text;
  return Status();
}

// ---- tensors ----

// Reads one file's tensors into its VoiceFile, whose manifest fields are already there.
class Reader {
 public:
  Reader(const Safetensors& table, VoiceFile& voice) : in_(table, kVoiceErrors.invalid), voice_(voice) {}

  Status read() {
    for (size_t t = 0; t < voice_.towers.size(); ++t)
      TS_RETURN_IF_ERROR(tower("tower/" + std::to_string(t), voice_.towers[t]));
    return in_.forbid_others("voice");
  }

 private:
  Status tower(const std::string& at, TowerWeights& t) {
    TS_RETURN_IF_ERROR(linear(at + "/stem", t.width, t.inputs, t.stem));
    for (size_t i = 0; i < t.layers.size(); ++i)
      TS_RETURN_IF_ERROR(layer(at + "/layer/" + std::to_string(i), t, t.layers[i]));
    return linear(at + "/head", t.outputs, t.width, t.head);
  }

  Status layer(const std::string& at, const TowerWeights& t, LayerWeights& layer) {
    TS_RETURN_IF_ERROR(linear(at + "/qkv", 3 * t.width, t.width, layer.qkv));
    TS_RETURN_IF_ERROR(get(at + "/age_bias", {t.heads, t.window}, layer.age_bias));
    TS_RETURN_IF_ERROR(linear(at + "/out", t.width, t.width, layer.out));
    TS_RETURN_IF_ERROR(linear(at + "/gate", 2 * t.width, t.width, layer.gate));
    TS_RETURN_IF_ERROR(get(at + "/conv/weight", {t.width, t.taps}, layer.conv_weight));
    TS_RETURN_IF_ERROR(get(at + "/conv/bias", {t.width}, layer.conv_bias));
    TS_RETURN_IF_ERROR(linear(at + "/mix", t.width, t.width, layer.mix));
    TS_RETURN_IF_ERROR(linear(at + "/up", t.hidden, t.width, layer.up));
    return linear(at + "/down", t.width, t.hidden, layer.down);
  }

  Status linear(const std::string& at, int rows, int columns, LinearWeights& out) {
    TS_RETURN_IF_ERROR(get(at + "/weight", {rows, columns}, out.weight));
    return get(at + "/bias", {rows}, out.bias);
  }

  Status get(const std::string& name, std::initializer_list<Axis> axes, std::vector<float>& out) {
    TS_RETURN_IF_ERROR(in_.get_floats(name, axes, out));
    voice_.n_parameters += out.size();
    return Status();
  }

  TensorReader in_;
  VoiceFile& voice_;
};

bool is_avatar(const uint8_t* data, size_t size) {
  const SafetensorsRules any{
      "", kVoiceErrors.invalid, {Dtype::kF32, Dtype::kU8, Dtype::kU16, Dtype::kU32, Dtype::kI32}};
  Safetensors table;
  return read_safetensors(data, size, any, table).ok() && table.find_metadata("talksplat");
}

}  // namespace

bool is_voice_features(const std::string& name) { return name.rfind(kVoiceFeatures, 0) == 0; }

Status parse_voice_file(const uint8_t* data, size_t size, VoiceFile& voice) {
  const auto invalid = [](const char* message) { return Status(kVoiceErrors.invalid, message); };
  Safetensors table;
  const Status status =
      read_safetensors(data, size, {"a voice", kVoiceErrors.invalid, {Dtype::kF16, Dtype::kF32}}, table);
  const std::string* manifest = status.ok() ? table.find_metadata("talksplat_voice") : nullptr;
  if (!manifest) {
    if (is_avatar(data, size)) return invalid("an avatar, not a voice");
    TS_RETURN_IF_ERROR(status);
    return invalid("a safetensors file, but no voice: __metadata__ has no \"talksplat_voice\" manifest");
  }
  VoiceFile result;
  TS_RETURN_IF_ERROR(read_manifest(*manifest, result));
  TS_RETURN_IF_ERROR(Reader(table, result).read());
  result.file_bytes = size;
  voice = std::move(result);
  return Status();
}

Status read_voice_file(const char* path, VoiceFile& voice) {
  std::unique_ptr<MappedFile> mapping;
  Status status = MappedFile::open(path, kVoiceErrors, mapping);
  if (status.ok()) status = parse_voice_file(mapping->data(), mapping->size(), voice);
  if (!status.ok()) return Status(status.code(), printable(path) + ": " + status.message());
  return Status();
}

}  // namespace ts
