# SPDX-License-Identifier: Apache-2.0
"""Compiles the kernels of this folder ahead of time, for what CMake embeds:

    python kernels/triton/aot.py FOLDER

Writes FOLDER/triton.bin (the cubins, one after the other), triton.cc (the table of csrc/cuda/triton.h) and triton.json
(what each takes of a multiprocessor). It needs Triton, of the version that is pinned here, and neither a GPU nor torch.
Exits 1 and says what is wrong where a kernel spills, uses local memory, takes more registers than a block of its warps
can have, issues no matrix instructions of its architecture, or has other parameters than the host passes; and 3 where
there is no Triton of this version. Builds of one source are alike to the bit.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TRITON = "3.9.0"
NO_TRITON = 3  # exit status
ALIGNED = 64  # bytes, of a cubin in triton.bin
PARAMETERS = 3  # the address of the jobs, and two that Triton adds: scratch memory and a profiler's, which are null
MAX_SHARED_BYTES = 48 << 10  # what a block has without asking for more


@dataclass(frozen=True)
class Specialisation:
    """A cubin that is built. constants: the kernel's, in the order of its parameters. resident_warps: that a
    multiprocessor must have room for. matrix: the instruction that its products must be."""

    kernel: str
    capability: int
    constants: tuple[int, ...]
    warps: int
    resident_warps: int
    matrix: str

    @property
    def most_registers(self) -> int:
        """Of a thread; they come in eights."""
        return min(65536 // (self.resident_warps * 32) // 8 * 8, 255)


MODULES = {"deform_layers_kernel": "deform", "encode_rows_kernel": "encode"}
CAPABILITIES = (80, 86, 89, 90, 120)
SPECIALISATIONS = (
    # Blocks of 64 rows and 64 outputs (4 squares): 4 warps, each with 16 rows. A depth of 4 squares takes 226 registers
    # on sm_80 and spills on sm_86 and sm_89; 8 squares of outputs spill on sm_80.
    *(
        Specialisation("deform_layers_kernel", capability, (4, 2), 4, 12, "HGMMA" if capability == 90 else "HMMA")
        for capability in CAPABILITIES
    ),
    # Blocks of 16 rows and 128 outputs: 8 warps, each with 16 outputs. Hopper's wgmma begins at 64 rows.
    *(Specialisation("encode_rows_kernel", capability, (128, 32), 8, 8, "HMMA") for capability in CAPABILITIES),
)


@dataclass(frozen=True)
class Compiled:
    """What a cubin takes: registers of a thread; bytes of its block's shared memory, of its stack and code; matrix
    instructions in its code."""

    kernel: str
    capability: int
    threads: int
    registers: int
    shared_bytes: int
    stack_bytes: int
    local_bytes: int
    code_bytes: int
    matrix_instructions: int
    parameters: int
    constant_loads: int  # through the cache for what nobody writes, which is not told of a block's own stores


def compile_one(spec: Specialisation) -> tuple[Compiled, bytes]:
    """Triton is imported here alone, after its settings were made."""
    os.environ["TRITON_DISABLE_LINE_INFO"] = "1"  # paths stay out of the binary
    os.environ.pop("TRITON_INTERPRET", None)
    sys.path.insert(0, str(HERE))  # which an isolated Python leaves out
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(importlib.import_module(MODULES[spec.kernel]), spec.kernel)
    jobs, *names = kernel.arg_names
    source = ASTSource(
        kernel,
        {jobs: "i64", **dict.fromkeys(names, "constexpr")},
        {(i,): value for i, value in enumerate(spec.constants, 1)},
        {(0,): [["tt.divisibility", 16]]},
    )
    # Fusion is where fma() is written, as in all kernels.
    options = {"num_warps": spec.warps, "num_stages": 1, "enable_fp_fusion": False}
    made = triton.compile(source, target=GPUTarget("cuda", spec.capability, 32), options=options)
    cubin: bytes = made.asm["cubin"]
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    used = usage_of(listing(tools / "cuobjdump", "-res-usage", cubin))
    sass = listing(tools / "cuobjdump", "-sass", cubin)
    return Compiled(
        spec.kernel,
        spec.capability,
        32 * spec.warps,
        used["REG"],
        made.metadata.shared,
        used["STACK"],
        used["LOCAL"],
        code_bytes(cubin, spec.kernel),
        len(re.findall(rf"\b{spec.matrix}\.", sass)),
        len(re.findall(r"^\s*\.param ", made.asm["ptx"], re.M)),
        made.asm["ptx"].count("ld.global.nc"),
    ), cubin


def listing(tool: Path, option: str, cubin: bytes) -> str:
    """What cuobjdump says of a cubin, which it reads from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        return subprocess.run([tool, option, path], capture_output=True, text=True, check=True).stdout


def usage_of(text: str) -> dict[str, int]:
    """Of `cuobjdump -res-usage`. Raises ValueError where it says nothing."""
    found = {name: int(value) for name, value in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", text)}
    if set(found) != {"REG", "STACK", "LOCAL"}:
        raise ValueError(f"cuobjdump must say REG, STACK and LOCAL; got {text.strip()!r}.")
    return found


def code_bytes(cubin: bytes, kernel: str) -> int:
    """The size of a kernel's section of an ELF file of 64 bits. Raises ValueError where it has none."""
    (sections,) = struct.unpack_from("<Q", cubin, 40)
    size, count, names = struct.unpack_from("<HHH", cubin, 58)
    headers = [struct.unpack_from("<IIQQQQ", cubin, sections + i * size) for i in range(count)]
    name_at = headers[names][4]
    for name, _, _, _, _, length in headers:
        begin = name_at + name
        if cubin[begin : cubin.index(b"\0", begin)] == f".text.{kernel}".encode():
            return int(length)
    raise ValueError(f"{kernel}: its cubin must have the section .text.{kernel}.")


def beyond(spec: Specialisation, made: Compiled) -> list[str]:
    """What is wrong with a cubin, a sentence each."""
    name = f"{made.kernel}: sm_{made.capability}"
    wrong = []
    if made.stack_bytes or made.local_bytes:
        took = f"{made.stack_bytes} B of stack and {made.local_bytes} B of local memory"
        wrong.append(f"{name} takes {took}; neither is allowed.")
    if made.registers > spec.most_registers:
        wrong.append(f"{name} takes {made.registers} registers; {spec.most_registers} are allowed.")
    if made.shared_bytes > MAX_SHARED_BYTES:
        wrong.append(f"{name} takes {made.shared_bytes} B of shared memory; {MAX_SHARED_BYTES} are allowed.")
    if made.matrix_instructions == 0:
        wrong.append(f"{name} has no {spec.matrix} instructions: its products are not on tensor cores.")
    if made.parameters != PARAMETERS:
        wrong.append(f"{name} has {made.parameters} parameters; csrc/cuda/stream.cc passes {PARAMETERS}.")
    if made.constant_loads:
        wrong.append(f"{name} reads {made.constant_loads} times by ld.global.nc; values change while it runs.")
    return wrong


def read_measured(path: Path) -> list[tuple[str, int, int]]:
    """(kernel, capability, from how many at once on it is the faster one) of measured.csv; 0: never."""
    with path.open(newline="") as file:
        return [(row["kernel"], int(row["capability"]), int(row["from"])) for row in csv.DictReader(file)]


def table(made: list[Compiled], offsets: list[int], measured: list[tuple[str, int, int]], images: Path) -> str:
    """The file that defines csrc/cuda/triton.h's table."""

    def array(kind: str, name: str, rows: list[str]) -> str:
        return f"const {kind} {name}[] = {{{', '.join(rows) or '{}'}}};\nconst size_t {name}Count = {len(rows)};\n"

    cubins = [
        f'{{{one.capability}, "{one.kernel}", {one.threads}, {one.shared_bytes}, {at}}}'
        for one, at in zip(made, offsets, strict=True)
    ]
    contents = ", ".join(f"sm_{capability}" for capability in sorted({one.capability for one in made}))
    return f"""// By kernels/triton/aot.py.
#include "cuda/triton.h"

asm(R"(
  .pushsection .rodata
  .globl _ZN2ts4cuda13kTritonImagesE
  .hidden _ZN2ts4cuda13kTritonImagesE
  .balign {ALIGNED}
_ZN2ts4cuda13kTritonImagesE:
  .incbin "{images.as_posix()}"
  .popsection
)");

namespace ts::cuda {{

{array("TritonCubin", "kTritonCubins", cubins).replace("kTritonCubinsCount", "kTritonCubinCount")}\
{array("TritonMeasured", "kTritonMeasured", [f'{{"{name}", {sm}, {n}}}' for name, sm, n in measured])}\
const char* const kTritonContents = "{contents}, by Triton {TRITON}";
const char* const kTritonWhyNone = "";

}}  // namespace ts::cuda
"""


def build(folder: Path) -> list[str]:
    """Writes the three files; returns what is wrong, and then writes no table."""
    with ProcessPoolExecutor() as pool:
        compiled = list(pool.map(compile_one, SPECIALISATIONS))
    made = [one for one, _ in compiled]
    wrong = [sentence for spec, one in zip(SPECIALISATIONS, made, strict=True) for sentence in beyond(spec, one)]
    if wrong:
        return wrong
    images, offsets = bytearray(), []
    for _, cubin in compiled:
        images += b"\0" * (-len(images) % ALIGNED)
        offsets.append(len(images))
        images += cubin
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "triton.bin").write_bytes(images)
    described = {"triton": TRITON, "bytes": len(images), "kernels": [asdict(one) for one in made]}
    (folder / "triton.json").write_text(json.dumps(described, indent=1) + "\n")
    measured = read_measured(HERE / "measured.csv")
    (folder / "triton.cc").write_text(table(made, offsets, measured, folder / "triton.bin"))
    return []


def why_not() -> str:
    """Why this Python cannot compile them; "" if it can."""
    from importlib import metadata

    try:
        version = metadata.version("triton")
    except metadata.PackageNotFoundError:
        return f"Triton {TRITON} is not installed"
    return "" if version == TRITON else f"Triton {TRITON} is needed; {version} is installed"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    refused = why_not()
    if refused or arguments[0] == "--can":
        print(refused or TRITON)
        return NO_TRITON if refused else 0
    wrong = build(Path(arguments[0]).resolve())
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
