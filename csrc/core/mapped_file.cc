// SPDX-License-Identifier: Apache-2.0
#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "core/text.h"

namespace ts {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string working_directory() {
  char buffer[4096];
  return ::getcwd(buffer, sizeof buffer) ? printable(buffer) : "?";
}

Status open_error(const char* path, int number, StatusCode code) {
  std::string message;
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      message = "no such file";
      if (path[0] != '/') message += "; looked from " + working_directory();
      break;
    case EACCES:
    case EPERM:
      message = "not allowed to read this file; check its permissions";
      break;
    default:
      message = std::string("cannot be opened: ") + std::strerror(number);
  }
  return Status(code, message);
}

}  // namespace

Status MappedFile::open(const char* path, const FileErrors& errors, std::unique_ptr<MappedFile>& file) {
  // O_NONBLOCK: opening a pipe must fail the regular-file test below instead of waiting for a writer.
  const Descriptor descriptor{::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (descriptor.fd < 0) return open_error(path, errno, errors.not_found);
  struct stat info;
  if (::fstat(descriptor.fd, &info) != 0) return open_error(path, errno, errors.not_found);
  if (S_ISDIR(info.st_mode)) return error(errors.invalid, "is a directory, not a file");
  if (!S_ISREG(info.st_mode)) {
    return error(errors.invalid, "is a pipe or device, which cannot be mapped; save it to a file first");
  }
  if (info.st_size <= 0) return error(errors.invalid, "the file is empty");
  if (static_cast<uint64_t>(info.st_size) > std::numeric_limits<size_t>::max() / 2) {
    return error(StatusCode::kOutOfMemory, "%lld bytes do not fit this process's address space",
                 static_cast<long long>(info.st_size));
  }
  const size_t size = static_cast<size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.fd, 0);
  if (data == MAP_FAILED) {
    const StatusCode code = errno == ENOMEM ? StatusCode::kOutOfMemory : errors.not_found;
    return error(code, "cannot be mapped (%zu bytes): %s", size, std::strerror(errno));
  }
  file.reset(new MappedFile(static_cast<const uint8_t*>(data), size));
  // The whole file is about to be validated. Only advice: failure changes nothing.
  ::madvise(data, size, MADV_WILLNEED);
  return Status();
}

MappedFile::~MappedFile() { ::munmap(const_cast<uint8_t*>(data_), size_); }

}  // namespace ts
