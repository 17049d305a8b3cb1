# SPDX-License-Identifier: Apache-2.0
"""Makes what an engine needs for an encoder on this machine, and leaves it in the cache:

    python -m talksplat.encoders.prepare FOLDER ENGINE PRECISION [several]

several: for several speakers at once, too. Exits 0 where the engine then makes the golden features; else it says why,
and exits 1, or PASSES where another day it may do so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import EncoderRefused, TalksplatError
from .building import PASSES, SEVERAL
from .folder import read_folder
from .select import prepare

NICE = 10  # what serves meanwhile goes before


def main(arguments: list[str]) -> int:
    if len(arguments) not in (3, 4) or arguments[3:] not in ([], [SEVERAL]):
        print(__doc__, file=sys.stderr)
        return 2
    folder, engine, precision = arguments[:3]
    if hasattr(os, "nice"):
        os.nice(NICE)
    try:
        prepare(read_folder(Path(folder)), engine, precision, several=SEVERAL in arguments[3:])
    except TalksplatError as error:
        print(error, file=sys.stderr)
        return PASSES if isinstance(error, EncoderRefused) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
