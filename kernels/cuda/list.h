// SPDX-License-Identifier: Apache-2.0
// The kernels of this folder, for all who need to know every one: the host, which looks them up by name and is held to
// their argument's type; the build's limits; and the tests' driver, which runs them on a CPU.
#pragma once
#include "kernels/cuda/bin.h"
#include "kernels/cuda/blend.h"
#include "kernels/cuda/deform.h"
#include "kernels/cuda/encode.h"
#include "kernels/cuda/peak.h"
#include "kernels/cuda/pose.h"
#include "kernels/cuda/project.h"
#include "kernels/cuda/sort.h"

// X(kernel, type of its one argument), in namespace ts::cuda, in the order of a frame, then others.
#define TS_CUDA_KERNELS(X)                    \
  X(pose_vertices_kernel, Jobs<PoseJob>)      \
  X(pose_triangles_kernel, Jobs<PoseJob>)     \
  X(pose_gaussians_kernel, Jobs<PoseJob>)     \
  X(deform_fast_kernel, Jobs<DeformJob>)      \
  X(deform_reference_kernel, Jobs<DeformJob>) \
  X(deform_rows_kernel, Jobs<DeformJob>)      \
  X(project_kernel, Jobs<ProjectJob>)         \
  X(sort_count_kernel, SortArgs)              \
  X(sort_scatter_kernel, SortArgs)            \
  X(bin_count_kernel, Jobs<BinJob>)           \
  X(bin_scan_kernel, Jobs<BinJob>)            \
  X(bin_lists_kernel, Jobs<BinJob>)           \
  X(bin_scatter_kernel, Jobs<BinJob>)         \
  X(blend_fast_kernel, Jobs<BlendJob>)        \
  X(blend_reference_kernel, Jobs<BlendJob>)   \
  X(dilate_rows_kernel, Jobs<DilateJob>)      \
  X(dilate_columns_kernel, Jobs<DilateJob>)   \
  X(encode_step_kernel, Jobs<EncodeJob>)      \
  X(peak_fma_kernel, PeakArgs)                \
  X(peak_mma_kernel, PeakArgs)
