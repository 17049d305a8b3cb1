// SPDX-License-Identifier: Apache-2.0
#include "core/status.h"

#include <cstdarg>
#include <cstdio>

#include "core/text.h"

namespace ts {

Status error(StatusCode code, const char* format, ...) {
  char message[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(message, sizeof message, format, args);
  va_end(args);
  return Status(code, std::string(without_cut_character(message)));
}

}  // namespace ts
