# SPDX-License-Identifier: Apache-2.0
import sys

from .build import build

if len(sys.argv) != 2:
    sys.exit("usage: python -m talksplat.authoring.demo OUT.tsplat")
print(build(sys.argv[1]))
