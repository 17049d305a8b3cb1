# SPDX-License-Identifier: Apache-2.0
# The GPU's kernels: all of kernels/cuda/*.cu, compiled by nvcc to one fat binary that the core carries. Nothing of CUDA
# is linked: at run time the core loads the driver and hands it the binary. Makes the target talksplat_fatbin, which
# defines csrc/cuda/fatbin.h: with the kernels, or with the reason why there are none.
set(TALKSPLAT_CUDA AUTO CACHE STRING "GPU kernels: AUTO (where nvcc is found), ON (fail without it), OFF")
set_property(CACHE TALKSPLAT_CUDA PROPERTY STRINGS AUTO ON OFF)

set(nvcc_oldest 12.8)  # the first that knows sm_120
set(cubins 75 80 86 89 90 120)
# For GPUs in between and for those to come: the driver compiles PTX when it loads the kernels.
set(ptx 75 120)

set(architecture_options)
set(fatbin_contents)
foreach(sm IN LISTS cubins)
  set(code sm_${sm})
  if(sm IN_LIST ptx)
    set(code [sm_${sm},compute_${sm}])
  endif()
  list(APPEND architecture_options -gencode "arch=compute_${sm},code=${code}")
  string(APPEND fatbin_contents "sm_${sm}, ")
endforeach()
foreach(sm IN LISTS ptx)
  string(APPEND fatbin_contents "compute_${sm}, ")
endforeach()

# Where nvcc may be: what CUDACXX names, and then nothing else; under CUDA_HOME or CUDA_PATH; on PATH; in the environment
# of the Python that builds (packages nvidia-cuda-nvcc, -runtime and -cccl); where toolkits install themselves.
function(talksplat_nvcc_candidates result)
  set(candidates "$ENV{CUDACXX}")
  if(NOT candidates)
    find_program(on_path nvcc NO_CACHE NO_DEFAULT_PATH PATHS ENV PATH)
    if(NOT Python_EXECUTABLE)
      set(Python_FIND_VIRTUALENV FIRST)
      find_package(Python QUIET COMPONENTS Interpreter)
    endif()
    set(in_python)
    if(Python_EXECUTABLE)
      # Isolated (-I), since pip's build environment hides the packages of the environment that it builds for.
      execute_process(COMMAND "${Python_EXECUTABLE}" -I -c "import sysconfig; print(sysconfig.get_path('purelib'))"
                      OUTPUT_VARIABLE packages OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
      file(GLOB in_python ${packages}/nvidia/*/bin/nvcc)
    endif()
    foreach(place IN ITEMS "$ENV{CUDA_HOME}/bin/nvcc" "$ENV{CUDA_PATH}/bin/nvcc" ${on_path} ${in_python}
                           /usr/local/cuda/bin/nvcc)
      if(EXISTS "${place}")
        list(APPEND candidates "${place}")
      endif()
    endforeach()
  endif()
  list(REMOVE_DUPLICATES candidates)
  set(${result} "${candidates}" PARENT_SCOPE)
endfunction()

# Sets nvcc_version where the candidate will do, else nvcc_refused to the reason.
function(talksplat_try_nvcc candidate)
  execute_process(COMMAND "${candidate}" --version OUTPUT_VARIABLE told ERROR_VARIABLE told RESULT_VARIABLE failed)
  if(failed OR NOT told MATCHES "release [0-9.]+, V([0-9]+\\.[0-9]+\\.[0-9]+)")
    set(nvcc_refused "${candidate} does not run" PARENT_SCOPE)
    return()
  endif()
  set(version ${CMAKE_MATCH_1})
  if(version VERSION_LESS nvcc_oldest)
    set(nvcc_refused "${candidate} is ${version}" PARENT_SCOPE)
    return()
  endif()
  # It needs headers of its own and a host compiler that it knows, to preprocess. A trial says here what is missing.
  set(trial "${PROJECT_BINARY_DIR}/kernels/trial")
  file(WRITE "${trial}.cu" "#include <cuda_fp16.h>\n__global__ void trial(__half* x) { x[0] = __half(1.0f); }\n")
  execute_process(COMMAND "${candidate}" -std=c++17 ${architecture_options} -fatbin -o "${trial}.fatbin" "${trial}.cu"
                  OUTPUT_VARIABLE told ERROR_VARIABLE told RESULT_VARIABLE failed)
  if(failed)
    string(STRIP "${told}" told)
    set(nvcc_refused "${candidate} cannot compile: ${told}" PARENT_SCOPE)
  else()
    set(nvcc_version ${version} PARENT_SCOPE)
  endif()
endfunction()

set(nvcc)
set(nvcc_version)
set(refusals)
if(TALKSPLAT_CUDA MATCHES "^(AUTO|ON)$")
  talksplat_nvcc_candidates(candidates)
  foreach(candidate IN LISTS candidates)
    talksplat_try_nvcc("${candidate}")
    if(nvcc_version)
      set(nvcc "${candidate}")
      break()
    endif()
    string(APPEND refusals "; ${nvcc_refused}")
  endforeach()
  # Part of the binary: no paths.
  set(fatbin_why_none "nvcc ${nvcc_oldest} or newer was not found when it was built")
  set(way_out "Install nvcc (pip install nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-cccl, or NVIDIA's toolkit)")
elseif(TALKSPLAT_CUDA STREQUAL "OFF")
  set(fatbin_why_none "it was built with TALKSPLAT_CUDA=OFF")
  set(way_out "Leave that out")
else()
  message(FATAL_ERROR "talksplat: TALKSPLAT_CUDA must be AUTO, ON or OFF; got '${TALKSPLAT_CUDA}'.")
endif()

if(nvcc)
  message(STATUS "GPU kernels: ${nvcc} ${nvcc_version}")
  string(APPEND fatbin_contents "by nvcc ${nvcc_version}")
  string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" release ${nvcc_version})
  math(EXPR fatbin_cuda_version "${CMAKE_MATCH_1} * 1000 + ${CMAKE_MATCH_2} * 10")

  set(folder ${PROJECT_BINARY_DIR}/kernels)
  file(GLOB kernels RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cu)
  list(TRANSFORM kernels REPLACE "(.+)" "#include \"\\1\"\n")
  list(JOIN kernels "" includes)
  file(CONFIGURE OUTPUT ${folder}/all.cu CONTENT "${includes}")
  # Fusion is where fma() is written. No line info: paths stay out of the binary, and all builds of a source are alike.
  # ptxas says in kernels.log what each kernel takes; kernels/gate.py holds that to its limits.
  add_custom_command(
    OUTPUT ${folder}/kernels.fatbin
    BYPRODUCTS ${folder}/kernels.log
    COMMAND ${CMAKE_COMMAND} -DLOG=${folder}/kernels.log -P ${PROJECT_SOURCE_DIR}/cmake/logged.cmake --
            ${nvcc} -std=c++17 -O3 -fmad=false -DTS_TARGET=cuda_lanes -DTS_TARGET_IS_CUDA
            ${architecture_options} --threads 2
            -I${PROJECT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/csrc -I${PROJECT_SOURCE_DIR}/csrc/include
            -Xptxas -v,-warn-spills,-warn-lmem-usage -Xfatbin -compress-all
            -MMD -MF ${folder}/kernels.d -MT kernels/kernels.fatbin
            -fatbin -o ${folder}/kernels.fatbin ${folder}/all.cu
    DEPENDS ${folder}/all.cu ${nvcc} ${PROJECT_SOURCE_DIR}/cmake/logged.cmake
    DEPFILE ${folder}/kernels.d
    COMMENT "Compiling the GPU's kernels"
    VERBATIM)
  configure_file(cmake/fatbin.cc.in ${folder}/fatbin.cc @ONLY)
  set_source_files_properties(${folder}/fatbin.cc PROPERTIES OBJECT_DEPENDS ${folder}/kernels.fatbin)
elseif(TALKSPLAT_CUDA STREQUAL "ON")
  message(FATAL_ERROR "talksplat: TALKSPLAT_CUDA is ON, which needs nvcc ${nvcc_oldest} or newer; none was found"
                      "${refusals}. ${way_out} or name yours (CUDACXX), or use TALKSPLAT_CUDA=AUTO.")
else()
  message(STATUS "GPU kernels: none, ${fatbin_why_none}${refusals}")
  set(fatbin_why_none "this build has no CUDA kernels: ${fatbin_why_none}. ${way_out} and build again, or use ")
  string(APPEND fatbin_why_none [[device=\"cpu\".]])
  configure_file(cmake/no_fatbin.cc.in kernels/fatbin.cc @ONLY)
endif()
add_library(talksplat_fatbin OBJECT ${PROJECT_BINARY_DIR}/kernels/fatbin.cc)
target_include_directories(talksplat_fatbin PRIVATE ${PROJECT_SOURCE_DIR}/csrc)
