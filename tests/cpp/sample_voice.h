// SPDX-License-Identifier: Apache-2.0
// A tiny voice that has everything a voice file can have: two towers, F16 and F32 tensors, a channel more than drive
// reads. Its weights are a fixed pattern.
#pragma once
#include "sample_file.h"

namespace ts_test {

struct SampleVoice : SampleFile {
  SampleVoice();  // the good one
};

}  // namespace ts_test
