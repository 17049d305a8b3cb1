# SPDX-License-Identifier: Apache-2.0
"""Kernels that there are twice side by side, nvcc's and Triton's, from what a build left: `make kernels-check`, or

    python kernels/both.py [BUILD/kernels] [--write]

Holds the tables in kernels/README.md to the build; --write brings them up to date. That Triton's kernels are within
their limits their own build has seen to (kernels/triton/aot.py). Of several builds the last is taken; of one without
Triton's kernels, or without a cuobjdump to count by, nothing is held, which is said. Exits 1 where the tables are not
of this build.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from gate import last_build
from resources import read_log
from sass import find_cuobjdump, listing_of
from tables import BOTH, table_in, toolkit_of, with_table

HERE = Path(__file__).resolve().parent
HAND_WRITTEN = {"deform_layers_kernel": "deform_fast_kernel", "encode_rows_kernel": "encode_step_kernel"}
INSTRUCTION_BYTES = 16


@dataclass(frozen=True)
class Used:
    """registers: of a thread. shared_bytes: of a block, None where the avatar or the voice decides. products: matrix
    instructions in the code."""

    registers: int
    shared_bytes: int | None
    code_bytes: int
    products: int


def in_listing(listing: str) -> tuple[int, int]:
    """Of a kernel that `cuobjdump -sass` has listed: bytes of its code, and matrix instructions in it."""
    addresses = [int(address, 16) for address in re.findall(r"^\s*/\*([0-9a-f]{4,8})\*/", listing, re.M)]
    return max(addresses, default=-INSTRUCTION_BYTES) + INSTRUCTION_BYTES, len(re.findall(r"\bH?G?MMA\.", listing))


def side_by_side(found: dict[str, dict[str, tuple[Used, Used]]], nvcc: str, triton: str) -> str:
    """Markdown. found: by Triton's kernel and architecture, nvcc's and Triton's."""

    def cells(used: Used) -> str:
        shared = "dynamic" if used.shared_bytes is None else f"{used.shared_bytes:,}"
        return f"{used.registers} | {shared} | {used.code_bytes:,} | {used.products}"

    lines = [
        f"By nvcc {nvcc} and by Triton {triton}. Registers are of a thread, shared memory of a block and code in",
        "bytes; mma are the matrix instructions in the code, of `deform_layers` on sm_90 wgmma.",
    ]
    for kernel, rows in found.items():
        names = (name.removesuffix("_kernel") for name in (HAND_WRITTEN[kernel], kernel))
        head = " | ".join(f"`{name}`: registers | shared | code | mma" for name in names)
        lines += ["", f"| | {head} |", "|---|" + "---:|" * 8]
        lines += [f"| {sm} | {cells(a)} | {cells(b)} |" for sm, (a, b) in rows.items()]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    write = "--write" in arguments
    folders = [Path(word) for word in arguments if word != "--write"]
    folder = folders[0] if folders else last_build(HERE.parent)
    described = folder / "triton.json" if folder else None
    if folder is None or described is None or not described.is_file():
        print("skipped: no build here has Triton's kernels. make triton installs Triton")
        return 0
    cuobjdump = find_cuobjdump()
    if cuobjdump is None:
        print("skipped: cuobjdump is not here; pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
        return 0
    by_triton = json.loads(described.read_text())
    found = read_log((folder / "kernels.log").read_text())
    nvcc = toolkit_of((folder / "fatbin.cc").read_text())
    rows: dict[str, dict[str, tuple[Used, Used]]] = {}
    for made in by_triton["kernels"]:
        sm, by_hand = f"sm_{made['capability']}", HAND_WRITTEN[made["kernel"]]
        code, products = in_listing(listing_of(cuobjdump, folder / "kernels.fatbin", sm, by_hand))
        rows.setdefault(made["kernel"], {})[sm] = (
            Used(found[by_hand, sm].registers, None, code, products),
            Used(made["registers"], made["shared_bytes"], made["code_bytes"], made["matrix_instructions"]),
        )
    table = side_by_side(rows, str(nvcc), by_triton["triton"])
    page = HERE / "README.md"
    text = page.read_text()
    told = table_in(text, BOTH)
    if write:
        page.write_text(with_table(text, BOTH, table))
    elif toolkit_of(told) not in (nvcc, None):
        print(f"kernels/README.md: its tables of both kernels are of nvcc {toolkit_of(told)}, and not compared")
    elif told != table:
        print("kernels/README.md: its tables of both kernels are not of this build. `make triton` writes them.")
        return 1
    print(f"kernels by nvcc and by Triton {by_triton['triton']}: {', '.join(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
