# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of a kernel's innermost loops, in the code that a GPU runs:

    python kernels/sass.py KERNELS.fatbin [sm_75 [blend_fast_kernel]]

Blend is bound by the instructions that it issues, and nearly all are of the loop that evaluates a warp's splats. Each
evaluation takes one exponential, MUFU.EX2, and nothing else in the kernel takes any: so a loop's exponentials say how
many splats a turn of it evaluates.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

EVALUATION = "MUFU.EX2"

_FUNCTION = re.compile(r"^\s*Function : (\S+)\s*$", re.M)
# An address, perhaps a predicate, an opcode and its operands. The encodings, in comments too, have 16 digits.
_INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,8})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)([^;]*);", re.M)
# Others are BRA.DIV and BRA.CONV, which look whether the warp has diverged.
_JUMP = re.compile(r"BRA(?:\.U)?$")
_TARGET = re.compile(r"\b0x([0-9a-f]+)\s*$")


@dataclass(frozen=True)
class Loop:
    """One turn of it: instructions from where it begins to the jump back, and how many of them evaluate a splat."""

    instructions: int
    evaluations: int

    @property
    def per_evaluation(self) -> float:
        return self.instructions / self.evaluations


def innermost_loops(listing: str, kernel: str) -> list[Loop]:
    """The loops of a kernel that evaluate splats, in the order of the code; of nested ones the innermost.

    listing: what `cuobjdump -sass` prints. Raises ValueError if the kernel is not in it, or has no such loop."""
    code = _code_of(listing, kernel)
    # Behind the last EXIT lies where lanes that have diverged are brought together; jumps from there lead back into the
    # middle of things.
    last = max((at for at, opcode, _ in code if opcode == "EXIT"), default=-1)
    back = [(to, at) for at, opcode, to in code if to is not None and to <= at < last and _JUMP.match(opcode)]
    loops = {begin: max(end for to, end in back if to == begin) for begin, _ in back}
    evaluations = [at for at, opcode, _ in code if opcode == EVALUATION]
    around = [(begin, end) for begin, end in loops.items() if any(begin <= at <= end for at in evaluations)]
    # A turn may be peeled off before its loop, and is then an outer loop's.
    innermost = [
        (begin, end)
        for begin, end in sorted(around)
        if not any(other != (begin, end) and begin <= other[0] and other[1] <= end for other in around)
    ]
    if not innermost:
        raise ValueError(f"{kernel}: must have a loop with {EVALUATION}; its {len(code)} instructions have none.")
    counted = []
    for begin, end in innermost:
        body = [opcode for at, opcode, _ in code if begin <= at <= end and opcode != "NOP"]
        counted.append(Loop(len(body), body.count(EVALUATION)))
    return counted


def instructions_per_evaluation(listing: str, kernel: str) -> float:
    """Of the cheapest loop: the one that pictures take which want colours alone. A sum of depths costs more."""
    return min(loop.per_evaluation for loop in innermost_loops(listing, kernel))


def _code_of(listing: str, kernel: str) -> list[tuple[int, str, int | None]]:
    """Address, opcode and, of a jump, where to."""
    parts = _FUNCTION.split(listing)  # what is before the first, then names and listings in turn
    functions = dict(zip(parts[1::2], parts[2::2], strict=True))
    if kernel not in functions:
        raise ValueError(f"{kernel}: must be in the listing; it has {', '.join(functions) or 'no function'}.")
    code = []
    for address, opcode, operands in _INSTRUCTION.findall(functions[kernel]):
        target = _TARGET.search(operands) if opcode.startswith("BRA") else None
        code.append((int(address, 16), opcode, int(target[1], 16) if target else None))
    return code


def find_cuobjdump() -> Path | None:
    """On PATH, under CUDA_HOME, in the environment's packages, or in /usr/local/cuda; None: it is in none of these."""
    home = os.environ.get("CUDA_HOME")
    packages = Path(sysconfig.get_path("purelib"))
    places = chain([Path(home, "bin")] if home else [], packages.glob("nvidia/*/bin"), [Path("/usr/local/cuda/bin")])
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, places)])
    found = shutil.which("cuobjdump", path=path)
    return Path(found) if found else None


def listing_of(cuobjdump: Path, fatbin: Path, architecture: str, kernel: str) -> str:
    """Raises RuntimeError, with what cuobjdump said, if it fails; it calls nvdisasm, which mostly lies beside it."""
    path = os.pathsep.join([str(cuobjdump.parent), os.environ.get("PATH", os.defpath)])
    command = [str(cuobjdump), "-sass", "-arch", architecture, "-fun", kernel, str(fatbin)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path})
    if done.returncode != 0:
        raise RuntimeError(f"{cuobjdump}: exit code {done.returncode} for {fatbin}: {done.stderr.strip()}")
    return done.stdout


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 3:
        print(__doc__, file=sys.stderr)
        return 2
    defaults = ("", "sm_75", "blend_fast_kernel")
    fatbin, architecture, kernel = (*arguments, *defaults[len(arguments) :])
    cuobjdump = find_cuobjdump()
    if cuobjdump is None:
        print("sass: cuobjdump was not found. Install it: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
        return 1
    for loop in innermost_loops(listing_of(cuobjdump, Path(fatbin), architecture, kernel), kernel):
        each = f"{loop.per_evaluation:.2f} instructions per warp and splat"
        print(f"{kernel}, {architecture}: {each}, {loop.instructions} in a turn of {loop.evaluations}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
