// SPDX-License-Identifier: Apache-2.0
#include "pieces.h"

#include <cstring>

#include "kernels/cuda/list.h"

namespace ts_bench {
namespace {

using namespace ts::cuda;

// The driver's functions have no argument that could carry this.
struct Notes {
  Driver real;
  const Kernels* kernels = nullptr;
  const TritonKernel* layers = nullptr;
  CUstream recording = nullptr;
  std::vector<Pieces> graphs;
};
Notes* notes = nullptr;

CUresult begin_capture(CUstream stream, CUstreamCaptureMode mode) {
  notes->recording = stream;
  notes->graphs.emplace_back();
  return notes->real.cuStreamBeginCapture_v2(stream, mode);
}

CUresult end_capture(CUstream stream, CUgraph* graph) {
  notes->recording = nullptr;
  return notes->real.cuStreamEndCapture(stream, graph);
}

CUresult upload(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  if (stream == notes->recording) {
    Piece piece;
    piece.to = to, piece.from = from, piece.bytes = bytes;
    notes->graphs.back().push_back(piece);
  }
  return notes->real.cuMemcpyHtoDAsync_v2(to, from, bytes, stream);
}

// A kernel has one argument, whose size its type says (kernels/cuda/list.h); of Triton's it is an address.
CUresult launch(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void** parameters,
                void** extra) {
  if (stream == notes->recording) {
    Piece piece;
    piece.function = function;
    piece.grid_x = grid_x, piece.grid_y = grid_y, piece.threads = block_x, piece.shared_bytes = shared_bytes;
#define TS_NOTE(kernel, Args)                                    \
  if (function == notes->kernels->kernel.function) {             \
    piece.name = #kernel;                                        \
    piece.args.resize(sizeof(Args));                             \
    std::memcpy(piece.args.data(), parameters[0], sizeof(Args)); \
  }
    TS_CUDA_KERNELS(TS_NOTE)
#undef TS_NOTE
    if (function == notes->layers->function) {
      piece.name = notes->layers->choice.cubin->name;
      piece.args.resize(sizeof(void*));
      std::memcpy(piece.args.data(), parameters[0], sizeof(void*));
    }
    notes->graphs.back().push_back(piece);
  }
  return notes->real.cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream,
                                    parameters, extra);
}

}  // namespace

// The device itself is not constant, only what it shows of its driver.
NoteTaker::NoteTaker(const Device& device) : driver_(const_cast<Driver&>(device.driver())) {
  notes = new Notes{driver_, &device.kernels(), &device.deform_layers(), nullptr, {}};
  driver_.cuStreamBeginCapture_v2 = begin_capture;
  driver_.cuStreamEndCapture = end_capture;
  driver_.cuMemcpyHtoDAsync_v2 = upload;
  driver_.cuLaunchKernel = launch;
}

NoteTaker::~NoteTaker() {
  driver_ = notes->real;
  delete notes;
  notes = nullptr;
}

const std::vector<Pieces>& NoteTaker::graphs() const { return notes->graphs; }

CUresult NoteTaker::redo(const Piece& piece, CUstream stream) const {
  if (!piece.function) return notes->real.cuMemcpyHtoDAsync_v2(piece.to, piece.from, piece.bytes, stream);
  // The last two are those that Triton adds (cuda/stream.cc); of other kernels the driver reads only the first.
  void* none = nullptr;
  void* parameters[] = {const_cast<unsigned char*>(piece.args.data()), &none, &none};
  return notes->real.cuLaunchKernel(piece.function, piece.grid_x, piece.grid_y, 1, piece.threads, 1, 1,
                                    piece.shared_bytes, stream, parameters, nullptr);
}

}  // namespace ts_bench
