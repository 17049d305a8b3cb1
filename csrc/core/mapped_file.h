// SPDX-License-Identifier: Apache-2.0
// MappedFile — a whole file, mapped read-only and private. The size is fixed when it is opened: a file that another
// process truncates later faults on access, as with every memory map, so replace files by renaming over them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/status.h"

namespace ts {

class MappedFile {
 public:
  // errors.not_found: no such file, or not allowed to read it. errors.invalid: not a regular file, empty.
  // kOutOfMemory: no address space for it. Whoever reports the error puts the path before it.
  static Status open(const char* path, const FileErrors& errors, std::unique_ptr<MappedFile>& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const uint8_t* data() const { return data_; }  // page-aligned
  size_t size() const { return size_; }          // > 0

 private:
  MappedFile(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  const uint8_t* data_;
  size_t size_;
};

}  // namespace ts
