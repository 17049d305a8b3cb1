// SPDX-License-Identifier: Apache-2.0
// A safetensors file with a manifest, built here so that tests need neither Python nor files; tests break one thing in
// it at a time. SampleAvatar and SampleVoice are two.
#pragma once
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ts_test {

struct SampleTensor {
  std::string dtype;  // as in the file
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

struct SampleFile {
  std::string key;       // of the manifest in __metadata__
  std::string manifest;  // JSON
  std::map<std::string, SampleTensor> tensors;

  // Replaces the one place where `text` stands in the manifest.
  void replace(const std::string& text, const std::string& by);
  template <class T>
  void set(const std::string& name, size_t index, T value) {
    std::memcpy(tensors.at(name).bytes.data() + index * sizeof(T), &value, sizeof(T));
  }
  void add(const std::string& name, const std::string& dtype, std::vector<int64_t> shape);  // zeros
  void drop(const std::string& name) { tensors.erase(name); }

  std::vector<uint8_t> file() const;
};

template <class T>
SampleTensor tensor(const char* dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  SampleTensor out{dtype, std::move(shape), std::vector<uint8_t>(values.size() * sizeof(T))};
  if (!values.empty()) std::memcpy(out.bytes.data(), values.data(), out.bytes.size());
  return out;
}

// A safetensors file of any header text and data; pads the header with spaces to a multiple of 8 bytes.
std::vector<uint8_t> safetensors_file(std::string header, const std::vector<uint8_t>& data);

}  // namespace ts_test
