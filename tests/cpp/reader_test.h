// SPDX-License-Identifier: Apache-2.0
// What tests of file readers share: a good sample, one thing broken in it at a time, and the words that name it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "core/status.h"

namespace ts_test {

using Bytes = std::vector<uint8_t>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

inline void write(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline void expect(const ts::Status& status, ts::StatusCode code, const std::string& part) {
  CHECK_MESSAGE(!status.ok(), "accepted; expected: " + part);
  CHECK_MESSAGE(status.code() == code, "wrong status code; expected: " + part);
  CHECK_MESSAGE(contains(status.message(), part), "expected: " + part + "\n  got: " + status.message());
}

// A change of the manifest: what stands in the sample, what replaces it, what the message must have.
struct Edit {
  const char *text, *by, *part;
};
template <class Sample>
using Break = std::function<void(Sample&)>;

// refused(file, part) checks that the reader refuses the bytes with that part in its message.
template <class Sample, size_t n, class Refused>
void expect_each(const Edit (&edits)[n], const Refused& refused) {
  for (const Edit& edit : edits) {
    Sample sample;
    sample.replace(edit.text, edit.by);
    refused(sample.file(), edit.part);
  }
}
template <class Sample, size_t n, class Refused>
void expect_each(const std::pair<const char*, Break<Sample>> (&cases)[n], const Refused& refused) {
  for (const auto& [part, change] : cases) {
    Sample sample;
    change(sample);
    refused(sample.file(), part);
  }
}

// `PROGRAM --write FILE` writes the good sample, for other tests: the status to exit with, or -1 to go on and test.
template <class Sample>
int write_if_asked(int argc, char** argv) {
  if (argc != 3 || std::string(argv[1]) != "--write") return -1;
  write(argv[2], Sample().file());
  return std::filesystem::exists(argv[2]) ? 0 : 1;
}

}  // namespace ts_test
