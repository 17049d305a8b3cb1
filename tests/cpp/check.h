// SPDX-License-Identifier: Apache-2.0
// CHECK — counts what does not hold, says where, goes on. main() returns report().
#pragma once
#include <cstdio>
#include <string>

namespace ts_test {

inline int n_checks = 0, n_failures = 0;

inline bool check(bool holds, const char* file, int line, const std::string& what) {
  ++n_checks;
  if (!holds) {
    ++n_failures;
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  }
  return holds;
}

inline int report(const char* name) {
  std::printf("%s: %d checks, %d failed\n", name, n_checks, n_failures);
  return n_failures == 0 && n_checks > 0 ? 0 : 1;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace ts_test

#define CHECK(holds) ::ts_test::check(static_cast<bool>(holds), __FILE__, __LINE__, #holds)
#define CHECK_MESSAGE(holds, what) ::ts_test::check(static_cast<bool>(holds), __FILE__, __LINE__, what)
