// SPDX-License-Identifier: Apache-2.0
#include "sample_file.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace ts_test {
namespace {

size_t dtype_size(const std::string& dtype) { return dtype == "U8" ? 1 : dtype == "U16" || dtype == "F16" ? 2 : 4; }

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

void SampleFile::replace(const std::string& text, const std::string& by) {
  const size_t at = manifest.find(text);
  if (at == std::string::npos || manifest.find(text, at + 1) != std::string::npos) {
    std::fprintf(stderr, "the sample manifest must have one place with: %s\n", text.c_str());
    std::abort();
  }
  manifest.replace(at, text.size(), by);
}

void SampleFile::add(const std::string& name, const std::string& dtype, std::vector<int64_t> shape) {
  size_t bytes = dtype_size(dtype);
  for (const int64_t size : shape) bytes *= static_cast<size_t>(size);
  tensors[name] = {dtype, std::move(shape), std::vector<uint8_t>(bytes)};
}

std::vector<uint8_t> SampleFile::file() const {
  // Wide types first, so that everything is aligned; within a width by name.
  std::vector<const std::pair<const std::string, SampleTensor>*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return dtype_size(a->second.dtype) > dtype_size(b->second.dtype);
  });
  std::string header = "{\"__metadata__\":{\"" + key + "\":\"" + escaped(manifest) + "\"}";
  std::vector<uint8_t> data;
  for (const auto* entry : order) {
    const auto& [name, value] = *entry;
    header += ",\"" + escaped(name) + "\":{\"dtype\":\"" + value.dtype + "\",\"shape\":[";
    for (size_t i = 0; i < value.shape.size(); ++i) header += (i ? "," : "") + std::to_string(value.shape[i]);
    header += "],\"data_offsets\":[" + std::to_string(data.size()) + ",";
    data.insert(data.end(), value.bytes.begin(), value.bytes.end());
    header += std::to_string(data.size()) + "]}";
  }
  return safetensors_file(header + "}", data);
}

std::vector<uint8_t> safetensors_file(std::string header, const std::vector<uint8_t>& data) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::vector<uint8_t> out(8);
  for (int i = 0; i < 8; ++i) out[i] = static_cast<uint8_t>(static_cast<uint64_t>(header.size()) >> (8 * i));
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

}  // namespace ts_test
