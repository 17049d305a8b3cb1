// What each kernel file gives to the table of its instruction set.
#pragma once
#include "math/target.h"
#include "ops/bin.h"
#include "ops/blend.h"
#include "ops/encode_args.h"
#include "ops/pose.h"
#include "ops/project.h"

TS_TARGET_BEGIN

void project_part(const ProjectArgs& args, int part);
void emit_spans(const BinArgs& args, int part, Span* spans, SpanRow* rows);
void blend_tile(const BlendArgs& args, int tile, BlendScratch& scratch);
void finish_tile(const FinishArgs& args, int tile, float* planes);
PoseKernels pose_kernels();
void encode_step(const EncodeArgs& args);

TS_TARGET_END
