# SPDX-License-Identifier: Apache-2.0
"""Installs talksplat as a user does, on every Python that is found here, and tries it: `make pythons`.

For each Python from 3.10 on: `make demo` in an environment of its own, which takes the newest dependencies, and
tests/test_smoke.py, with the extra `encoders` too; then the same tests with the oldest dependencies (tests/oldest.txt).
Pythons are looked for on PATH, then below pyenv's versions. What is missing is skipped with its reason. `--ends`: the
oldest and the newest that are found, and none between. Exits 1 if anything failed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "pythons"
OLDEST = ROOT / "tests" / "oldest.txt"
MINORS = range(10, 30)
FACTS = """\
import os, sys, sysconfig
import ensurepip, venv
open(os.path.join(sysconfig.get_path("include"), "Python.h")).close()
print(sys.version_info[0], sys.version_info[1], sys.executable, sep="\\n")
"""


# The oldest numpy is too old for onnx, which makes the encoder that onnxruntime runs.
MAKE_ENCODER = (
    "import pathlib, sys; from runtime.encoder_folders import write_folder; write_folder(pathlib.Path(sys.argv[1]))"
)

AT_ONCE = 2  # pip waits for the network and the linker for one core, most of the time


def main() -> int:
    pythons: dict[str, str] = {}
    for minor in MINORS:
        version = f"3.{minor}"
        candidates = found(version)
        if not candidates:
            if minor <= 14:
                print(f"Python {version}: skipped, it is not on this machine", flush=True)
            continue
        python, reason = usable(version, candidates)
        if python is None:
            print(f"Python {version}: skipped, {reason}", flush=True)
        else:
            pythons[version] = python
    if "--ends" in sys.argv[1:]:
        for version in list(pythons)[1:-1]:
            print(f"Python {version}: skipped, it is between the oldest and the newest", flush=True)
            del pythons[version]
    if not pythons:
        print("no Python could be tried", flush=True)
        return 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return 0 if all(list(pool.map(passes, pythons, pythons.values()))) else 1


def passes(version: str, python: str) -> bool:
    begin = time.monotonic()
    wrong = attempt(version, python)
    print(f"Python {version}: {wrong or 'passed'}, {time.monotonic() - begin:.0f} s", flush=True)
    return not wrong


def found(version: str) -> list[str]:
    """Interpreters of this version: on PATH, then below pyenv's versions."""
    names = [shutil.which(f"python{version}")]
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True).stdout.strip()
        folders = sorted(Path(root, "versions").glob(f"{version}.*")) if root else []
        names += [str(folder / "bin" / "python") for folder in folders]
    return [name for name in names if name and Path(name).exists()]


def usable(version: str, candidates: list[str]) -> tuple[str | None, str]:
    """The first interpreter that runs and has what an installation needs, or None and what the last one lacks."""
    reason = ""
    for name in candidates:
        asked = subprocess.run([name, "-c", FACTS], capture_output=True, text=True)
        if asked.returncode == 0:
            major, minor, executable = asked.stdout.splitlines()[:3]
            if f"{major}.{minor}" == version:
                return executable, ""
        reason = f"{name} cannot install: {(asked.stderr.strip().splitlines() or ['another version'])[-1]}"
    return None, reason


def attempt(version: str, python: str) -> str:
    """Nothing if all passed, else what failed; its output is shown then."""
    venv = FOLDER / version
    pip = [
        venv / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "-q",
        "--only-binary",
        ":all:",
    ]
    encoder = FOLDER / f"{version}-encoder"
    tests = ["env", f"TALKSPLAT_SMOKE_ENCODER={encoder}", venv / "bin" / "python", "-m", "pytest", "-q", "-p",
             "no:cacheprovider", "tests/test_smoke.py"]  # fmt: skip
    for folder in (venv, encoder):
        shutil.rmtree(folder, ignore_errors=True)
    steps: list[tuple[str, list[str | Path]]] = [
        ("make demo", ["make", "demo", f"PYTHON={python}", f"VENV={venv}"]),
        ("installation of pytest and of what encoders need", [*pip, "pytest", "onnx", "onnxruntime"]),
        ("an encoder", ["env", "PYTHONPATH=tests", venv / "bin" / "python", "-c", MAKE_ENCODER, encoder]),
        ("newest dependencies", tests),
    ]
    if re.search(rf'^numpy==.*"{re.escape(version)}"$', OLDEST.read_text(), re.M):
        steps += [("oldest dependencies' installation", [*pip, "-r", OLDEST]), ("oldest dependencies", tests)]
    else:
        print(f"Python {version}: oldest dependencies skipped, tests/oldest.txt has none for it", flush=True)
    for name, command in steps:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(done.stdout[-8000:], flush=True)
            return f"failed ({name})"
    return ""


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    # The GPU's kernels do not depend on Python: `make dev` and `make kernels-check` compile them once, not for each.
    os.environ["CMAKE_ARGS"] = os.environ.get("CMAKE_ARGS", "") + " -DTALKSPLAT_CUDA=OFF"
    sys.exit(main())
