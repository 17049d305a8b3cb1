// A small avatar that has everything a .tsplat file can have, built here so that these tests need neither Python nor
// files: a three-joint rig with blendshapes, pose correctives and moving joints, triangle-bound Gaussians with SH
// colours, a plate and a motion clip. Tests break one thing in it at a time.
#pragma once
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace ts_test {

struct SampleTensor {
  std::string dtype;  // as in the file
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

struct SampleAvatar {
  SampleAvatar();  // the good one

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

// A safetensors file of any header text and data; pads the header with spaces to a multiple of 8 bytes.
std::vector<uint8_t> safetensors_file(std::string header, const std::vector<uint8_t>& data);

}  // namespace ts_test
