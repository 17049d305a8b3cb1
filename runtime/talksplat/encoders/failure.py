# SPDX-License-Identifier: Apache-2.0
"""What could not be made of an encoder for this machine, kept in the cache for a day: until then nobody tries again who
did not ask for that engine by name, or spends minutes of every start on what fails."""

from __future__ import annotations

import contextlib
import time

from .._files import whole_file
from .._text import shortened
from .choice import place, place_name
from .engines import Engine
from .engines.engine_cache import make_private
from .folder import EncoderFolder

SUFFIX = ".failed.txt"
KEPT_S = 24 * 3600.0
MAX_BYTES = 4000


class Failure:
    """Of what an engine needs for a folder; several: for several speakers at once."""

    def __init__(self, folder: EncoderFolder, engine: Engine, precision: str, several: bool = False) -> None:
        what = f"{precision} several" if several else precision
        self._path = place() / f"{place_name(folder, [engine], what)}{SUFFIX}"

    def reason(self) -> str:
        """Why it failed within the last day, or ""."""
        try:
            if not 0 <= time.time() - self._path.stat().st_mtime < KEPT_S:
                return ""
            with open(self._path, encoding="utf-8", errors="replace") as file:
                return shortened(file.read(MAX_BYTES))
        except OSError:
            return ""

    def remember(self, reason: str) -> None:
        """ "": it did not fail."""
        with contextlib.suppress(OSError):
            if not reason:
                self._path.unlink(missing_ok=True)
                return
            make_private(self._path.parent)
            with whole_file(self._path) as file:
                file.write(reason.encode()[:MAX_BYTES])
