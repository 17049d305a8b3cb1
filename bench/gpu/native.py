# SPDX-License-Identifier: Apache-2.0
"""gpu_bench, run and read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu.heads import Head


class BenchFailed(RuntimeError):
    """gpu_bench ended with an error; says which call, and what it said."""


@dataclass(frozen=True)
class Native:
    """program: the executable.  repeats: draws that are timed.  small: everything at its least, for a driver that
    computes on the CPU."""

    program: Path
    repeats: int = 50
    small: bool = False

    def device(self) -> dict[str, Any]:
        return self._run("device", *(["--copy-bytes", "4096"] if self.small else []))

    def frames(self, head: Head, batch: int, format: str = "rgba8", precision: str = "fast") -> dict[str, Any]:
        return self._run("frames", *self.scene(head, batch, precision), "--format", format)

    def kernels(self, head: Head, batch: int, precision: str = "fast", deform: str | None = None) -> dict[str, Any]:
        """deform: what TALKSPLAT_DEFORM is set to; None for nothing."""
        setting = {"TALKSPLAT_DEFORM": deform} if deform else {}
        return self._run("kernels", *self.scene(head, batch, precision), environment=setting)

    def voice(self, voice: Path, streams: int, encode: str) -> dict[str, Any]:
        """encode: what TALKSPLAT_ENCODE is set to."""
        words = ("--voice", str(voice), "--batch", str(streams))
        return self._run("voice", *words, environment={"TALKSPLAT_ENCODE": encode})

    def scene(self, head: Head, batch: int, precision: str) -> list[str]:
        width, height = head.size
        return [
            "--avatar", str(head.avatar), "--controls", str(head.controls), "--size", f"{width}x{height}",
            "--precision", precision, "--batch", str(batch),
        ]  # fmt: skip

    def command(self, mode: str, *words: str) -> list[str]:
        hold = ["--hold-turns", "0"] if self.small else []
        return [str(self.program), mode, "--repeats", str(self.repeats), *hold, *words]

    def _run(self, mode: str, *words: str, environment: Mapping[str, str] = {}) -> dict[str, Any]:
        done = self.run(self.command(mode, *words), environment)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["nothing"]
            raise BenchFailed(f"{' '.join(['gpu_bench', mode, *words])} ended with {done.returncode}: {said[-1]}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def run(self, command: Sequence[str], environment: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
