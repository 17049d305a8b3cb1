// SPDX-License-Identifier: Apache-2.0
#include "cuda/deform.h"

#include <algorithm>

namespace ts::cuda {
namespace {

bool adds_to_color(const DeformBranch& branch) {
  return branch.adds_to(DeformTarget::kColor) || branch.adds_to(DeformTarget::kSh);
}

}  // namespace

Status DeformConstants::make(const ModelView& view, bool fast) {
  fast_ = fast;
  int64_t first = 0;
  for (const DeformBranch& branch : view.program->branches) {
    branches_.emplace_back(*view.program, branch, view.gaussians, first, fast);
    first += branch.n;
  }
  if (branches_.empty()) return {};
  TS_RETURN_IF_ERROR(choose_warps(branches_, device_.shared_memory(), warps_));
  std::vector<std::vector<uint32_t>> packed;
  for (DeformPlan& plan : branches_) packed.push_back(plan.take_constant());
  constants_.resize(packed.size());
  TS_RETURN_IF_ERROR(arena_.make("the avatar's network", [&](Layout& layout) {
    for (size_t b = 0; b < packed.size(); ++b)
      constants_[b] = reinterpret_cast<uint4*>(layout.take<uint32_t>(packed[b].size()));
  }));
  Stream stream(device_);
  TS_RETURN_IF_ERROR(stream.make());
  for (size_t b = 0; b < packed.size(); ++b)
    TS_RETURN_IF_ERROR(stream.upload(constants_[b], packed[b].data(), packed[b].size() * sizeof(uint32_t)));
  return stream.finish();
}

void DeformConstants::add_to(Extents& extents) const {
  for (const DeformPlan& plan : branches_) {
    ++extents.branches;
    extents.groups = std::max(extents.groups, plan.groups());
    extents.warp_bytes = std::max(extents.warp_bytes, plan.warp_bytes());
    extents.control_bytes += JobCursor::control_bytes<unsigned char>(static_cast<int64_t>(plan.frame_bytes()));
  }
  extents.warps = warps_;
}

void DeformedRows::place(Layout& layout, const ModelView& view) {
  const DeformProgram& program = *view.program;
  const auto rows = [&](bool added, int64_t columns) {
    return added ? layout.take<float>(static_cast<uint64_t>(view.gaussians.n * columns)) : nullptr;
  };
  mean = rows(program.adds_to(DeformTarget::kMean), 3);
  quat = rows(program.adds_to(DeformTarget::kRotation), 4);
  scale = rows(program.adds_to_scale(), 3);
  opacity = rows(program.adds_to(DeformTarget::kLogit), 1);
  color =
      rows(program.adds_to(DeformTarget::kColor) || program.adds_to(DeformTarget::kSh), color_stride(view.gaussians));
}

GaussianView DeformedRows::after(const DeformBranch& branch, int64_t first, const GaussianView& posed,
                                 bool to_rgb) const {
  GaussianView view = rows_of(posed, first, branch.n);
  if (branch.adds_to(DeformTarget::kMean)) view.mean = mean + 3 * first;
  if (branch.adds_to(DeformTarget::kRotation)) view.quat = quat + 4 * first;
  if (branch.adds_to_scale()) view.scale = scale + 3 * first;
  if (branch.adds_to(DeformTarget::kLogit)) view.opacity = opacity + first;
  if (adds_to_color(branch)) {
    // Rows of RGB lie where the branch's coefficients would begin.
    view.color = color + color_stride(posed) * first;
    if (to_rgb && branch.adds_to(DeformTarget::kSh)) view.sh_degree = -1, view.sh_stride = 0;
  }
  return view;
}

DeformFrame::DeformFrame(const ModelView& view, const DeformConstants& constants)
    : program_(*view.program), constants_(constants) {
  const ConditionProgram& condition = program_.condition;
  condition_.reserve(static_cast<size_t>(condition.n_floats + condition.n_scratch));
  int64_t work = 0;
  for (const DeformPlan& plan : constants.branches()) work = std::max(work, plan.work_floats());
  work_.reserve(static_cast<size_t>(work));
}

void DeformFrame::place(Layout& layout) {
  if (!constants_.keeps_layers()) return;
  scratch_.clear();
  for (const DeformPlan& plan : constants_.branches())
    scratch_.push_back(reinterpret_cast<uint4*>(layout.take<unsigned char>(plan.kept_bytes())));
}

void DeformFrame::write_jobs(const Backend& cpu, const float* control, const GaussianView& posed,
                             const DeformedRows& rows, const float* eye_w, JobCursor& cursor) {
  const std::vector<DeformPlan>& plans = constants_.branches();
  if (plans.empty()) return;
  cpu.condition(program_.condition, control, condition_.data());
  int64_t first = 0;
  for (size_t b = 0; b < plans.size(); ++b) {
    const DeformPlan& plan = plans[b];
    const DeformBranch& branch = plan.branch();
    DeformJob& job = cursor.host.deform[cursor.branch++];
    job = {};
    const unsigned char* on_device = nullptr;
    unsigned char* frame = cursor.take_control(static_cast<int64_t>(plan.frame_bytes()), &on_device);
    plan.fill(condition_.data(), work_.data(), frame);
    job.layout = plan.layout();
    job.constant = constants_.constant(b);
    job.frame = reinterpret_cast<const uint4*>(on_device);
    job.scratch = scratch_.empty() ? nullptr : scratch_[b];
    const GaussianView in = rows_of(posed, first, branch.n);
    job.mean = in.mean, job.color = in.color;
    job.has_eye = eye_w != nullptr;
    if (eye_w) std::copy_n(eye_w, 3, job.eye_w);
    const auto out = [&](float* of_all, int64_t columns) { return of_all ? of_all + columns * first : nullptr; };
    job.mean_out = out(rows.mean, 3), job.quat_out = out(rows.quat, 4), job.scale_out = out(rows.scale, 3);
    job.opacity_out = out(rows.opacity, 1);
    job.color_out = out(rows.color, color_stride(posed));
    first += branch.n;
  }
}

Status launch_deform(const Stream& stream, const Extents& extents, const DrawJobs& jobs) {
  if (extents.branches == 0) return {};
  const Kernels& kernels = stream.device().kernels();
  const Jobs<DeformJob> args{jobs.deform};
  const TritonKernel& layers = stream.device().deform_layers();
  if (extents.fast && layers.choice.is_triton(extents.frames)) {
    TS_RETURN_IF_ERROR(
        stream.launch(layers, (extents.groups + kTritonGroups - 1) / kTritonGroups, extents.branches, jobs.deform));
    return stream.launch(kernels.deform_rows_kernel, (extents.groups + kMaxDeformWarps - 1) / kMaxDeformWarps,
                         extents.branches, 32 * kMaxDeformWarps, args);
  }
  const int warps = extents.warps;
  return stream.launch(extents.fast ? kernels.deform_fast_kernel : kernels.deform_reference_kernel,
                       (extents.groups + warps - 1) / warps, extents.branches, 32 * warps, args,
                       warps * static_cast<int64_t>(extents.warp_bytes));
}

}  // namespace ts::cuda
