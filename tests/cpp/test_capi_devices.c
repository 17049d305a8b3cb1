/* SPDX-License-Identifier: Apache-2.0 */
/* Devices through the C ABI: which words name one, and what is said where no GPU can be used. Test programs have no
 * kernels, so that there is no GPU for them on any machine. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "check_c.h"
#include "talksplat.h"

static void test_system(void) {
  ts_system_info system;
  ts_gpu_info gpu;
  memset(&system, 0, sizeof system);
  system.struct_size = sizeof system;
  CHECK(ts_get_system_info(&system) == TS_OK);
  CHECK((strcmp(system.kernels, "") == 0) == (system.oldest_driver_version == 0));
  CHECK(strncmp(system.why_no_gpu, "cuda: ", 6) == 0);
  memset(&gpu, 0, sizeof gpu);
  gpu.struct_size = sizeof gpu;
  CHECK_ERROR(ts_get_gpu_info(system.n_gpus, &gpu), TS_INVALID_ARGUMENT,
              "ts_get_gpu_info: i must be less than n_gpus=");
  CHECK_ERROR(ts_get_system_info(NULL), TS_INVALID_ARGUMENT, "ts_get_system_info");
  system.struct_size = 3;
  CHECK_ERROR(ts_get_system_info(&system), TS_INVALID_ARGUMENT, "struct_size");
}

static void test_auto(void) {
  ts_engine* engine = NULL;
  ts_engine_params params = ts_engine_params_default();
  ts_engine_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  CHECK(ts_engine_create(&params, &engine) == TS_OK);
  CHECK(ts_engine_get_info(engine, &info) == TS_OK);
  CHECK(strcmp(info.device, "cpu") == 0 && strcmp(info.device_name, "") == 0);
  CHECK(strncmp(info.note, "cuda: ", 6) == 0);
  info.struct_size = offsetof(ts_engine_info, note); /* of a header that had no note */
  info.note = NULL;
  CHECK(ts_engine_get_info(engine, &info) == TS_OK && info.note == NULL);
  ts_engine_destroy(engine);
}

/* What stays on a GPU; tests/runtime/test_on_device.py has one. */
static void test_memory(void) {
  ts_engine* engine = NULL;
  ts_engine_params params = ts_engine_params_default();
  ts_memory* memory = (ts_memory*)&params;
  ts_memory_info info;
  char byte;
  params.device = "cpu";
  CHECK(ts_engine_create(&params, &engine) == TS_OK);
  CHECK_ERROR(ts_memory_create(engine, 64, &memory), TS_INVALID_ARGUMENT, "on_device: the CPU draws here");
  CHECK(memory == NULL);
  CHECK_ERROR(ts_memory_create(engine, 0, &memory), TS_INVALID_ARGUMENT, "bytes must be from 1 to 2^40; got 0");
  CHECK_ERROR(ts_memory_create(engine, UINT64_MAX, &memory), TS_INVALID_ARGUMENT, "bytes must be from 1 to 2^40");
  CHECK_ERROR(ts_memory_create(NULL, 64, &memory), TS_INVALID_ARGUMENT, "engine must not be NULL");
  CHECK_ERROR(ts_memory_create(engine, 64, NULL), TS_INVALID_ARGUMENT, "memory must not be NULL");
  CHECK_ERROR(ts_memory_get_info(NULL, &info), TS_INVALID_ARGUMENT, "memory must not be NULL");
  CHECK_ERROR(ts_memory_hold_back(NULL, NULL), TS_INVALID_ARGUMENT, "memory must not be NULL");
  CHECK_ERROR(ts_memory_read(NULL, 0, &byte, 1), TS_INVALID_ARGUMENT, "memory must not be NULL");
  ts_memory_destroy(NULL);
  ts_engine_destroy(engine);
}

static void test_words(void) {
  const char* wrong[] = {"",     "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:+1", "cuda:1x", "cuda: 1", "cuda:99999999999",
                         "cpu:0"};
  const char* gpus[] = {"cuda", "cuda:0", "cuda:31"};
  size_t i;
  ts_engine* engine = NULL;
  ts_engine_params params = ts_engine_params_default();
  ts_engine_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  params.device = "cpu";
  CHECK(ts_engine_create(&params, &engine) == TS_OK);
  CHECK(ts_engine_get_info(engine, &info) == TS_OK);
  CHECK(strcmp(info.device, "cpu") == 0 && strcmp(info.note, "") == 0);
  ts_engine_destroy(engine);
  for (i = 0; i < sizeof gpus / sizeof gpus[0]; ++i) {
    char part[64];
    params.device = gpus[i];
    snprintf(part, sizeof part, "device \"%s\": cuda: ", gpus[i]);
    CHECK_ERROR(ts_engine_create(&params, &engine), TS_DEVICE_ERROR, part);
    CHECK(strstr(ts_last_error(), " This machine has cpu") != NULL && engine == NULL);
  }
  for (i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    params.device = wrong[i];
    CHECK_ERROR(ts_engine_create(&params, &engine), TS_DEVICE_ERROR,
                "device must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"; got \"");
    CHECK(strstr(ts_last_error(), " This machine has cpu") != NULL);
  }
}

int main(void) {
  test_system();
  test_auto();
  test_memory();
  test_words();
  return report("test_capi_devices");
}
