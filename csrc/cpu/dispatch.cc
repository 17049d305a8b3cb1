// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/text.h"
#include "cpu/kernel_table.h"
#include "ops/backend.h"

#if defined(TS_HAVE_AVX2)
#include <cpuid.h>
#endif

namespace ts {

namespace scalar {
KernelTable kernel_table();
}
namespace avx2 {
KernelTable kernel_table();
}
namespace avx512 {
KernelTable kernel_table();
}
namespace neon {
KernelTable kernel_table();
}

namespace {

#if defined(TS_HAVE_AVX2)
// Clang's __builtin_cpu_supports does not know this one. AMD64 manual, volume 3: CPUID 8000_0001h, ECX bit 5.
bool has_lzcnt() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx) && (ecx >> 5 & 1);
}
#endif

// The tables that this build has and this CPU can run, slowest first.
struct Tables {
  KernelTable table[4];
  int count = 0;

  Tables() {
    table[count++] = scalar::kernel_table();
// All that CMakeLists.txt lets the compiler use; __builtin_cpu_supports wants literals.
#if defined(TS_HAVE_AVX2)
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && has_lzcnt() &&
                          __builtin_cpu_supports("popcnt");
    if (has_avx2) table[count++] = avx2::kernel_table();
#endif
#if defined(TS_HAVE_AVX512)
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      table[count++] = avx512::kernel_table();
#endif
#if defined(TS_HAVE_NEON)
    table[count++] = neon::kernel_table();
#endif
  }
};

const Tables& tables() {
  static const Tables instance;
  return instance;
}

}  // namespace

int isa_count() { return tables().count; }
const char* isa_name(int i) { return i >= 0 && i < tables().count ? tables().table[i].isa : nullptr; }

Status find_kernels(const char* isa, const KernelTable** table) {
  const Tables& all = tables();
  const char* asked_by = "ts_engine_params.isa";
  if (!isa) {
    isa = std::getenv("TALKSPLAT_ISA");
    asked_by = "TALKSPLAT_ISA";
  }
  if (!isa || !*isa) {
    *table = &all.table[all.count - 1];
    return {};
  }
  std::string offered;
  for (int i = 0; i < all.count; ++i) {
    if (std::strcmp(isa, all.table[i].isa) == 0) {
      *table = &all.table[i];
      return {};
    }
    offered += (i ? ", " : "") + std::string(all.table[i].isa);
  }
  return error(StatusCode::kDeviceError,
               "%s requested by %s, but this CPU and build offer %s. Unset it to choose automatically.", isa, asked_by,
               offered.c_str());
}

}  // namespace ts
