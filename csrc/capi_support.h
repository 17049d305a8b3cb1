// SPDX-License-Identifier: Apache-2.0
// What the files of the C ABI share: nothing thrown leaves, a failure becomes a status and the calling thread's last
// message, and structs of older callers are read over the defaults.
#pragma once
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "capi_sizes.h"
#include "capi_translate.h"
#include "core/clock.h"
#include "core/status.h"
#include "talksplat.h"

namespace ts::capi {

// Keeps the message for ts_last_error().
ts_status fail(StatusCode code, const char* message);

// Runs body, which returns a Status; nothing it throws leaves.
template <class Body>
ts_status guarded(const Body& body,
                  const char* out_of_memory = "out of memory. Render a smaller image or fewer Gaussians.") {
  try {
    const Status status = body();
    return status.ok() ? TS_OK : fail(status.code(), status.message().c_str());
  } catch (const std::bad_alloc&) {
    return fail(StatusCode::kOutOfMemory, out_of_memory);
  } catch (const std::system_error& e) {
    char message[256];  // a std::string might throw
    std::snprintf(message, sizeof message, "cannot start the threads (%s). Ask for fewer, or raise the limit.",
                  e.what());
    return fail(StatusCode::kDeviceError, message);
  } catch (const std::exception& e) {
    return fail(StatusCode::kInternal, e.what());
  } catch (...) {
    return fail(StatusCode::kInternal, "unknown exception");
  }
}

inline Status null_argument(const char* function, const char* argument) {
  return error(StatusCode::kInvalidArgument, "%s: %s must not be NULL.", function, argument);
}

// data: of n elements.
inline Status check_n(const char* function, int64_t n, const void* data, const char* name) {
  if (n < 0 || n > kMaxCount)
    return error(StatusCode::kInvalidArgument, "%s: n must be from 0 to 2^40; got %lld.", function,
                 static_cast<long long>(n));
  return n > 0 && !data ? null_argument(function, name) : Status();
}

// Puts the function before the message of what it called.
inline Status from(const char* function, const Status& status) {
  return status.ok() ? Status() : Status(status.code(), std::string(function) + ": " + status.message());
}

// Callers built against an older header pass a shorter struct; read what they have over the defaults.
template <class T>
Status read_struct(const char* function, const T* given, T defaults, T& out) {
  out = defaults;
  if (!given) return {};
  TS_RETURN_IF_ERROR(check_size(function, *given));
  std::memcpy(&out, given, given->struct_size);
  out.struct_size = sizeof(T);
  return {};
}

// Fills a caller's struct up to the size that the caller knows.
template <class T>
Status write_struct(const char* function, T* out, const T& value) {
  if (!out) return null_argument(function, "the result");
  TS_RETURN_IF_ERROR(check_size(function, *out));
  const uint32_t size = out->struct_size;
  std::memcpy(out, &value, size);
  out->struct_size = size;
  return {};
}

// Called before the work, which a receipt of the wrong size must not cost.
inline Status check_receipt(const char* function, const ts_receipt* receipt) {
  return receipt ? check_size(function, *receipt) : Status();
}
inline Status write_receipt(const char* function, ts_receipt* out, const Receipt& receipt) {
  return out ? write_struct(function, out, to_c(receipt)) : Status();
}

}  // namespace ts::capi
