# SPDX-License-Identifier: Apache-2.0
"""Checks and measures the NVIDIA GPU of this machine, without the network: `make gpu-check`.

Builds bench/gpu with the kernels; runs the tests of ops and golden vectors on the device, and compute-sanitizer where
it is installed; draws every head of bench/gpu/heads.py on the GPU and on the CPU; times frames, batches, kernels one by
one, and gsplat and torch where they are installed. Writes bench/results/DATE-GPU.json and .md. Exits 0 if all is right,
1 if something is not, 2 where there is no GPU. --fake does all that once and small, on the tests' driver.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))

import numpy as np

import talksplat
from backends import DEFORM_BACKENDS, Backend, missing
from gpu import encoders, kernel_choice
from gpu.counters import count
from gpu.heads import Head, make_heads
from gpu.native import BenchFailed, Native
from gpu.others import controls_of
from gpu.report import page
from gpu.traffic import with_rates
from machine import machine
from reference import tsplat
from shared_data import ROOT
from talksplat import _core
from talksplat.deform_cost import deform_cost

# What has a body for a GPU: the ops' tests, and the golden vectors'.
TESTS = ["tests/ops", "tests/runtime/test_golden.py", "-k", "cuda or triton"]
BATCHES = (1, 4, 16, 64)
STREAMS = (1, 16, 64, 256, 1000)  # of a voice
KERNEL_BATCHES = (1, 16)
SANITIZERS = ("memcheck", "racecheck")
# Of the numbers of pictures in fast precision, beside the CPU's in reference precision: so many are within 2 of 255,
# which are the 1.5 that it may be off and rounding to bytes. The rest are at the edges of splats that one of them left
# out.
LEAST_WITHIN = 0.999
MOST_APART = 1e-4  # of what the voice says, beside the CPU's: numbers of size about 1
TIMEOUT_S = 3600
MEASURED = ROOT / "kernels" / "triton" / "measured.csv"
SHIPPED_VOICE = Path(talksplat.__file__).parent / "assets" / "voice.safetensors"
FAKE_BUILD = ROOT / "build" / "fake"
NOT_A_GPU = "the driver is the tests'"


def main() -> int:
    options = parse_arguments()
    try:
        built = None
        if options.fake:
            built = build(fake=True)
            os.environ["TALKSPLAT_LIBCUDA"] = str(built / "tests" / "simt" / "libfake_cuda.so")
            os.environ["FAKE_CUDA_CAPABILITY"] = "80"  # that has both kernels of networks
        refused = why_not()
        if refused:
            print(f"gpu-check: nothing was checked. {refused}")
            return 2
        native = Native(
            (built or build(fake=False)) / "bench" / "gpu" / "gpu_bench",
            repeats=1 if options.fake else 50,
            small=options.fake,
        )
        with tempfile.TemporaryDirectory() as folder:
            result = check(native, Path(folder))
    except (BenchFailed, subprocess.SubprocessError, talksplat.TalksplatError) as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        return 1
    text = page(result)
    print(text)
    wrong = faults(result)
    if not wrong:  # what computes something else is not chosen for its speed
        keep_choice(result)
    options.out.mkdir(parents=True, exist_ok=True)
    stem = options.out / f"{result['date']}-{slug(result['gpu']['name'])}"
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    print(f"Written to {stem}.json and .md")
    for fault in wrong:
        print(f"gpu-check: {fault}", file=sys.stderr)
    return 1 if wrong else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fake", action="store_true", help="on the tests' driver, which computes on the CPU")
    parser.add_argument("--out", type=Path, help="folder of the results; bench/results, of the fake build/fake")
    options = parser.parse_args()
    options.out = options.out or (FAKE_BUILD if options.fake else ROOT / "bench" / "results")
    return options


def why_not() -> str:
    """Why no GPU can be used, in one sentence; "" if one can."""
    system = _core.system_info()
    return str(system["why_no_gpu"])


def check(native: Native, folder: Path) -> dict[str, Any]:
    fake = native.small
    say("writing the heads")
    heads = make_heads(folder, small=fake)
    say("its own rates")
    said = _core.system_info()["gpus"][0]
    gpu = native.device() | {"networks": said["deform"], "voice": said["encode"]}
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"), "fake": fake, "machine": machine(), "gpu": gpu, "tests": run_tests(),
        "sanitizer": sanitize(native, heads), "pictures": {}, "frames": {}, "kernels": {},
    }  # fmt: skip
    for head in heads:
        say(head.name)
        result["pictures"] |= compare(head)
        result["frames"][head.name] = {
            str(batch): native.frames(head, batch) for batch in ((1, 3) if fake else BATCHES)
        }
        for batch in (1,) if fake else KERNEL_BATCHES:
            title = head.name if batch == 1 else f"{head.name}, {batch} frames"
            result["kernels"][title] = measure_kernels(native, head, batch, gpu)
    say("networks by two kernels")
    result["deform"] = kernel_choice.measure_networks(native, heads, (1,) if fake else BATCHES)
    say("the voice by two kernels")
    result["voice"] = kernel_choice.measure_voice(native, SHIPPED_VOICE, (2,) if fake else STREAMS)
    say("encoders")
    result["encoders"] = {"none": {"cuda": {"missing": NOT_A_GPU}}} if fake else encoders.measure()
    say("others")
    result["others"] = {"missing": {"all": NOT_A_GPU}} if fake else measure_others(folder)
    return result


def say(what: str) -> None:
    print(f"gpu-check: {what}", flush=True)


# ---- its steps ----


def build(fake: bool) -> Path:
    """gpu_bench, with the GPU's kernels or beside the tests' driver, which has them; returns the folder.

    Tools are those of this Python's environment, else those on PATH.
    """
    say("building")
    beside = Path(sys.executable).parent
    cmake, ninja = (str(beside / name) if (beside / name).exists() else name for name in ("cmake", "ninja"))
    folder = FAKE_BUILD if fake else ROOT / "build" / "gpu"
    options = ["-DTALKSPLAT_CUDA=OFF", "-DTALKSPLAT_ISAS=scalar"] if fake else ["-DTALKSPLAT_CUDA=ON"]
    if shutil.which(ninja):
        options += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    for step in (
        [cmake, "-S", ROOT, "-B", folder, f"-DPython_EXECUTABLE={sys.executable}", "-DTALKSPLAT_TESTS=ON", *options],
        [cmake, "--build", folder, "--target", "gpu_bench"],
    ):
        done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(done.stdout[-8000:], file=sys.stderr)
            raise subprocess.CalledProcessError(done.returncode, step)
    return folder


def run_tests() -> dict[str, Any]:
    say("tests on the device")
    driver = os.environ.get("TALKSPLAT_LIBCUDA", "libcuda.so.1")
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "tests.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={told}", *TESTS],
            cwd=ROOT, env=os.environ | {"TALKSPLAT_TEST_LIBCUDA": driver}, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S,
        )  # fmt: skip
        return read_tests(told.read_text(encoding="utf-8")) | {"command": f"pytest {' '.join(TESTS)}"}


def read_tests(text: str) -> dict[str, Any]:
    """Of pytest's JUnit XML."""
    suite = ElementTree.fromstring(text).find("testsuite")
    assert suite is not None
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failures = [
        f"{case.get('classname')}.{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    failed = counts["failures"] + counts["errors"]
    return {
        "passed": counts["tests"] - failed - counts["skipped"], "failed": failed, "skipped": counts["skipped"],
        "failures": failures,
    }  # fmt: skip


def sanitize(native: Native, heads: list[Head]) -> dict[str, str]:
    """What compute-sanitizer's tools say of three frames of each head, in both precisions, and of 17 streams of the
    voice by both kernels."""
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        return dict.fromkeys(SANITIZERS, "skipped, it is not installed")
    once = Native(native.program, repeats=1, small=True)
    said = {}
    for tool in SANITIZERS:
        say(f"compute-sanitizer {tool}")
        faults = []
        for head in heads:
            for precision in ("fast", "reference"):
                draws = once.command("frames", *once.scene(head, 3, precision))
                done = once.run([sanitizer, "--tool", tool, "--error-exitcode", "9", *draws])
                if done.returncode:
                    faults.append(f"{head.name}, {precision}: {(done.stdout.strip().splitlines() or ['nothing'])[-1]}")
        for by in kernel_choice.BY:
            command = once.command("voice", "--voice", str(SHIPPED_VOICE), "--batch", "17")
            done = once.run([sanitizer, "--tool", tool, "--error-exitcode", "9", *command], {"TALKSPLAT_ENCODE": by})
            if done.returncode:
                faults.append(f"the voice, by {by}: {(done.stdout.strip().splitlines() or ['nothing'])[-1]}")
        said[tool] = f"failed: {'; '.join(faults)}" if faults else "found nothing"
    return said


def compare(head: Head) -> dict[str, Any]:
    """Some pictures of the GPU's beside the CPU's; of a network by both its kernels, where the GPU has both."""
    rows = controls_of(head.avatar)[::20]
    on_cpu = talksplat.load(head.avatar, device="cpu", precision="reference")
    pictures = [on_cpu.render_frame(row, head.size, "rgb8").image.astype(int) for row in rows]
    has_network = "deform" in on_cpu.manifest and bool(on_cpu.manifest["deform"].get("branches"))
    found = {}
    for backend in fast_backends() if has_network else fast_backends()[:1]:
        avatar = talksplat.load(head.avatar, engine=backend.engine(), precision="fast")
        off = [
            np.abs(avatar.render_frame(row, head.size, "rgb8").image.astype(int) - picture)
            for row, picture in zip(rows, pictures, strict=True)
        ]
        name = f"{head.name}, by {backend}" if has_network else head.name
        found[name] = {"within": float(np.mean(np.stack(off) <= 2)), "worst": int(np.max(off))}
    return found


def fast_backends() -> list[Backend]:
    """The hand-written kernel first."""
    return [one for one in DEFORM_BACKENDS if one.device == "cuda" and one.precision == "fast" and not missing(one)]


def keep_choice(result: dict[str, Any]) -> None:
    """For the next build: which kernels compute networks and the voice on GPUs like this one."""
    for name, kernel in (("deform", kernel_choice.NETWORKS), ("voice", kernel_choice.VOICE)):
        measured = result[name]
        if result["fake"] or not measured["us"]:
            continue
        capability = int(result["gpu"]["isa"].removeprefix("sm_"))
        kernel_choice.keep(MEASURED, kernel, capability, measured["from"], result["gpu"]["name"], result["date"])
        print(f"{kernel}: written to {MEASURED}; the next build chooses by it")


def measure_kernels(native: Native, head: Head, batch: int, gpu: dict[str, Any]) -> dict[str, Any]:
    measured = native.kernels(head, batch)
    counters, missing = ({}, NOT_A_GPU) if native.small else count(native, head, batch)
    file = tsplat.read(head.avatar)
    products = sum(stage.products for stage in deform_cost(file.manifest, file.tensors) if stage.part != "condition")
    return measured | {
        "pieces": with_rates(measured["pieces"], measured["counts"], batch, gpu),
        "products": products, "counters": counters, "counters_missing": missing,
    }  # fmt: skip


def measure_others(folder: Path) -> dict[str, Any]:
    command = [sys.executable, ROOT / "bench" / "gpu" / "others.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        return {"missing": {"all": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# ---- what they come to ----


def faults(result: dict[str, Any]) -> list[str]:
    """What is wrong, a sentence each."""
    tests = result["tests"]
    wrong = []
    if tests["failed"]:
        wrong.append(f"{tests['failed']} tests failed on the device.")
    if not tests["passed"]:
        wrong.append("no test ran on the device.")
    wrong += [f"compute-sanitizer {tool} {said}." for tool, said in result["sanitizer"].items() if "failed" in said]
    for head, batches in result["frames"].items():
        for batch, measured in batches.items():
            if not alike(result, measured):
                wrong.append(f"{head}: pictures in batches of {batch} differ from draw to draw.")
            if not measured["stays_alike"]:
                wrong.append(f"{head}: pictures that stay on the GPU, {batch} at once, are not those that come here.")
            if measured["dropped"]:
                wrong.append(f"{head}: {measured['dropped']} splats found no room.")
    for head, pictures in result["pictures"].items():
        if pictures["within"] < LEAST_WITHIN:
            wrong.append(f"{head}: only {pictures['within']:.2%} of its pictures are the CPU's.")
    for by, apart in result["voice"]["apart"].items():
        if apart > MOST_APART:
            wrong.append(
                f"the voice, by {by}: what it says is {apart:.1e} from the CPU's; {MOST_APART:.0e} is allowed."
            )
    return wrong


def alike(result: dict[str, Any], measured: dict[str, Any]) -> bool:
    """Whether pictures have the bits that they should: of two kernels of networks, one for frames alone and one for
    batches, it is only those of each."""
    two_kernels = "triton from" in result["gpu"]["networks"]
    return bool(measured["repeats_alike"] and (measured["batch_alike"] or two_kernels))


def slug(name: str) -> str:
    """Of a GPU's name, for a file's: "rtx-2060"."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"nvidia|geforce", "", name.lower())).strip("-")


if __name__ == "__main__":
    sys.exit(main())
