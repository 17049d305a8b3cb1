// SPDX-License-Identifier: Apache-2.0
// What a program that works on the GPU itself hands over: its streams, and memory of its own. What is wrong with them is
// the caller's mistake, and no failure of the device. The context is current in every call.
#pragma once
#include <cstdint>

#include "core/status.h"
#include "cuda/stream.h"

namespace ts::cuda {

// That it is one, and records no graph, whose part everything that waits for it would become.
Status check_callers_stream(const Device& device, void* callers);

// What comes into the stream now waits for what the caller's has to do by now. `point` is recorded there.
Status come_after(const Device& device, void* callers, const Event& point, const Stream& stream);
// What comes into the caller's stream now waits for `point`.
Status hold_back(const Device& device, void* callers, const Event& point);
// The caller's event, if there is one, is recorded there.
Status record(const Device& device, void* callers, const Stream& stream);

// bytes from an address on are memory of this device, and lie as their elements, of so many bytes, must.
Status check_memory_of(const Device& device, const char* name, const void* memory, int64_t bytes, int element_bytes);

}  // namespace ts::cuda
