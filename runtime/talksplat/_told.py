# SPDX-License-Identifier: Apache-2.0
"""Errors of the core under the name that Python's users called."""

from __future__ import annotations

import re
from types import TracebackType

_C_NAME = re.compile(r"^ts_\w+: ")


class Told:
    """`with Told("push_audio"):` An error that names the C function then names this instead."""

    def __init__(self, who: str) -> None:
        self._who = f"{who}: "

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and error.args and isinstance(error.args[0], str):
            text, n_names = _C_NAME.subn("", error.args[0])
            if n_names:
                error.args = (self._who + text.removeprefix(self._who), *error.args[1:])
