# SPDX-License-Identifier: Apache-2.0
"""What make gpu-check concludes from what it measures; and what it says where there is no GPU. That its programs run is
tested with the fake driver, by ctest (gpu_bench) and `make gpu-check FAKE=1`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aot import read_measured
from estimates import SCENES, work_of

import gpu_check
from conftest import ROOT
from gpu.counters import read_counters
from gpu.kernel_choice import deform_us, from_how_many, keep
from gpu.report import page, sessions
from gpu.traffic import TRIANGLE, VERTEX_POSITION, bytes_of, with_rates

COUNTS = {
    "gaussians": 1000, "visible": 600, "instances": 2000, "dropped": 0, "vertex_blocks": 10, "shape_entries": 50,
    "skin_entries": 20, "triangles": 320, "follow": TRIANGLE, "color_floats": 3, "tiles": 12, "width": 64, "height": 48,
    "fast": True,
}  # fmt: skip


GPU = {
    "name": "NVIDIA GeForce RTX 2060", "isa": "sm_75", "multiprocessors": 30, "clock_mhz": 1680,
    "networks": "cuda, not measured", "voice": "cuda, not measured",
    "memory_bytes": 6 << 30, "driver_cuda": 13010, "copy_gb_per_s": 300.0,
    "fp32_gflops": 6000.0, "half_matrix_gflops": 25000.0,
}  # fmt: skip


def piece(name: str, us: float = 10.0, moved: int = 0) -> dict[str, Any]:
    return {"name": name, "grid": [1, 1], "threads": 128, "bytes": moved, "us": us, "p99_us": us}


def measured(**changes: Any) -> dict[str, Any]:
    return {
        "batch": 1, "draws": 50, "p50_us": 500.0, "p99_us": 700.0, "min_us": 450.0, "gaussians": 1000, "visible": 600,
        "instances": 2000, "dropped": 0, "repeats_alike": True, "batch_alike": True, "stays_us": 300.0,
        "stays_alike": True, "scratch_bytes": 0, **changes,
    }  # fmt: skip


def result() -> dict[str, Any]:
    pieces = [piece("upload", 2, 4000), piece("project_kernel"), piece("sort_count_kernel"), piece("sort_count_kernel")]
    return {
        "date": "2026-11-29", "fake": False,
        "machine": {"cpu": "Some CPU", "cpus": 8, "talksplat": "0.1.0", "commit": "abc1234"},
        "gpu": GPU,
        "tests": {"passed": 90, "failed": 0, "skipped": 2, "failures": [], "command": "pytest"},
        "sanitizer": {"memcheck": "found nothing", "racecheck": "skipped, it is not installed"},
        "pictures": {"head": {"within": 1.0, "worst": 2}},
        "frames": {"head": {"1": measured(), "16": measured(p50_us=4000.0, p99_us=5000.0)}},
        "kernels": {
            "head": {
                "batch": 1, "pieces": with_rates(pieces, COUNTS, 1, GPU), "products": 0,
                "counters": {"project_kernel": {"issue_percent": 62.4, "occupancy_percent": 80.0}},
                "counters_missing": "",
            },
        },
        "deform": {
            "us": {"a network": {"1": {"cuda": 20.0, "triton": 25.0}, "16": {"cuda": 300.0, "triton": 200.0}}},
            "missing": "", "from": 16,
        },
        "voice": {
            "us": {"the voice": {"2": {"cuda": 30.0, "triton": 90.0}, "128": {"cuda": 80.0, "triton": 91.0}}},
            "apart": {"cuda": 1e-6, "triton": 2e-6}, "missing": "", "from": 0,
        },
        "encoders": {
            "w2v": {
                "cuda": {"version": "1.31", "precision": "fp16", "hop_ms": 2.0, "hop_of_sound_ms": 160, "error": 0.01,
                         "batch": 8, "batch_ms": 3.0, "turns": ""},
                "tensorrt": {"missing": "tensorrt is not installed"},
            },
        },
        "others": {"torch": "2.13", "us": {"gsplat, head 30k": {"p50_us": 900.0, "p99_us": 990.0}},
                   "missing": {"torch and gsplat, LAM size": "no such file"}},
    }  # fmt: skip


def test_every_kernel_is_counted_or_is_not_bound_by_memory() -> None:
    listed = re.findall(r"^  X\((\w+),", (ROOT / "kernels" / "cuda" / "list.h").read_text(), re.M)
    assert "blend_fast_kernel" in listed
    uncounted = {name for name in listed if bytes_of(name, COUNTS) is None}
    assert {name.partition("_")[0] for name in uncounted} <= {"deform", "dilate", "encode", "peak"}


def test_bytes_of_some_kernels() -> None:
    assert bytes_of("pose_gaussians_kernel", COUNTS) == 1000 * (44 + 68 + 40)
    assert bytes_of("pose_gaussians_kernel", COUNTS | {"follow": VERTEX_POSITION}) == 1000 * (44 + 16 + 12)
    assert bytes_of("blend_fast_kernel", COUNTS) == 2000 * 40 + 4 * 64 * 48
    # Of two passes the first reads keys, the last writes the order alone.
    assert [bytes_of("sort_scatter_kernel", COUNTS, turn, 2) for turn in range(2)] == [12_000, 12_000]
    assert bytes_of("sort_scatter_kernel", COUNTS, 1, 4) == 16_000


def test_bandwidth_is_of_all_frames_of_a_batch() -> None:
    pieces = [piece("upload", 2, 4000), piece("pose_gaussians_kernel"), piece("deform_fast_kernel")]
    rows = with_rates(pieces, COUNTS, 4, GPU | {"copy_gb_per_s": 100.0})
    assert rows[0]["gb_per_s"] == pytest.approx(2.0)
    assert rows[0]["of_copy"] is None
    assert rows[1]["gb_per_s"] == pytest.approx(4 * 152_000 / 10 / 1e3)
    assert rows[1]["of_copy"] == pytest.approx(0.608)
    assert rows[2]["gb_per_s"] is None
    assert [row["turn"] for row in with_rates([piece("x")] * 3, COUNTS, 1, GPU | {"copy_gb_per_s": 0.0})] == [0, 1, 2]


def test_issue_slots_are_of_heads_that_were_counted() -> None:
    (scene, _) = SCENES
    counts = COUNTS | {"gaussians": scene.gaussians, "vertex_blocks": 0}
    (work,) = (work for work in work_of(scene) if work.kernel == "blend_fast")
    (row,) = with_rates([piece("blend_fast_kernel", 100)], counts, 2, GPU)
    assert row["issue"] == pytest.approx(2 * work.instructions / (100e-6 * 1680e6 * 30 * 4))
    for other in ({"gaussians": 999}, {"vertex_blocks": 5}, {"fast": False}):
        assert with_rates([piece("blend_fast_kernel")], counts | other, 1, GPU)[0]["issue"] is None
    assert with_rates([piece("blend_fast_kernel")], counts, 1, GPU | {"clock_mhz": 0})[0]["issue"] is None


def test_both_counts_of_bytes_agree() -> None:
    """Those of kernels/estimates.py, before anything is drawn, count a little of what is read from caches."""
    for scene in SCENES:
        n = scene.gaussians
        counts = COUNTS | {
            "gaussians": n, "visible": n, "instances": scene.pairs, "vertex_blocks": 314, "skin_entries": 0,
            "shape_entries": scene.shape_bytes // 192, "triangles": scene.triangles, "tiles": scene.tiles,
            "width": 512, "height": 512,
        }  # fmt: skip
        for work in work_of(scene):
            ours = bytes_of(work.kernel, counts, 1, 3)
            assert ours is not None and 0.5 < ours / (work.read + work.written) < 2, work.kernel


def test_sessions_are_those_of_the_best_batch_that_is_in_time() -> None:
    frames = {"1": measured(), "16": measured(p50_us=4000.0), "64": measured(p50_us=15_000.0, p99_us=41_000.0)}
    assert sessions(frames) == (160, 16)
    assert sessions({"1": measured(p99_us=50_000.0)}) == (0, 0)


def of_kernels(cuda: list[float], triton: list[float]) -> dict[str, dict[str, float]]:
    times = zip(("1", "4", "16"), cuda, triton, strict=True)
    return {batch: {"cuda": a, "triton": b} for batch, a, b in times}


def test_triton_is_chosen_from_where_it_stays_faster() -> None:
    us = {"small": of_kernels([20, 50, 200], [30, 45, 150]), "large": of_kernels([40, 100, 400], [42, 99, 300])}
    assert from_how_many(us) == 4
    # 149 of 150 is less than a fiftieth gained; and what is lost in between counts.
    us["large"]["4"]["triton"] = 104.0
    assert from_how_many(us) == 16
    us["large"]["16"]["triton"] = 500.0
    assert from_how_many(us) == 0
    assert from_how_many({"all": of_kernels([20, 50, 200], [10, 20, 50])}) == 1
    assert from_how_many({}) == 0


def test_a_row_is_kept_for_each_architecture(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text((ROOT / "kernels" / "triton" / "measured.csv").read_text().splitlines()[0] + "\n")
    keep(path, "a_kernel", 90, 4, "NVIDIA H200", "2026-11-30")
    keep(path, "a_kernel", 80, 0, "A100, 40 GB", "2026-12-01")
    keep(path, "b_kernel", 90, 7, "NVIDIA H200", "2026-12-01")
    keep(path, "a_kernel", 90, 1, "NVIDIA H200", "2026-12-02")
    assert read_measured(path) == [("a_kernel", 80, 0), ("a_kernel", 90, 1), ("b_kernel", 90, 7)]
    assert 'a_kernel,80,0,"A100, 40 GB",2026-12-01\na_kernel,90,1,NVIDIA H200,2026-12-02\n' in path.read_text()


def test_deform_is_all_that_its_launches_take() -> None:
    pieces = [piece("project_kernel"), piece("deform_layers_kernel", 5.0), piece("deform_rows_kernel", 2.0)]
    assert deform_us({"pieces": pieces}) == 7.0
    assert deform_us({"pieces": pieces[:1]}) is None


def test_the_page() -> None:
    text = page(result())
    assert text.startswith("# NVIDIA GeForce RTX 2060 (2026-11-29)\n\nsm_75, 30 multiprocessors at 1680 MHz, 6.0 GiB")
    assert "driver with CUDA 13.1. Measured here: a copy within its memory reads and writes 300 GB/s;" in text
    assert "90 passed, 0 failed, 2 skipped" in text
    assert "every picture has the same bits" in text
    assert "| head | 1,000 | 2,000 | 0.500 / 0.700 (0.300) | 4.000 / 5.000 (0.300) | 160 (16) |" in text
    assert re.search(r"^\| project \| 10\.0 \| \d+ \| \d+% \| 62% \| 80 \|$", text, re.M)
    assert "| sort_count 2 |" in text
    assert "| gsplat, head 30k | 0.900 | 0.990 |" in text
    assert "Not measured: torch and gsplat, LAM size (no such file)." in text
    assert "| a network | 16 | 300.0 | 200.0 |" in text and "chosen from 16 frames on." in text
    assert "| w2v, cuda 1.31 fp16 | 2.00 | 160 | 0.01 |" in text
    assert "Not run: tensorrt (tensorrt is not installed)." in text
    assert "| the voice | 128 | 80.0 | 91.0 |" in text and "Triton's is never chosen." in text
    none = {"us": {}, "missing": "this build has no Triton kernels.", "from": 0}
    assert "Not measured: this build has no Triton kernels." in page(result() | {"deform": none})
    assert "fake" not in text
    assert "No time here is a GPU's" in page(result() | {"fake": True})


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("tests", "failed"), 2, "2 tests failed on the device."),
        (("tests", "passed"), 0, "no test ran on the device."),
        (("sanitizer", "racecheck"), "failed: head: 1 hazard", "compute-sanitizer racecheck failed: head: 1 hazard."),
        (("frames", "head", "16", "batch_alike"), False, "head: pictures in batches of 16 differ from draw to draw."),
        (("frames", "head", "16", "stays_alike"), False,
         "head: pictures that stay on the GPU, 16 at once, are not those that come here."),
        (("frames", "head", "1", "dropped"), 3, "head: 3 splats found no room."),
        (("voice", "apart", "triton"), 2e-3,
         "the voice, by triton: what it says is 2.0e-03 from the CPU's; 1e-04 is allowed."),
        (("pictures", "head", "within"), 0.98, "head: only 98.00% of its pictures are the CPU's."),
    ],
)  # fmt: skip
def test_what_is_wrong(place: tuple[str, ...], value: Any, said: str) -> None:
    found = result()
    assert gpu_check.faults(found) == []
    inner: Any = found
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert gpu_check.faults(found) == [said]


def test_two_kernels_need_not_agree_in_the_last_bit() -> None:
    found = result()
    found["frames"]["head"]["16"]["batch_alike"] = False
    found["gpu"] = GPU | {"networks": "cuda, triton from 4 frames at once, measured"}
    assert gpu_check.faults(found) == []
    found["frames"]["head"]["16"]["repeats_alike"] = False
    assert gpu_check.faults(found) == ["head: pictures in batches of 16 differ from draw to draw."]


def test_tests_are_counted() -> None:
    text = (
        '<testsuites><testsuite tests="4" failures="1" errors="1" skipped="1"><testcase classname="a" name="ok"/>'
        '<testcase classname="a" name="bad"><failure/></testcase><testcase classname="b" name="broke"><error/>'
        '</testcase><testcase classname="b" name="left"><skipped/></testcase></testsuite></testsuites>'
    )
    assert gpu_check.read_tests(text) == {"passed": 1, "failed": 2, "skipped": 1, "failures": ["a.bad", "b.broke"]}


def test_counters_of_ncu() -> None:
    text = (
        "==PROF== Connected to process 1\n{}\n"
        '"ID","Kernel Name","gpu__time_duration.sum","dram__bytes.sum"\n"","","nsecond","Kbyte"\n'
        '"0","blend_fast_kernel(Jobs<BlendJob>)","1,500","12.5"\n"1","blend_fast_kernel(Jobs<BlendJob>)","2,000","13.0"\n'
    )
    assert read_counters(text) == {"blend_fast_kernel": {"us": 2.0, "dram_bytes": 13_000.0}}
    assert read_counters("==ERROR== ERR_NVGPUCTRPERM\n") == {}


def test_names_of_files() -> None:
    assert gpu_check.slug("NVIDIA GeForce RTX 2060") == "rtx-2060"
    assert gpu_check.slug("NVIDIA H200") == "h200"


def test_without_a_gpu(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "gpu_check.py", "--out", tmp_path],
        capture_output=True, text=True, env=os.environ | {"TALKSPLAT_LIBCUDA": os.devnull},
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"gpu-check: nothing was checked\. cuda: .*\n", done.stdout)
    assert not list(tmp_path.iterdir())
