// SPDX-License-Identifier: Apache-2.0
#include "cpu/kernel_table.h"
#include "cpu/kernels/kernels.h"

#define TS_STRING(x) #x
#define TS_NAME(x) TS_STRING(x)

TS_TARGET_BEGIN

KernelTable kernel_table() {
  return {TS_NAME(TS_TARGET), project_part, emit_spans,       blend_tile,
          pose_kernels(),     condition,    deform_kernels(), encode_step};
}

TS_TARGET_END
