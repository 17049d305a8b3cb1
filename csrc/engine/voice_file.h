// SPDX-License-Identifier: Apache-2.0
// VoiceFile — a validated voice: one safetensors file whose __metadata__["talksplat_voice"] is a JSON manifest and
// whose tensors are the network's, F16 or F32. After read_voice_file() succeeds every size in it can be trusted and
// every number is finite.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "ops/encode.h"
#include "ops/face.h"

namespace ts {

// The features of voices that do not name them, and how the name of every other version of them begins.
constexpr char kVoiceFeatures[] = "talksplat-voice";
bool is_voice_features(const std::string& name);

struct VoiceFile {
  std::string manifest;  // the JSON text
  std::string name;
  std::string features;      // the name of what its first tower knows of the sound: avatars are fitted to it
  int look_ahead_steps = 0;  // that the network was trained with
  Manner manner;             // optional; the usual one where the file has none
  MelParams mel;
  std::vector<TowerWeights> towers;
  std::vector<std::string> channel_names;  // over all towers; each of drive's once, others may follow
  uint64_t n_parameters = 0, file_bytes = 0;
};

// Fails with kVoiceNotFound (no such file, not readable) or kVoiceInvalid (anything wrong with its contents: the
// message says which key or tensor, what was expected, what was found). `voice` is untouched then.
Status read_voice_file(const char* path, VoiceFile& voice);

// The same for a file that is already in memory; `data` must be aligned to 8.
Status parse_voice_file(const uint8_t* data, size_t size, VoiceFile& voice);

}  // namespace ts
