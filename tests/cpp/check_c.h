/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK for C: counts what does not hold, says where and what the core said last, goes on. main() returns report(). */
#ifndef TALKSPLAT_TESTS_CHECK_C_H
#define TALKSPLAT_TESTS_CHECK_C_H

#include <stdio.h>
#include <string.h>

#include "talksplat.h"

static int n_checks, n_failures;

static void check(int holds, const char* file, int line, const char* what) {
  ++n_checks;
  if (holds) return;
  ++n_failures;
  fprintf(stderr, "%s:%d: %s (last error: \"%s\")\n", file, line, what, ts_last_error());
}

/* The call fails as it should, and its message has the part in it. */
static void check_error(ts_status status, ts_status expected, const char* part, const char* file, int line) {
  char what[256];
  snprintf(what, sizeof what, "%s, expected %s with \"%s\"", ts_status_name(status), ts_status_name(expected), part);
  check(status == expected && strstr(ts_last_error(), part) != NULL, file, line, what);
}

static int report(const char* name) {
  printf("%s: %d checks, %d failed\n", name, n_checks, n_failures);
  return n_failures == 0 && n_checks > 0 ? 0 : 1;
}

#define CHECK(holds) check((holds) != 0, __FILE__, __LINE__, #holds)
#define CHECK_ERROR(status, expected, part) check_error((status), (expected), (part), __FILE__, __LINE__)

#endif
