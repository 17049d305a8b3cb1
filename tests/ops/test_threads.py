# SPDX-License-Identifier: Apache-2.0
"""What happens when the machine cannot give the threads that were asked for."""

import subprocess
import sys

PROGRAM = """
import resource
from talksplat import _core
from talksplat.errors import DeviceError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))  # a few threads' stacks
try:
    _core.Engine(256)
except DeviceError as error:
    assert "threads" in str(error), error
else:
    raise SystemExit("256 threads started")
_core.Engine(1)
"""


def test_threads_that_cannot_start_are_an_error() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
