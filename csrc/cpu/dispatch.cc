// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "core/text.h"
#include "cpu/kernel_table.h"
#include "ops/backend.h"

#if defined(TS_HAVE_AVX2)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace ts {

inline namespace scalar {  // the target of this file itself (math/target.h)
KernelTable kernel_table();
}
namespace avx2 {
KernelTable kernel_table();
}
namespace avx512 {
KernelTable kernel_table();
}
namespace avx512_bf16 {
DeformKernels deform_kernels();
}
namespace avx512_amx {
DeformKernels deform_kernels();
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

// Nor this one.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

bool is_amd() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx && ecx == signature_AMD_ecx;
}

#if defined(__linux__) && defined(SYS_arch_prctl)
constexpr int kTileData = 18;  // of XSAVE's components; linux/Documentation/arch/x86/xstate.rst
constexpr int kGetSupported = 0x1021, kRequestPermission = 0x1023;  // ARCH_GET_XCOMP_SUPP, ARCH_REQ_XCOMP_PERM

// Intel's manual, volume 2, CPUID leaf 7: EDX bits 22 (AMX-BF16) and 24 (AMX-TILE); and the kernel keeps its registers.
bool has_amx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  uint64_t supported = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx >> 22 & 1) && (edx >> 24 & 1) &&
         syscall(SYS_arch_prctl, kGetSupported, &supported) == 0 && (supported >> kTileData & 1);
}
bool request_matrix_unit() { return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0; }
#else
bool has_amx() { return false; }
bool request_matrix_unit() { return false; }
#endif
#endif

#if defined(TS_HAVE_AVX512)
// avx512's kernels, with what another instruction set does better.
KernelTable with_bf16(KernelTable table, const char* isa, const DeformKernels& deform) {
  table.isa = isa;
  table.deform.bf16 = deform.bf16, table.deform.packing = deform.packing;
  table.deform.bf16_peak = deform.bf16_peak;
  return table;
}
#endif

// The tables that this build has and this CPU can run, slowest first.
struct Tables {
  KernelTable table[6];
  int count = 0;

  Tables() {
    table[count++] = scalar::kernel_table();
// All that CMakeLists.txt lets the compiler use; __builtin_cpu_supports wants literals.
#if defined(TS_HAVE_AVX2)
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && has_lzcnt() &&
                          has_f16c() && __builtin_cpu_supports("popcnt");
    if (has_avx2) table[count++] = avx2::kernel_table();
#endif
#if defined(TS_HAVE_AVX512)
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      const KernelTable avx512 = avx512::kernel_table();
      const bool bf16 = __builtin_cpu_supports("avx512bf16");
      table[count++] = avx512;
      if (bf16) {
        table[count++] = with_bf16(avx512, "avx512_bf16", avx512_bf16::deform_kernels());
        // Intel's VDPBF16PS takes four times an FMA (Sapphire Rapids, measured): avx512 is faster there.
        if (!is_amd()) std::swap(table[count - 2], table[count - 1]);
      }
      if (bf16 && has_amx()) table[count++] = with_bf16(avx512, "avx512_amx", avx512_amx::deform_kernels());
    }
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

bool allow_bf16(const DeformKernels& kernels) {
#if defined(TS_HAVE_AVX2)
  if (kernels.packing == DeformPacking::kSquares) return kernels.bf16 && request_matrix_unit();
#endif
  return kernels.bf16;
}

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
