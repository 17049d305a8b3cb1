// SPDX-License-Identifier: Apache-2.0
// The devices of this build: the one file that knows every backend.
#include <cstring>

#include "core/text.h"
#include "cpu/backend.h"
#include "ops/backend.h"

namespace ts {

Status open_backend(const BackendParams& params, std::shared_ptr<Backend>& backend) {
  const char* device = params.device ? params.device : "auto";
  if (std::strcmp(device, "auto") != 0 && std::strcmp(device, "cpu") != 0) {
    return error(StatusCode::kDeviceError,
                 "device %s is not in this build, which has the CPU only. Use \"auto\" or \"cpu\".",
                 quoted(device).c_str());
  }
  std::unique_ptr<Backend> opened;
  TS_RETURN_IF_ERROR(open_cpu(params.threads, params.isa, opened));
  backend = std::shared_ptr<Backend>(opened.release(), [](Backend* last) {
    if (!last->forked()) delete last;  // in a child, its threads could not be joined
  });
  return {};
}

}  // namespace ts
