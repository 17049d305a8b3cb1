# SPDX-License-Identifier: Apache-2.0
"""What a deform network costs: counted by hand for known sizes, shown by inspect and bench."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import talksplat
from ops.deform_programs import embedtalk, everything, gaussian_talker, talking_gaussian
from runtime.command import Output
from talksplat.cli import main
from talksplat.deform_cost import deform_cost


def cost(path: Path) -> tuple[int, int]:
    """Products and bytes of the branches."""
    avatar = talksplat.load(path)
    stages = [s for s in deform_cost(avatar.manifest, avatar.tensors()) if s.part != "condition"]
    return sum(s.products for s in stages), sum(s.bytes for s in stages)


def test_embedtalk_s(tmp_path: Path) -> None:
    products, moved = cost(embedtalk(100, 64).write(tmp_path / "a.tsplat"))
    assert products == 100 * (2 * 64 * 64 + 4 * 64)
    assert moved == 100 * (4 * 64 + 24 + 8)


def test_talking_gaussian_s(tmp_path: Path) -> None:
    """7.2 k and 1.1 k products, as in talking_gaussian.md, section 6."""
    products, moved = cost(talking_gaussian(100, 50).write(tmp_path / "a.tsplat"))
    assert products == 100 * (38 * 64 + 64 * 64 + 10 * 64) + 50 * (32 * 32 + 3 * 32)
    assert moved == 100 * (4 * (64 + 38) + 24 + 32 + 24) + 50 * (4 * 32 + 24)


@pytest.mark.parametrize(("layers", "products"), [(1, 65_920), (2, 83_328)])
def test_gaussian_talker_s(layers: int, products: int, tmp_path: Path) -> None:
    """65.9 k and 83.3 k, folded, as in gaussian_talker.md, section 6."""
    found, _ = cost(gaussian_talker(10, layers).write(tmp_path / "a.tsplat", 3))
    assert found == 10 * products


def test_the_condition_s(tmp_path: Path) -> None:
    avatar = talksplat.load(gaussian_talker(1).write(tmp_path / "a.tsplat", 3))
    stages = {s.text.split()[0]: s.products for s in deform_cost(avatar.manifest, avatar.tensors())}
    assert stages["conv0"] == 8 * 8 * 32 * 29 * 3 and stages["conv3"] == 8 * 1 * 64 * 64 * 3
    assert stages["wide"] == 8 * 64 * 64 and stages["attend0"] == 8 * 16 * 32 * 3


def test_avatars_without_a_network_cost_nothing(tiny_path: Path) -> None:
    avatar = talksplat.load(tiny_path)
    assert deform_cost(avatar.manifest, avatar.tensors()) == []


def test_inspect_tells(tmp_path: Path, capsys: Output) -> None:
    path = talking_gaussian(100, 50).write(tmp_path / "a.tsplat")
    assert main(["inspect", str(path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "face 100, mouth 50" in out and "linear 38 to 64" in out and "bf16 was not measured" in out
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["deform"]
    assert found["flops"] == sum(stage["flops"] for stage in found["stages"]) > 0
    assert found["precision"] == "fp32" and found["branches"] == {"face": 100, "mouth": 50}


def test_inspect_of_what_no_method_has(tmp_path: Path, capsys: Output) -> None:
    assert main(["inspect", str(everything(20).write(tmp_path / "a.tsplat"))]) == 0
    assert "odd 20, still 3" in capsys.readouterr().out


def test_bench_tells_the_share_of_the_peak(tmp_path: Path, capsys: Output) -> None:
    path = embedtalk(3000).write(tmp_path / "a.tsplat")
    assert main(["bench", str(path), "--json", "--frames", "5", "--size", "64x64"]) == 0
    deform = json.loads(capsys.readouterr().out)["deform"]
    assert deform["precision"] == "fp32" and deform["peak_gflops_per_s"] > 0.1
    # Of a network that was skipped, since its control stayed the same, it would be far above 1.
    assert 0 < deform["of_peak"] < 1.3
    assert main(["bench", str(path), "--frames", "2", "--size", "64x64"]) == 0
    assert "% of what these threads can do from registers" in " ".join(capsys.readouterr().out.split())


def test_bench_of_an_avatar_without_a_network(tiny_path: Path, capsys: Output) -> None:
    assert main(["bench", str(tiny_path), "--json", "--frames", "2"]) == 0
    assert "deform" not in json.loads(capsys.readouterr().out)
