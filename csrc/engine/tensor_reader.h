// SPDX-License-Identifier: Apache-2.0
// TensorReader — the tensors of one safetensors file, checked as they are taken: their dtypes, shapes and numbers, and
// the counts that several of them share. Avatars and voices are read through it. Every error has the code of its kind
// of file and names the tensor, what it must be and what it is.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "core/safetensors.h"
#include "core/status.h"
#include "core/text.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are little endian in the file and are used where they lie"
#endif

namespace ts {

// A count that several tensors share. The first tensor that has it sets it, the others must agree with that one.
struct Count {
  const char* letter;  // in messages: "[N,3]"
  int64_t limit;
  int64_t* value;
  int64_t low = 0;
  std::string from = {};  // the tensor that set it; empty: not yet set
};

// The size of one axis: a constant, or a count.
struct Axis {
  Axis(int64_t constant) : size(constant) {}                                // NOLINT(google-explicit-constructor)
  Axis(Count& c, int64_t extra_rows = 0) : count(&c), extra(extra_rows) {}  // NOLINT(google-explicit-constructor)
  int64_t size = 0;
  Count* count = nullptr;
  int64_t extra = 0;  // "S+1"
};

// A number of a tensor, for messages.
template <class T>
std::string show_number(T value) {
  if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else {
    return number_text(value);
  }
}

template <class T>
struct DtypeOf;
template <>
struct DtypeOf<float> {
  static constexpr Dtype value = Dtype::kF32;
};
template <>
struct DtypeOf<uint8_t> {
  static constexpr Dtype value = Dtype::kU8;
};
template <>
struct DtypeOf<uint16_t> {
  static constexpr Dtype value = Dtype::kU16;
};
template <>
struct DtypeOf<uint32_t> {
  static constexpr Dtype value = Dtype::kU32;
};
template <>
struct DtypeOf<int32_t> {
  static constexpr Dtype value = Dtype::kI32;
};

class TensorReader {
 public:
  // invalid: the code of every error. The table must outlive the reader.
  TensorReader(const Safetensors& table, StatusCode invalid)
      : table_(table), invalid_(invalid), taken_(table.tensors.size(), false) {}

  Status invalid(std::string message) const { return Status(invalid_, std::move(message)); }

  bool has(const char* name) const { return table_.find(name); }

  // out: the tensor's data, where they lie in the file.
  template <class T>
  Status get(const std::string& name, std::initializer_list<Axis> axes, const T*& out) {
    const SafetensorsTensor* tensor = nullptr;
    TS_RETURN_IF_ERROR(take(name, axes, {DtypeOf<T>::value}, tensor));
    out = reinterpret_cast<const T*>(tensor->data);
    return Status();
  }

  // out: a copy of a tensor that is F16 or F32, every number of which is finite.
  Status get_floats(const std::string& name, std::initializer_list<Axis> axes, std::vector<float>& out);

  // "tensor "binding/index" must be absent where REASON", if it is there.
  Status forbid(const char* name, const char* reason) const;

  // Refuses a file with tensors that were not taken: a slip of whoever wrote it, or something smuggled along.
  // whose: what the file is, "avatar".
  Status forbid_others(const char* whose) const;

  // "tensor "gaussians/mean" row 3 has -1; CONTRACT". `at` is a flat index into data, -1 when all is well.
  template <class T>
  Status check_value(const std::string& name, const T* data, int64_t at, int64_t row_size,
                     const std::string& contract) const {
    return at < 0 ? Status() : bad_value(name, at / row_size, show_number(data[at]), contract);
  }
  Status check_finite(const std::string& name, const float* data, int64_t rows, int64_t row_size) const;
  // For indices: every one is below `limit`, the number of `what`.
  Status check_below(const std::string& name, const uint32_t* data, int64_t rows, int64_t row_size, int64_t limit,
                     const char* what) const;
  Status check_below(const std::string& name, const uint16_t* data, int64_t rows, int64_t row_size, int64_t limit,
                     const char* what) const;

 private:
  Status take(const std::string& name, std::initializer_list<Axis> axes, std::initializer_list<Dtype> dtypes,
              const SafetensorsTensor*& out);
  Status bad_value(const std::string& name, int64_t row, const std::string& value, const std::string& contract) const;

  const Safetensors& table_;
  StatusCode invalid_;
  std::vector<bool> taken_;  // by the place in the table
};

}  // namespace ts
