// SPDX-License-Identifier: Apache-2.0
// What the C ABI's handles hold. Each keeps what it was made from, so that they may be destroyed in any order.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/frame.h"
#include "engine/model.h"
#include "engine/speech.h"
#include "ops/backend.h"
#include "ops/listen.h"
#include "session/session.h"
#include "talksplat.h"

struct ts_engine {
  std::shared_ptr<ts::Backend> backend;
  std::string why_cpu;  // where it is the CPU because no GPU could be opened
};

struct ts_memory {
  std::shared_ptr<ts::Backend> backend;  // outlives the memory
  std::unique_ptr<ts::DeviceMemory> memory;
  uint64_t bytes;
};

struct ts_avatar {
  std::shared_ptr<const ts::Model> model;
  std::vector<std::vector<const char*>> element_names;  // of each input; empty where its elements have none
};

struct ts_frame {
  std::unique_ptr<ts::Frame> frame;
};

struct ts_voice {
  std::shared_ptr<const ts::Voice> voice;
  std::vector<const char*> channel_names;
};

struct ts_speech {
  ts::Speech speech;
};

struct ts_listener {
  ts::Listen listen;
  const uint32_t rate_hz, channels;
  bool finished = false;
  std::vector<float> waiting = {};  // heard; those before n_read were read already
  size_t n_read = 0;
};

namespace ts::capi {

struct Callback {
  const ts_session* session;
  ts_live_callback function;
  void* user;
};

}  // namespace ts::capi

struct ts_session {
  std::mutex setting;                            // of the callback
  std::unique_ptr<ts::capi::Callback> callback;  // that the session calls
  std::shared_ptr<ts::Session> session;
};
