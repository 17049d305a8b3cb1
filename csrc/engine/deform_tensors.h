// SPDX-License-Identifier: Apache-2.0
// The tensors of a deform program: shapes follow from one another stage by stage, and every number is finite.
#pragma once
#include "core/status.h"
#include "engine/tensor_reader.h"
#include "ops/deform.h"

namespace ts {

// program: as read_deform() left it. gaussians: of the file. Sets widths, sizes and pointers.
Status read_deform_tensors(TensorReader& in, const GaussianView& gaussians, DeformProgram& program);

}  // namespace ts
