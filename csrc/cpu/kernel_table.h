// KernelTable — the CPU kernels of one instruction set. Picked once, when an engine is created.
#pragma once
#include <cstdint>

#include "ops/bin.h"
#include "ops/blend.h"
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
};

// isa == nullptr: TALKSPLAT_ISA if set, else the widest of this CPU. Fails when this CPU or build lacks it.
Status find_kernels(const char* isa, const KernelTable** table);
int isa_count();
const char* isa_name(int i);  // slowest first; nullptr past the end

}  // namespace ts
