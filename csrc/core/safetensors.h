// SPDX-License-Identifier: Apache-2.0
// Safetensors — the table of a safetensors file: eight bytes of header length, a JSON header, the tensors' bytes.
// https://github.com/huggingface/safetensors#format. Only the table is read; the tensors stay where they are.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace ts {

enum class Dtype { kF32, kU8, kU16, kU32, kI32, kF16 };  // the first five as in ts_dtype

struct SafetensorsTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  int ndim = 0;
  int64_t shape[4] = {0, 0, 0, 0};  // 0 beyond ndim
  int64_t count = 0;                // elements
  const uint8_t* data = nullptr;    // aligned for its dtype
};

struct Safetensors {
  struct Text {
    std::string key, value;
  };
  std::vector<Text> metadata;              // __metadata__
  std::vector<SafetensorsTensor> tensors;  // sorted by name

  const std::string* find_metadata(std::string_view key) const;
  const SafetensorsTensor* find(std::string_view name) const;
};

constexpr size_t kSafetensorsMaxHeader = size_t{16} << 20;

size_t dtype_bytes(Dtype dtype);
const char* dtype_name(Dtype dtype);  // as in the file: "F32"

// "[12,3] F32", for messages.
std::string describe(const SafetensorsTensor& tensor);

// What tensors a kind of file may have; `kind` is for the message, "an avatar", and `invalid` is the error's code.
struct SafetensorsRules {
  const char* kind;
  StatusCode invalid;
  std::vector<Dtype> dtypes;
};

// Reads and checks the table of the file whose bytes are data[0, size): every tensor has a dtype that the rules allow,
// at most four dimensions, exactly the bytes that its shape needs and the alignment of its dtype; together they cover
// the data without overlap or gap. `data` must be aligned to 8 and outlive `table`. Errors are rules.invalid.
Status read_safetensors(const uint8_t* data, size_t size, const SafetensorsRules& rules, Safetensors& table);

}  // namespace ts
