// SPDX-License-Identifier: Apache-2.0
// Lips and life against what the float64 oracle says of them while a user sets this and that. Its argument is
// tests/golden/life.safetensors, which tests/golden/life.py describes.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "check.h"
#include "core/mapped_file.h"
#include "core/safetensors.h"
#include "ops/drive_life.h"
#include "ops/drive_lips.h"

namespace {

constexpr double kTolerance = 1e-6;  // the cap of drive in tests/tolerances.py

struct Rows {
  const float* data = nullptr;
  int64_t n = 0, width = 1;
  const float* row(int64_t i) const { return data + i * width; }
};

class Case {
 public:
  Case(const ts::Safetensors& file, const std::string& name) : file_(file), name_(name) {}

  const ts::SafetensorsTensor& tensor(const char* of) const {
    const ts::SafetensorsTensor* found = file_.find(name_ + "/" + of);
    if (!CHECK_MESSAGE(found != nullptr, name_ + "/" + of + " is not there"))
      std::exit(ts_test::report("drive_oracle"));
    return *found;
  }
  Rows rows(const char* of) const {
    const ts::SafetensorsTensor& t = tensor(of);
    return {reinterpret_cast<const float*>(t.data), t.shape[0], t.ndim == 2 ? t.shape[1] : 1};
  }

 private:
  const ts::Safetensors& file_;
  std::string name_;
};

ts::Presence presence_of(const float* row) {
  ts::Presence p;
  const float* at = row + 1;
  p.look = *at++ != 0;
  for (double& x : p.gaze) x = static_cast<double>(*at++);
  for (double& x : p.head_pose) x = static_cast<double>(*at++);
  p.head = static_cast<double>(*at++);
  p.blink = static_cast<double>(*at++);
  p.listening = static_cast<double>(*at++);
  for (double& x : p.emotion) x = static_cast<double>(*at++);
  return p;
}

void agrees(const Case& expected) {
  const float* p = expected.rows("params").data;
  ts::DriveParams params;
  params.fps = static_cast<double>(p[0]);
  params.seed = static_cast<uint64_t>(p[1]);
  params.mouth = p[2], params.head = p[3], params.blink = p[4];
  const int64_t every = static_cast<int64_t>(p[5]);
  const ts::SafetensorsTensor& channel = expected.tensor("channel");
  const Rows presence = expected.rows("presence"), weight = expected.rows("weight"), pose = expected.rows("head_pose"),
             breath = expected.rows("breath");
  ts::Lips lips(params);
  ts::Life life(params.seed, static_cast<double>(params.head), static_cast<double>(params.blink));
  int64_t lived = 0, set = 0, frame = 0, compared = 0;
  double worst = 0;
  for (int64_t j = 0; j < channel.shape[0]; ++j) {
    float said[ts::kVoiceChannels];
    for (int c = 0; c < ts::kVoiceChannels; ++c) said[c] = channel.data[j * ts::kVoiceChannels + c] / 255.0f;
    lips.push(said);
    ts::Face face;
    int64_t step;
    float share;
    for (; lips.pop(&face, &step, &share); ++frame) {
      for (; lived < lips.taken(); ++lived) {
        for (; set < presence.n && static_cast<int64_t>(presence.row(set)[0]) == lived; ++set) {
          life.set(presence_of(presence.row(set)));
        }
        const ts::Gate& gate = lips.gate(lived);
        life.step(gate.open, gate.jaw, gate.phrase_ends);
      }
      const double at_s = static_cast<double>(frame) / params.fps;
      life.at(at_s, static_cast<double>(frame) * ts::kStepHz / params.fps - static_cast<double>(step), &face);
      if (frame % every != 0) continue;
      if (!CHECK(compared < weight.n)) return;
      const auto differ = [&](double got, float want, const std::string& what) {
        const double off = std::fabs(got - static_cast<double>(want));
        worst = std::max(worst, off);
        CHECK_MESSAGE(off <= kTolerance, what + " at " + std::to_string(at_s) + " s: " + std::to_string(got) +
                                             ", not " + std::to_string(want));
      };
      for (int w = 0; w < ts::kArkitWeights; ++w) {
        differ(static_cast<double>(face.weight[w]), weight.row(compared)[w], ts::kArkitNames[w]);
      }
      for (int axis = 0; axis < 3; ++axis) {
        differ(static_cast<double>(face.head_pose[axis]), pose.row(compared)[axis], "head_pose");
      }
      differ(static_cast<double>(face.breath), *breath.row(compared), "breath");
      ++compared;
    }
  }
  CHECK(compared == weight.n && set == presence.n);
  std::printf("%lld faces, worst %.1e\n", static_cast<long long>(compared), worst);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::unique_ptr<ts::MappedFile> file;
  ts::Safetensors table;
  using ts::StatusCode;
  const ts::FileErrors errors{StatusCode::kInvalidArgument, StatusCode::kInvalidArgument};
  const ts::Status opened = ts::MappedFile::open(argv[1], errors, file);
  if (!CHECK_MESSAGE(opened.ok(), opened.message())) return ts_test::report("drive_oracle");
  const ts::SafetensorsRules rules{"golden faces", StatusCode::kInvalidArgument, {ts::Dtype::kF32, ts::Dtype::kU8}};
  const ts::Status read = ts::read_safetensors(file->data(), file->size(), rules, table);
  if (!CHECK_MESSAGE(read.ok(), read.message())) return ts_test::report("drive_oracle");
  for (const char* name : {"0", "1"}) agrees(Case(table, name));
  return ts_test::report("drive_oracle");
}
