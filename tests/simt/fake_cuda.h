// SPDX-License-Identifier: Apache-2.0
// fake_cuda — a libcuda.so.1 for tests (TALKSPLAT_LIBCUDA names it): the driver API over simt, so that the host code of
// csrc/cuda runs unchanged where there is no GPU. What a test asks it beside that is here.
//
// Time    work that is put into a stream is done as late as the driver may do it: when somebody waits for it. Who reads too
//         early, writes too early or frees too early is found out
// Memory  of the GPU is the host's, but out of reach of the host's code: touching it is a segmentation fault. It is full of
//         0xbd at first, and has guard pages on both sides
// Faults  by the environment, read by fake_cuda_reset() and when the library is loaded:
//   FAKE_CUDA_DEVICES=n           GPUs; 0: cuInit finds none
//   FAKE_CUDA_CAPABILITY=61       of the GPUs; 75 otherwise
//   FAKE_CUDA_VERSION=11040       of the driver; 13000 otherwise
//   FAKE_CUDA_MEMORY=bytes        of a GPU
//   FAKE_CUDA_FAIL_AT=n           the nth call fails with FAKE_CUDA_ERROR=code (999 otherwise), once
//   FAKE_CUDA_OUT_OF_MEMORY_AT=n  the nth allocation fails
//   FAKE_CUDA_LOST_AT=n           from the nth call on the GPU is lost: every call fails with 719
//   FAKE_CUDA_ORDER=0|1|2         of threads and blocks: ascending, descending, random
//   FAKE_CUDA_KERNELS=0           launches compute nothing
#pragma once

extern "C" {
void fake_cuda_reset();                    // reads the environment, and counts from 0 again
int fake_cuda_inside();                    // whether the calling thread is in one of the driver's functions
int fake_cuda_calls();                     // of the driver's functions
const char* fake_cuda_call(int i);         // the name of the ith, from 1 on; nullptr past the end
int fake_cuda_calls_of(const char* name);  // of one of them
int fake_cuda_allocations();               // that were asked for
int fake_cuda_left();                      // contexts that nobody gave back, and what else ended with its context
int fake_cuda_ran();                       // kernels that have run
// Runs the kernels of kernels/triton from now on, with the address of their jobs and the grid; nullptr: C++ that stands in.
typedef void (*FakeInterpreter)(const char* kernel, const void* jobs, unsigned grid_x, unsigned grid_y);
void fake_cuda_interpret(FakeInterpreter interpreter);
}
