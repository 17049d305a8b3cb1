// SPDX-License-Identifier: Apache-2.0
// KernelTable — the CPU kernels of one instruction set. Picked once, when an engine is created.
#pragma once
#include <cstdint>

#include "cpu/bin.h"
#include "cpu/blend.h"
#include "cpu/deform.h"
#include "cpu/pose.h"
#include "cpu/project.h"
#include "ops/encode_args.h"

namespace ts {

struct KernelTable {
  const char* isa;
  void (*project_part)(const ProjectArgs& args, ProjectPart& part);
  // rows: the places of the part's spans; `end` grows from `begin`.
  void (*emit_spans)(const BinArgs& args, int part, Span* spans, SpanRow* rows);
  void (*blend_tile)(const BlendArgs& args, int tile, BlendScratch& scratch);
  PoseKernels pose;
  // value: [n_floats + n_scratch]; all values are written.
  void (*condition)(const ConditionProgram& program, const float* control, float* value);
  DeformKernels deform;
  void (*encode_step)(const EncodeArgs& args);
};

// isa == nullptr: TALKSPLAT_ISA if set, else the widest of this CPU. Fails when this CPU or build lacks it.
Status find_kernels(const char* isa, const KernelTable** table);

// Whether the bfloat16 kernels may be used. Asks the operating system for AMX's registers the first time, which makes the
// frames of signal handlers 8 KiB larger: it is not asked before a model wants them.
bool allow_bf16(const DeformKernels& kernels);

}  // namespace ts
