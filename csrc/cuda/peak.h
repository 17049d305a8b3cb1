// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/status.h"
#include "cuda/device.h"
#include "ops/backend.h"

namespace ts::cuda {

// Takes a twentieth of a second.
Status measure_peak(Device& device, Peak& peak);

}  // namespace ts::cuda
