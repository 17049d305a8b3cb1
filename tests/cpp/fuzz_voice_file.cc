// SPDX-License-Identifier: Apache-2.0
// Fuzzer of the voice reader. Whatever the bytes, parse_voice_file() must refuse them with kVoiceInvalid and a message,
// or accept them, and then the voice must speak: finite numbers, whatever its weights.
#include <cmath>
#include <memory>

#include "engine/voice_file.h"
#include "fuzz.h"
#include "ops/backend.h"
#include "ops/drive.h"

const char* const kFuzzer = "fuzz_voice_file";

namespace {

void use(const ts::VoiceFile& voice) {
  REQUIRE(voice.look_ahead_steps >= 0 && voice.look_ahead_steps <= 3);
  REQUIRE(std::strlen(voice.manifest.c_str()) == voice.manifest.size());
  for (const char* needed : ts::kVoiceChannelNames) {
    int found = 0;
    for (const std::string& name : voice.channel_names) found += name == needed;
    REQUIRE(found == 1);
  }
  std::shared_ptr<ts::Backend> backend;
  REQUIRE(ts::open_backend({nullptr, 1, nullptr}, backend).ok());
  const auto model = std::make_shared<ts::EncodeModel>(voice.mel, voice.towers);
  REQUIRE(static_cast<size_t>(model->n_channels) == voice.channel_names.size());
  ts::Encode encode(model, backend->make_encode_stream(model));
  float sound[480];
  for (int i = 0; i < 480; ++i) sound[i] = i % 7 < 3 ? 0.5f : -0.25f;
  for (int i = 0; i < 4; ++i) encode.push(sound, 480);
  const ts::EncodeCall steps = encode.waiting();
  REQUIRE(steps.n == 6 && backend->encode(&steps, 1).ok() && encode.finish() == 6);
  for (int step = 0; step < 6; ++step) {
    for (int i = 0; i < model->n_channels; ++i) REQUIRE(std::isfinite(encode.channel(step)[i]));
    for (int i = 0; i < model->n_features; ++i) REQUIRE(std::isfinite(encode.feature(step)[i]));
  }
}

}  // namespace

bool check_one(const uint8_t* data, size_t size) {
  ts::VoiceFile voice;
  const ts::Status status = ts::parse_voice_file(data, size, voice);
  if (status.ok()) {
    use(voice);
  } else {
    REQUIRE(status.code() == ts::StatusCode::kVoiceInvalid && !status.message().empty());
    REQUIRE(status.message().size() < 1000);  // names from the file are shortened
  }
  return status.ok();
}
