# SPDX-License-Identifier: Apache-2.0
# Cross-builds for 64-bit Arm Linux: with the distribution's cross compiler where there is one, else with zig from the
# package index (`pip install ziglang`; `make neon-check` passes the Python that has it).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

find_program(TALKSPLAT_AARCH64_CXX aarch64-linux-gnu-g++)
if(TALKSPLAT_AARCH64_CXX)
  set(CMAKE_CXX_COMPILER ${TALKSPLAT_AARCH64_CXX})
  set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
elseif(TALKSPLAT_ZIG_PYTHON)
  set(CMAKE_CXX_COMPILER ${TALKSPLAT_ZIG_PYTHON} -m ziglang c++ -target aarch64-linux-gnu)
  set(CMAKE_C_COMPILER ${TALKSPLAT_ZIG_PYTHON} -m ziglang cc -target aarch64-linux-gnu)
else()
  message(FATAL_ERROR "No compiler for aarch64. Install g++-aarch64-linux-gnu, or set TALKSPLAT_ZIG_PYTHON to a Python "
                      "that has ziglang.")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TALKSPLAT_ZIG_PYTHON)

# A kernel that exists only for x86 must fail here, not when somebody loads the library.
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-Wl,-z,defs")
