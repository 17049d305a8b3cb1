# SPDX-License-Identifier: Apache-2.0
# cmake -DLOG=FILE -P logged.cmake -- COMMAND ARGUMENTS...: runs it, keeps what it prints in the file, and shows that
# only if it failed. nvcc prints the resources of every kernel, which kernels/gate.py reads.
set(command)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(command_begins)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
    set(command_begins ON)
  endif()
endforeach()
execute_process(COMMAND ${command} OUTPUT_FILE "${LOG}" ERROR_FILE "${LOG}" RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  file(READ "${LOG}" told)
  message("${told}")
  message(FATAL_ERROR "nvcc failed (${status}). Without kernels: -DTALKSPLAT_CUDA=OFF.")
endif()
