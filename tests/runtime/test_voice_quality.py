# SPDX-License-Identifier: Apache-2.0
"""What the built-in voice promises, on sounds that it was not trained on. bench/voice_quality.py has every number."""

import sys
from pathlib import Path

import numpy as np
import pytest

from rhubarb_peer import require_rhubarb, rhubarb
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import closures, evaluate
from voice_quality import (
    CLOSED_GOALS,
    GRID_GOAL,
    MARGIN_GOAL,
    SPEECH_GOAL,
    STILL_GOAL,
    grid_scores,
    misses,
)
from voice_report import each
from voice_sets import ESPEAK, REAL


@pytest.fixture(scope="module")
def voice() -> _core.Voice:
    return _core.Voice(str(VOICE))


def test_size(voice: _core.Voice) -> None:
    assert voice.file_bytes < 2_000_000
    assert voice.n_parameters < 1_500_000
    assert voice.look_ahead_s <= 0.080


def test_jaws_of_faces_it_never_saw(voice: _core.Voice, shared_dir: Path) -> None:
    scores = grid_scores(evaluate.faces_of(voice), shared_dir)
    jaw = scores.pop("jawOpen: prediction")
    baselines = [s["r_const"] for name, s in scores.items() if name.startswith("jawOpen: ")]
    assert len(baselines) == 3 and jaw["clips"] == 7
    assert jaw["r_const"] >= GRID_GOAL
    assert jaw["r_speech"] >= SPEECH_GOAL
    assert abs(jaw["lag"]) <= 1
    assert jaw["r_const"] >= max(baselines) + MARGIN_GOAL


def test_lips_close_on_p_b_m(voice: _core.Voice) -> None:
    pytest.importorskip("espeakng_loader", reason="no espeak-ng: nothing speaks with known phonemes")
    score = evaluate.closures(evaluate.faces_of(voice), closures.of_espeak())
    assert score["holds"] > 100
    recall, precision = CLOSED_GOALS[ESPEAK]
    assert score["recall"] >= recall and score["precision"] >= precision


def test_lips_rest_where_nobody_speaks(voice: _core.Voice) -> None:
    moved = evaluate.negatives(evaluate.faces_of(voice))
    assert {name: round(v, 4) for name, v in moved.items() if v >= STILL_GOAL} == {}


def test_lips_move_where_somebody_speaks(voice: _core.Voice, shared_dir: Path) -> None:
    samples = evaluate.read_sound(shared_dir / "data/audio/en_jfk_16k_mono.wav")
    jaw = evaluate.faces_of(voice)(samples, 25)["jawOpen"]
    assert np.std(jaw) > 0.05 and jaw.max() > 0.3


def test_the_report_scores_as_the_scorer_does(voice: _core.Voice, shared_dir: Path) -> None:
    """authoring's scoring.py and the project's scorer are two programs with one definition."""
    data, faces = shared_dir / "data", evaluate.faces_of(voice)
    scores = grid_scores(faces, shared_dir)
    for name, own in evaluate.grid(faces, data / "video/grid", data / "motion/mediapipe_from_video").items():
        other = scores[name if ":" in name else f"{name}: prediction"]
        assert (own["lag"], own["r_const"], own["r_speech"]) == pytest.approx(
            (other["lag"], other["r_const"], other["r_speech"]), abs=2e-3
        )


def test_what_is_not_reached_is_named() -> None:
    """A set that was not heard is neither reached nor missed."""
    jaw = {"r_const": 0.7, "r_speech": 0.6, "lag": 0}
    full = {"recall": 0.99, "precision": 0.99}
    result = {
        "scorer": {"jawOpen: prediction": jaw, "jawOpen: loudness": {"r_const": 0.5}},
        "grid": {"jawOpen": {"speech": {"one": 0.5, "two": 0.4}}},
        "closures": {ESPEAK: full}, "noisy": full, "negatives": {"silence": 0.0},
    }  # fmt: skip
    assert misses(result) == []
    result["closures"] = {ESPEAK: full, REAL: {"recall": 0.7, "precision": 0.6}}
    result["grid"] = {"jawOpen": {"speech": {"one": 0.5, "two": 0.1}}}
    assert misses(result) == ["in-speech r 0.100 of two", "precision 0.600 < 0.65 of recordings"]


# What node is asked is answered as the package answers it: at rest, closed, wide open.
NODE = """#!{python}
import struct, sys
while head := sys.stdin.buffer.read(4):
    sound = sys.stdin.buffer.read(*struct.unpack("<I", head))
    if len(sound) == 2000:
        sys.exit("too short to be heard")
    print("a line of the package")
    print('cues [{{"start": 0.5, "end": 1, "value": "A"}}, {{"start": 1, "end": 2, "value": "D"}}]', flush=True)
"""


def test_rhubarb_is_asked_sound_by_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What node says at its end is passed on; what is missing is named."""
    with monkeypatch.context() as patch:
        node = tmp_path / "node"
        node.write_text(NODE.format(python=sys.executable))
        node.chmod(0o755)
        patch.setenv("PATH", str(tmp_path), prepend=":")
        with pytest.raises(FileNotFoundError, match="npm install rhubarb-lip-sync-wasm"):
            require_rhubarb(tmp_path)
        (tmp_path / "node_modules/rhubarb-lip-sync-wasm").mkdir(parents=True)
        with rhubarb(tmp_path) as faces:
            for _ in range(2):
                face = faces(np.zeros(32000, np.float32), 50.0)
            assert len(face["jawOpen"]) == 100
            open_lips = face["jawOpen"] - face["mouthClose"]
            assert np.abs(open_lips[:49]).max() == 0 and open_lips[60:].min() == pytest.approx(0.7)
            with pytest.raises(RuntimeError, match=r"ended with code 1: .*too short to be heard"):
                faces(np.zeros(1000, np.float32), 50.0)
        patch.setenv("PATH", "")
        with pytest.raises(FileNotFoundError, match="apt install nodejs"):
            require_rhubarb(tmp_path)


def test_what_a_peer_did_not_hear_is_a_dash() -> None:
    ours = {"closures": {REAL: {"voices": {"a": (0.5, 1.0)}}}}
    assert each([ours, {"closures": {}}], lambda s: "{} / {}".format(*s["voices"]["a"]), REAL) == ["0.5 / 1.0", "-"]
