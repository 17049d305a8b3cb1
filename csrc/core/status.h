// SPDX-License-Identifier: Apache-2.0
// Status — what an op or a reader says when it cannot go on. Kinds mirror ts_status.
#pragma once
#include <string>
#include <utility>

namespace ts {

enum class StatusCode {
  kOk,
  kInvalidArgument,
  kAvatarNotFound,
  kAvatarInvalid,
  kDeviceError,
  kOutOfMemory,
  kInternal,
  kVoiceNotFound,
  kVoiceInvalid,
  kAudioInvalid,
  kLatencyRefused,
  kQueueFull,
  kTimeout,
  kClosed,
};

// What the failures of one kind of file are called, for the readers that several kinds share.
struct FileErrors {
  StatusCode not_found;  // no such file, or not readable
  StatusCode invalid;    // anything wrong with its contents
};
constexpr FileErrors kAvatarErrors{StatusCode::kAvatarNotFound, StatusCode::kAvatarInvalid};
constexpr FileErrors kVoiceErrors{StatusCode::kVoiceNotFound, StatusCode::kVoiceInvalid};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}
  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

// printf-style; the message names the argument, the contract, the value and the way out.
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
Status error(StatusCode code, const char* format, ...);

#define TS_RETURN_IF_ERROR(expr)             \
  do {                                       \
    ::ts::Status ts_status_ = (expr);        \
    if (!ts_status_.ok()) return ts_status_; \
  } while (0)

}  // namespace ts
