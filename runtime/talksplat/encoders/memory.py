# SPDX-License-Identifier: Apache-2.0
"""What was freed, back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back_memory() -> None:
    """Hundreds of megabytes, where graphs were read, or tried and dropped: glibc keeps them for a process that may
    want them again. Elsewhere nothing."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
