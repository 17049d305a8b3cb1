# SPDX-License-Identifier: Apache-2.0
"""`talksplat inspect` of avatars whose texts are of any length and mean harm: shown in time, in part and harmless."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.command import Output
from runtime.tiny import tiny_avatar
from talksplat.authoring import spec
from talksplat.cli import main

Change = Callable[[Any, dict[str, Any]], object]


def made(folder: Path, change: Change) -> Path:
    manifest, tensors = tiny_avatar()
    change(manifest, tensors)
    return spec.write(folder / "a.tsplat", manifest, tensors)


def shown(path: Path, capsys: Output, seconds: float = 10) -> str:
    """What inspect prints, with single spaces; --json must have everything."""
    begin = time.perf_counter()
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert main(["inspect", str(path), "--json"]) == 0
    assert time.perf_counter() - begin < seconds
    assert capsys.readouterr().out.isascii()
    assert not {letter for letter in out if not letter.isprintable()} - {"\n"}
    return " ".join(out.split())


def test_a_long_name_and_a_long_licence(tmp_path: Path, capsys: Output) -> None:
    def change(manifest: Any, _: object) -> None:
        manifest.update(name="n" * 1_000_000, licence="word " * 800_000, subject_consent="yes " * 100_000)
        manifest["provenance"]["notes"] = "note " * 100_000
        manifest["provenance"]["source_format"] = "f" * 100_000

    text = shown(made(tmp_path, change), capsys)
    assert len(text) < 20_000
    assert "n" * 80 + "..." in text.replace(" ", "")  # rich breaks the title at 80 columns
    assert "word ... and 3998000 more characters; --json shows all" in text
    assert "yes ... and 398000 more characters; --json shows all" in text
    assert "note ... and 498000 more characters; --json shows all" in text


def test_lines_of_a_licence_stay_lines(tmp_path: Path, capsys: Output) -> None:
    path = made(tmp_path, lambda m, _: m.update(licence="MIT\n\nfirst\nsecond"))
    assert main(["inspect", str(path)]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    at = next(i for i, line in enumerate(lines) if line.startswith("licence"))
    assert lines[at : at + 4] == ["licence    MIT", "", "first", "second"]


def many_names(manifest: Any, tensors: dict[str, Any]) -> None:
    """One input of 65,536 names, 16,000 of which the rig has."""
    n = spec.MAX_INPUT_SIZE
    manifest["inputs"][0].update(
        size=n, names=[f"name_{i}_" + "x" * 200 for i in range(n)], shapes=[0] * 16_000 + [-1] * (n - 16_000)
    )
    del manifest["clips"][0], tensors["clip/talk/arkit"]


def test_many_names(tmp_path: Path, capsys: Output) -> None:
    text = shown(made(tmp_path, many_names), capsys)
    assert "arkit [65536] blendshape; this rig has only name_0_" in text
    assert "and 15936 more; --json shows all" in text
    assert len(text) < 10_000


def test_many_inputs_clips_and_files(tmp_path: Path, capsys: Output) -> None:
    def change(manifest: Any, tensors: dict[str, Any]) -> None:
        manifest["inputs"] += [{"name": f"at_{i}", "size": 3, "target": "translation"} for i in range(200)]
        clip = manifest["clips"][1]
        turn = tensors["clip/turn/head_pose"]
        for i in range(1000):
            manifest["clips"].append(clip | {"name": f"turn_{i}"})
            tensors[f"clip/turn_{i}/head_pose"] = turn
        file = {"name": "part", "bytes": 1, "sha256": "0" * 64}
        manifest["provenance"]["files"] = [file] * 1000

    text = shown(made(tmp_path, change), capsys)
    assert "at_60 [3] translation ... and 139 more; --json shows all" in text
    assert "turn_61: 0.1 s at 25 fps, head_pose ... and 938 more; --json shows all" in text
    assert "and 936 more; --json shows all" in text
    assert "at_61" not in text


HARM = "\x1b]0;owned\x07\x9b2J\u202e[red]:smile:"
HARMLESS = r"\x1b]0;owned\x07\x9b2J\u202e[red]:smile:"


def test_control_characters_are_written_out(tmp_path: Path, capsys: Output) -> None:
    def change(manifest: Any, _: object) -> None:
        names = [f"{i}{HARM}" for i in range(52)]
        manifest.update(name=HARM, licence=HARM + "\r\n\nlicence", subject_consent=HARM)
        manifest["inputs"][0].update(names=names)
        file = {"name": HARM + "f", "bytes": 1, "sha256": "0" * 64}
        manifest["provenance"].update(notes=HARM + "n", files=[file], source_format=HARM, tool=HARM, tool_version=HARM)

    path = made(tmp_path, change)
    text = shown(path, capsys).replace(" ", "")
    only = tiny_avatar()[0]["inputs"][0]["shapes"].index(0)
    for label, part in {
        "": HARMLESS, "licence": HARMLESS + r"\x0d" + "licence", "consent": HARMLESS, "notes": HARMLESS + "n",
        "madefrom": f"{HARMLESS}:{HARMLESS}f(sha256000000000000)", "madeby": HARMLESS * 2,
        "thisrighasonly": f"{only}{HARMLESS}",
    }.items():  # fmt: skip
        assert label + part in text, label
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == HARM
    assert found["licence"] == HARM + "\r\n\nlicence"
    assert found["provenance"]["files"][0]["name"] == HARM + "f"


@pytest.mark.parametrize("name", ["Zoë", "小林", "नमस्ते"])
def test_letters_of_every_script_are_shown(name: str, tmp_path: Path, capsys: Output) -> None:
    path = made(tmp_path, lambda m, _: m.update(name=name))
    assert name in shown(path, capsys)
