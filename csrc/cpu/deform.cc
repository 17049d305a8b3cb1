// SPDX-License-Identifier: Apache-2.0
#include "cpu/deform.h"

#include <algorithm>

#include "cpu/kernel_table.h"

namespace ts {
namespace {

// 192 Gaussians: long enough that claiming them costs nothing beside them.
constexpr int64_t kBlocksPerChunk = 4;

}  // namespace

CpuDeform::CpuDeform(const DeformProgram& program, const GaussianView& at_rest, const KernelTable& kernels,
                     DeformPrecision precision)
    : program_(&program), kernels_(kernels), kernel_(kernels.deform.fp32) {
  DeformPacking packing = DeformPacking::kFp32;
  if (precision == DeformPrecision::kBf16 && allow_bf16(kernels.deform))
    kernel_ = kernels.deform.bf16, packing = kernels.deform.packing;
  int64_t first = 0;
  for (const DeformBranch& branch : program.branches) {
    branches_.emplace_back(program, branch, at_rest, first, packing, kernels.deform.outputs);
    first += branch.n;
  }
}

int64_t CpuDeform::scratch_words() const {
  int64_t words = 0;
  for (const DeformPlan& plan : branches_) words = std::max(words, plan.scratch_words);
  return words;
}

uint64_t CpuDeform::bytes() const {
  uint64_t bytes = 0;
  for (const DeformPlan& plan : branches_) bytes += plan.bytes();
  return bytes;
}

DeformFrame::DeformFrame(const CpuDeform& deform) {
  int64_t packed = 0;
  for (const DeformPlan& plan : deform.branches()) packed += plan.frame_floats;
  const ConditionProgram& condition = deform.program().condition;
  condition_.reserve(static_cast<size_t>(condition.n_floats + condition.n_scratch));
  packed_.reserve(static_cast<size_t>(packed));
}

Status DeformFrame::run(const DeformArgs& args, const CpuDeform& deform, ThreadPool& pool,
                        std::vector<Buffer<float>>& scratch, GaussianView& out) {
  TS_RETURN_IF_ERROR(check(args));
  out = args.in;
  const std::vector<DeformPlan>& plans = deform.branches();
  if (plans.empty()) return {};
  const bool to_rgb = args.eye_w && args.program->adds_to(DeformTarget::kSh);
  const int64_t color_columns = to_rgb ? 3 : color_stride(args.in);

  deform.kernels().condition(args.program->condition, args.control, condition_.data());
  DeformBlocks blocks[kMaxDeformBranches];
  int64_t chunk_end[kMaxDeformBranches] = {};
  float* packed = packed_.data();
  int64_t chunks = 0;
  for (size_t b = 0; b < plans.size(); ++b) {
    const DeformPlan& plan = plans[b];
    const DeformBranch& branch = *plan.branch;
    const int64_t first = plan.first_row, n = branch.n;
    plan.fill(condition_.data(), packed);
    DeformBlocks& of = blocks[b];
    of.plan = &plan;
    of.frame = packed;
    of.in = rows_of(args.in, first, n);
    of.eye_w = args.eye_w;
    // What this branch does not add to, but another does, is the same after as before.
    const auto rows = [&](bool adds, const float* in, float* to, int64_t columns) {
      if (!to) return static_cast<float*>(nullptr);
      to += first * columns;
      if (!adds) std::copy_n(in, n * columns, to);
      return adds ? to : nullptr;
    };
    const auto adds = [&](DeformTarget target) { return branch.adds_to(target); };
    of.rows.mean = rows(adds(DeformTarget::kMean), of.in.mean, args.rows.mean, 3);
    of.rows.quat = rows(adds(DeformTarget::kRotation), of.in.quat, args.rows.quat, 4);
    of.rows.scale = rows(branch.adds_to_scale(), of.in.scale, args.rows.scale, 3);
    of.rows.opacity = rows(adds(DeformTarget::kLogit), of.in.opacity, args.rows.opacity, 1);
    of.rows.color =
        rows(adds(DeformTarget::kColor) || adds(DeformTarget::kSh), of.in.color, args.rows.color, color_columns);
    packed += plan.frame_floats;
    chunks += (plan.blocks() + kBlocksPerChunk - 1) / kBlocksPerChunk;
    chunk_end[b] = chunks;
  }

  const auto words = static_cast<size_t>(deform.scratch_words());
  scratch.resize(static_cast<size_t>(pool.threads()));
  for (Buffer<float>& buffer : scratch) buffer.reserve(words);
  pool.run(chunks, [&](int64_t chunk, int slot) {
    size_t b = 0;
    while (chunk >= chunk_end[b]) ++b;
    const int64_t first = (chunk - (b ? chunk_end[b - 1] : 0)) * kBlocksPerChunk;
    deform.kernel()(blocks[b], first, std::min(first + kBlocksPerChunk, plans[b].blocks()),
                    scratch[static_cast<size_t>(slot)].data());
  });

  if (args.rows.mean) out.mean = args.rows.mean;
  if (args.rows.quat) out.quat = args.rows.quat;
  if (args.rows.scale) out.scale = args.rows.scale;
  if (args.rows.opacity) out.opacity = args.rows.opacity;
  if (args.rows.color) out.color = args.rows.color;
  if (to_rgb) out.sh_degree = -1, out.sh_stride = 0;
  return {};
}

}  // namespace ts
