// SPDX-License-Identifier: Apache-2.0
// The structs of DLPack (https://dmlc.github.io/dlpack, version 1.1) that pass arrays between libraries, in capsules.
#pragma once
#include <cstdint>

namespace ts::bind::dlpack {

enum DeviceType : int32_t { kCpu = 1, kCuda = 2 };
enum TypeCode : uint8_t { kUint = 1, kFloat = 2 };

struct Device {
  int32_t type, id;
};
struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements
  uint64_t byte_offset;
};

// Before version 1; in a capsule called kName, and kUsedName once somebody has taken the tensor.
struct Managed {
  static constexpr const char *kName = "dltensor", *kUsedName = "used_dltensor";
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};
struct ManagedVersioned {
  static constexpr const char *kName = "dltensor_versioned", *kUsedName = "used_dltensor_versioned";
  uint32_t major, minor;
  void* context;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;
  Tensor tensor;
};

}  // namespace ts::bind::dlpack
