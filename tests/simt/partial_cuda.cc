// SPDX-License-Identifier: Apache-2.0
// A driver that says which it is and has nothing else.
extern "C" __attribute__((visibility("default"))) int cuDriverGetVersion(int* version) {
  *version = 13070;
  return 0;
}
