// SPDX-License-Identifier: Apache-2.0
#include "engine/tensor_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/scan.h"
#include "math/half.h"

namespace ts {
namespace {

// "[N,3] F32 with N = 12 (from gaussians/mean)"
std::string contract_of(const std::string& name, std::initializer_list<Axis> axes,
                        std::initializer_list<Dtype> dtypes) {
  std::string shape, types, known;
  for (const Axis& axis : axes) {
    shape += shape.empty() ? "[" : ",";
    if (!axis.count) {
      shape += std::to_string(axis.size);
      continue;
    }
    shape += axis.count->letter;
    if (axis.extra) shape += "+" + std::to_string(axis.extra);
    if (axis.count->from.empty() || axis.count->from == name) continue;
    known += std::string(known.empty() ? " with " : ", ") + axis.count->letter + " = " +
             std::to_string(*axis.count->value) + " (from " + axis.count->from + ")";
  }
  for (const Dtype dtype : dtypes) types += std::string(types.empty() ? " " : " or ") + dtype_name(dtype);
  return shape + "]" + types + known;
}

}  // namespace

Status TensorReader::take(const std::string& name, std::initializer_list<Axis> axes,
                          std::initializer_list<Dtype> dtypes, const SafetensorsTensor*& out) {
  const SafetensorsTensor* tensor = table_.find(name);
  if (!tensor) {
    return invalid("tensor " + quoted(name) + " is missing; it must be " + contract_of(name, axes, dtypes));
  }
  bool fits = std::find(dtypes.begin(), dtypes.end(), tensor->dtype) != dtypes.end() &&
              tensor->ndim == static_cast<int>(axes.size());
  int i = 0;
  for (const Axis& axis : axes) {
    if (!fits) break;
    const int64_t size = tensor->shape[i++] - axis.extra;
    if (!axis.count) {
      fits = size == axis.size;
    } else if (!axis.count->from.empty()) {
      fits = size == *axis.count->value;
    } else if (size < axis.count->low || size > axis.count->limit) {
      return invalid("tensor " + quoted(name) + " is " + describe(*tensor) + ", but " + axis.count->letter +
                     " must be from " + std::to_string(axis.count->low) + " to " + std::to_string(axis.count->limit));
    } else {
      *axis.count->value = size;
      axis.count->from = name;
    }
  }
  if (!fits) {
    return invalid("tensor " + quoted(name) + " must be " + contract_of(name, axes, dtypes) + "; got " +
                   describe(*tensor));
  }
  taken_[static_cast<size_t>(tensor - table_.tensors.data())] = true;
  out = tensor;
  return Status();
}

Status TensorReader::get_floats(const std::string& name, std::initializer_list<Axis> axes, std::vector<float>& out) {
  const SafetensorsTensor* tensor = nullptr;
  TS_RETURN_IF_ERROR(take(name, axes, {Dtype::kF16, Dtype::kF32}, tensor));
  const size_t n = static_cast<size_t>(tensor->count);
  out.resize(n);
  if (tensor->dtype == Dtype::kF32) {
    if (n > 0) std::memcpy(out.data(), tensor->data, n * sizeof(float));
  } else {
    for (size_t i = 0; i < n; ++i) {
      uint16_t half;
      std::memcpy(&half, tensor->data + 2 * i, sizeof half);
      out[i] = float_of_half(half);
    }
  }
  const int64_t row_size = tensor->ndim > 1 ? tensor->shape[tensor->ndim - 1] : 1;
  return check_value(name, out.data(), find_non_finite(out.data(), tensor->count), row_size, "it must be finite");
}

Status TensorReader::forbid(const char* name, const char* reason) const {
  if (!has(name)) return Status();
  return invalid("tensor " + quoted(name) + " must be absent where " + reason);
}

Status TensorReader::forbid_others(const char* whose) const {
  const auto stray = std::find(taken_.begin(), taken_.end(), false);
  if (stray == taken_.end()) return Status();
  const SafetensorsTensor& tensor = table_.tensors[static_cast<size_t>(stray - taken_.begin())];
  return invalid("tensor " + quoted(tensor.name) + " is none of this " + whose + "'s; its manifest asks for " +
                 std::to_string(std::count(taken_.begin(), taken_.end(), true)) + " others");
}

Status TensorReader::check_finite(const std::string& name, const float* data, int64_t rows, int64_t row_size) const {
  return check_value(name, data, find_non_finite(data, rows * row_size), row_size, "it must be finite");
}

Status TensorReader::check_below(const std::string& name, const uint32_t* data, int64_t rows, int64_t row_size,
                                 int64_t limit, const char* what) const {
  return check_value(name, data, find_not_below(data, rows * row_size, limit), row_size,
                     "it must be below " + std::to_string(limit) + ", the number of " + what);
}

Status TensorReader::check_below(const std::string& name, const uint16_t* data, int64_t rows, int64_t row_size,
                                 int64_t limit, const char* what) const {
  return check_value(name, data, find_not_below(data, rows * row_size, limit), row_size,
                     "it must be below " + std::to_string(limit) + ", the number of " + what);
}

Status TensorReader::bad_value(const std::string& name, int64_t row, const std::string& value,
                               const std::string& contract) const {
  return invalid("tensor " + quoted(name) + " row " + std::to_string(row) + " has " + value + "; " + contract);
}

}  // namespace ts
