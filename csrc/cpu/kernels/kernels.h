// SPDX-License-Identifier: Apache-2.0
// What each kernel file gives to the table of its instruction set.
#pragma once
#include "cpu/bin.h"
#include "cpu/blend.h"
#include "cpu/deform.h"
#include "cpu/pose.h"
#include "cpu/project.h"
#include "math/target.h"
#include "ops/encode_args.h"

TS_TARGET_BEGIN

void project_part(const ProjectArgs& args, ProjectPart& part);
void emit_spans(const BinArgs& args, int part, Span* spans, SpanRow* rows);
void blend_tile(const BlendArgs& args, int tile, BlendScratch& scratch);
void finish_tile(const FinishArgs& args, int tile, float* planes);
PoseKernels pose_kernels();
DeformKernels deform_kernels();
int64_t peak_products(int64_t turns);
void condition(const ConditionProgram& program, const float* control, float* value);
void encode_step(const EncodeArgs& args);

TS_TARGET_END
