# SPDX-License-Identifier: Apache-2.0
# Triton's kernels: kernels/triton, compiled ahead of time by the Triton of the Python that builds, where that has it and
# there are CUDA kernels that they stand beside. Makes the target talksplat_triton, which defines csrc/cuda/triton.h's
# table: with the cubins, or empty, with the reason. Nothing of Triton is needed at run time.
set(TALKSPLAT_TRITON AUTO CACHE STRING "Triton's kernels: AUTO (where Triton is found), ON (fail without it), OFF")
set_property(CACHE TALKSPLAT_TRITON PROPERTY STRINGS AUTO ON OFF)
if(NOT TALKSPLAT_TRITON MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "talksplat: TALKSPLAT_TRITON must be AUTO, ON or OFF; got '${TALKSPLAT_TRITON}'.")
endif()

set(aot ${PROJECT_SOURCE_DIR}/kernels/triton/aot.py)
set(found)
if(NOT Python_EXECUTABLE AND nvcc AND NOT TALKSPLAT_TRITON STREQUAL "OFF")
  set(Python_FIND_VIRTUALENV FIRST)
  find_package(Python QUIET COMPONENTS Interpreter)
endif()
if(TALKSPLAT_TRITON STREQUAL "OFF")
  set(triton_why_none "it was built with TALKSPLAT_TRITON=OFF")
elseif(NOT nvcc)
  set(triton_why_none "it has no CUDA kernels, which they stand beside")
elseif(NOT Python_EXECUTABLE)
  set(triton_why_none "it was built without Python")
else()
  # Isolated (-I), since pip's build environment hides the packages of the environment that it builds for.
  execute_process(COMMAND "${Python_EXECUTABLE}" -I ${aot} --can OUTPUT_VARIABLE told ERROR_VARIABLE failure
                  OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE refused)
  if(refused)
    set(triton_why_none "${told}${failure}, where it was built")
  else()
    set(found ON)
  endif()
endif()

# A file of its own for each case: a build folder may be configured again without what it had before, and back.
set(folder ${PROJECT_BINARY_DIR}/kernels)
if(found)
  set(table ${folder}/triton.cc)
  message(STATUS "Triton's kernels: by Triton ${told}")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/triton/*.py
       ${PROJECT_SOURCE_DIR}/kernels/triton/*.csv)
  add_custom_command(
    OUTPUT ${folder}/triton.cc
    BYPRODUCTS ${folder}/triton.bin ${folder}/triton.json
    COMMAND "${Python_EXECUTABLE}" -I ${aot} ${folder}
    DEPENDS ${sources}
    COMMENT "Compiling Triton's kernels"
    VERBATIM)
elseif(TALKSPLAT_TRITON STREQUAL "ON")
  message(FATAL_ERROR "talksplat: TALKSPLAT_TRITON is ON, but: ${triton_why_none}. Install Triton into the Python that builds "
                      "(pip install triton==3.9.0), and nvcc, or use TALKSPLAT_TRITON=AUTO.")
elseif(TALKSPLAT_TESTS AND TALKSPLAT_CUDA STREQUAL "OFF")
  # What the tests' driver stands in for.
  message(STATUS "Triton's kernels: the tests' stand-ins")
  set(table tests/simt/fake_triton.cc)
else()
  message(STATUS "Triton's kernels: none, ${triton_why_none}")
  set(triton_why_none "this build has no Triton kernels: ${triton_why_none}. Unset it, or set it to cuda.")
  set(table ${folder}/no_triton.cc)
  configure_file(cmake/no_triton.cc.in ${table} @ONLY)
endif()
add_library(talksplat_triton OBJECT ${table})
target_include_directories(talksplat_triton PRIVATE ${PROJECT_SOURCE_DIR}/csrc ${PROJECT_SOURCE_DIR})
