// KernelTable — the CPU kernels of one instruction set. Picked once, when an engine is created.
#pragma once
#include <cstdint>

#include "ops/bin.h"
#include "ops/blend.h"
#include "ops/encode_args.h"
#include "ops/pose.h"
#include "ops/project.h"

namespace ts {

struct KernelTable {
  const char* isa;
  void (*project_part)(const ProjectArgs& args, int part);
  // rows: the places of the part's spans; `end` grows from `begin`.
  void (*emit_spans)(const BinArgs& args, int part, Span* spans, SpanRow* rows);
  void (*blend_tile)(const BlendArgs& args, int tile, BlendScratch& scratch);
  PoseKernels pose;
  void (*encode_step)(const EncodeArgs& args);
};

// isa == nullptr: TALKSPLAT_ISA if set, else the widest of this CPU. Fails when this CPU or build lacks it; `asked_by`
// is the parameter that `isa` is from, for the message.
Status find_kernels(const char* isa, const KernelTable** table, const char* asked_by = "ts_engine_params.isa");
int isa_count();
const char* isa_name(int i);  // slowest first; nullptr past the end

}  // namespace ts
