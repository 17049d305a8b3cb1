// SPDX-License-Identifier: Apache-2.0
// What a draw's graph is made of, piece by piece, so that each can be done again by itself with a clock around it. Nothing
// in the product helps with that: the functions of a device's driver are replaced by ones that take notes.
#pragma once
#include <cstddef>
#include <vector>

#include "cuda/device.h"
#include "cuda/driver.h"

namespace ts_bench {

// The upload of a draw's jobs, or a kernel.
struct Piece {
  const char* name = "upload";
  ts::cuda::CUfunction function = nullptr;
  unsigned grid_x = 0, grid_y = 0, threads = 0, shared_bytes = 0;
  std::vector<unsigned char> args;
  ts::cuda::CUdeviceptr to = 0;
  const void* from = nullptr;
  size_t bytes = 0;
};
using Pieces = std::vector<Piece>;

// While it lives, notes what is recorded into graphs on this device. One at a time.
class NoteTaker {
 public:
  explicit NoteTaker(const ts::cuda::Device& device);
  ~NoteTaker();
  NoteTaker(const NoteTaker&) = delete;
  NoteTaker& operator=(const NoteTaker&) = delete;

  const std::vector<Pieces>& graphs() const;  // in the order in which they were recorded
  ts::cuda::CUresult redo(const Piece& piece, ts::cuda::CUstream stream) const;

 private:
  ts::cuda::Driver& driver_;
};

}  // namespace ts_bench
