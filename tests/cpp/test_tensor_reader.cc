// SPDX-License-Identifier: Apache-2.0
// TensorReader on tables that are made by hand: what it takes, what it counts, and the words and code of its errors.
#include <algorithm>

#include "check.h"
#include "engine/tensor_reader.h"
#include "reader_test.h"

using ts::Count;
using ts::Dtype;
using ts::Safetensors;
using ts::StatusCode;
using ts::TensorReader;
using ts_test::expect;

namespace {

// Tensors of these numbers, which the caller keeps.
void add(Safetensors& table, const char* name, Dtype dtype, std::vector<int64_t> shape, const void* data) {
  ts::SafetensorsTensor tensor;
  tensor.name = name;
  tensor.dtype = dtype;
  tensor.ndim = static_cast<int>(shape.size());
  tensor.count = 1;
  for (const int64_t size : shape) tensor.count *= size;
  std::copy(shape.begin(), shape.end(), tensor.shape);
  tensor.data = static_cast<const uint8_t*>(data);
  table.tensors.push_back(tensor);
  std::sort(table.tensors.begin(), table.tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

const float kNumbers[6] = {1, 2, 3, 4, 5, 6};
const uint32_t kIndices[3] = {0, 2, 4294967295u};

void shares_counts() {
  Safetensors table;
  add(table, "mean", Dtype::kF32, {2, 3}, kNumbers);
  add(table, "weight", Dtype::kF32, {6}, kNumbers);
  add(table, "start", Dtype::kU32, {3}, kIndices);
  TensorReader in(table, StatusCode::kVoiceInvalid);
  int64_t n = -1, many = 0;
  Count rows{"N", 10, &n}, large{"L", 100, &many, 7};
  const float* mean = nullptr;
  const uint32_t* start = nullptr;
  CHECK(in.get("mean", {rows, 3}, mean).ok() && n == 2 && mean == kNumbers && rows.from == "mean");
  CHECK(in.get("start", {{rows, 1}}, start).ok() && start == kIndices);  // N + 1 of them
  expect(in.get("weight", {rows}, mean), StatusCode::kVoiceInvalid,
         "tensor \"weight\" must be [N] F32 with N = 2 (from mean); got [6] F32");
  expect(in.get("weight", {large}, mean), StatusCode::kVoiceInvalid,
         "tensor \"weight\" is [6] F32, but L must be from 7 to 100");
  expect(in.get("start", {3}, mean), StatusCode::kVoiceInvalid, "tensor \"start\" must be [3] F32; got [3] U32");
  expect(in.get("scale", {rows, 3}, mean), StatusCode::kVoiceInvalid,
         "tensor \"scale\" is missing; it must be [N,3] F32 with N = 2 (from mean)");
}

void refuses_what_was_not_taken() {
  Safetensors table;
  add(table, "mean", Dtype::kF32, {2, 3}, kNumbers);
  add(table, "weight", Dtype::kF32, {6}, kNumbers);
  TensorReader in(table, StatusCode::kAvatarInvalid);
  const float* data = nullptr;
  CHECK(in.get("mean", {2, 3}, data).ok());
  expect(in.get("weight", {5}, data), StatusCode::kAvatarInvalid, "\"weight\" must be [5] F32");
  expect(in.forbid_others("avatar"), StatusCode::kAvatarInvalid, "tensor \"weight\" is none of this avatar's");
  expect(in.forbid("weight", "there is no mesh"), StatusCode::kAvatarInvalid,
         "tensor \"weight\" must be absent where there is no mesh");
  CHECK(in.forbid("skin", "there is no mesh").ok());
  CHECK(in.get("weight", {6}, data).ok() && in.forbid_others("avatar").ok());
}

void widens_halves() {
  const uint16_t halves[4] = {0x3c00, 0xc000, 0x0001, 0xfc00};  // 1, -2, 2^-24, -inf
  Safetensors table;
  add(table, "good", Dtype::kF16, {3}, halves);
  add(table, "bad", Dtype::kF16, {2, 2}, halves);
  add(table, "full", Dtype::kF32, {2, 3}, kNumbers);
  add(table, "none", Dtype::kF16, {0, 3}, nullptr);
  add(table, "whole", Dtype::kU32, {3}, kIndices);
  TensorReader in(table, StatusCode::kVoiceInvalid);
  std::vector<float> out;
  CHECK(in.get_floats("good", {3}, out).ok() && out == std::vector<float>({1, -2, 0x1p-24f}));
  CHECK(in.get_floats("full", {2, 3}, out).ok() && out == std::vector<float>(kNumbers, kNumbers + 6));
  CHECK(in.get_floats("none", {0, 3}, out).ok() && out.empty());
  expect(in.get_floats("bad", {2, 2}, out), StatusCode::kVoiceInvalid,
         "tensor \"bad\" row 1 has -inf; it must be finite");
  expect(in.get_floats("whole", {3}, out), StatusCode::kVoiceInvalid,
         "tensor \"whole\" must be [3] F16 or F32; got [3] U32");
}

void shows_numbers() {
  const Safetensors table;
  const TensorReader in(table, StatusCode::kAvatarInvalid);
  expect(in.check_below("index", kIndices, 3, 1, 5, "rows"), StatusCode::kAvatarInvalid,
         "tensor \"index\" row 2 has 4294967295; it must be below 5, the number of rows");
  CHECK(in.check_below("index", kIndices, 2, 1, 5, "rows").ok());
  const float tenths[2] = {0, 0.1f};
  expect(in.check_value("tenths", tenths, 1, 2, "it must be 0"), StatusCode::kAvatarInvalid,
         "tensor \"tenths\" row 0 has 0.1; it must be 0");
  CHECK(in.check_value("tenths", tenths, -1, 2, "it must be 0").ok());
}

}  // namespace

int main() {
  shares_counts();
  refuses_what_was_not_taken();
  widens_halves();
  shows_numbers();
  return ts_test::report("test_tensor_reader");
}
