// SPDX-License-Identifier: Apache-2.0
// An array in a GPU's memory, for Python: the libraries there take it without a copy.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bind.h"

namespace ts::bind {

class DeviceMemory {
 public:
  DeviceMemory(std::shared_ptr<Engine> engine, uint64_t bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  const ts_memory* get() const { return memory_; }
  const ts_memory_info& info() const { return info_; }

 private:
  std::shared_ptr<Engine> engine_;
  ts_memory* memory_ = nullptr;
  ts_memory_info info_{};
};

// A part of a memory, C-contiguous, of uint8 or float32.
class DeviceArray {
 public:
  DeviceArray(std::shared_ptr<DeviceMemory> memory, uint64_t offset, std::vector<int64_t> shape, bool floats);

  const DeviceMemory& memory() const { return *memory_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  bool floats() const { return floats_; }
  uint64_t bytes() const;
  void* address() const;
  // What is written into it is ordered before that stream's work; the stream lives as long as the array that names it.
  void delivered(void* stream, py::object owner) { stream_ = stream, owner_ = std::move(owner); }

  py::array to_numpy() const;
  py::dict cuda_array_interface() const;
  // stream: whose work comes after what was delivered, as DLPack numbers them; none: the default stream.
  py::object dlpack(const std::optional<int64_t>& stream, const std::optional<std::pair<int, int>>& max_version,
                    const std::optional<std::pair<int, int>>& device, const std::optional<bool>& copy) const;
  std::pair<int, int> dlpack_device() const;

 private:
  template <class Managed>
  py::capsule capsule() const;

  std::shared_ptr<DeviceMemory> memory_;
  uint64_t offset_;
  std::vector<int64_t> shape_;
  bool floats_;
  void* stream_ = nullptr;
  py::object owner_;
};

}  // namespace ts::bind
