# SPDX-License-Identifier: Apache-2.0
"""drive: the network's steps to faces at any rate, against its float64 oracle, through sound."""

from pathlib import Path

import numpy as np
import pytest

from ops.voices import STEP, KnownVoice, faces, make_voice, noise
from reference import drive as reference
from talksplat import _core
from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring.voice.export import write_voice
from tolerances import require_close

RATES = [20.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 48.0, 50.0, 60000 / 1001, 60.0]
SECONDS = 20


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> KnownVoice:
    """A random voice whose last layer is set so that it says everything there is to say of this file's noise."""
    folder = tmp_path_factory.mktemp("voice")
    usual = make_voice(folder)
    names = usual.core.channel_names
    steps = faces(usual, noise(SECONDS * 16000), fps=50.0)["channel"].astype(np.float64)
    tensors = dict(usual.tensors)
    weight, bias = (tensors[f"tower/0/head/{part}"].astype(np.float64) for part in ("weight", "bias"))
    for c, name in enumerate(names):
        said, middle, spread = steps[:, c], 0.4, 0.4
        if name in ("closure", "voice"):
            said, middle, spread = np.log(said / (1 - said)), -1.0, 2.0
        gain = spread / said.std()
        weight[c] *= gain
        bias[c] = (bias[c] - said.mean()) * gain + middle
    tensors |= {"tower/0/head/weight": weight.astype(np.float32), "tower/0/head/bias": bias.astype(np.float32)}
    path = folder / "talkative.safetensors"
    write_voice(path, usual.manifest, tensors)
    return KnownVoice(_core.Voice(str(path)), path, usual.manifest, tensors)


def said(voice: KnownVoice, sound: np.ndarray) -> np.ndarray:
    """[n,13]: the network's steps in the oracle's order, with those that the last frame needs beyond the sound."""
    names = voice.core.channel_names
    longer = np.concatenate([sound, np.zeros(2 * STEP, np.float32)])
    return faces(voice, longer, fps=50.0)["channel"][:, [names.index(name) for name in reference.CHANNELS]]


def require_faces(voice: KnownVoice, sound: np.ndarray, fps: float, **options: float) -> reference.Faces:
    got = faces(voice, sound, fps=fps, **options)
    want = reference.drive_ref(said(voice, sound), fps, **options)
    n = int(np.ceil(len(sound) * fps / 16000 - 1e-9))
    assert len(got["weight"]) == n
    assert len(want.weight) >= n
    for name in ("weight", "head_pose", "voice"):
        require_close("drive", "float32", got[name], getattr(want, name)[:n], name=f"{name} at {fps:g} fps {options}")
    return want


def test_the_network_says_all_kinds_of_things(voice: KnownVoice) -> None:
    """The other tests mean something: this voice speaks, rests, seals lips, and leaves 0..1."""
    steps = said(voice, noise(SECONDS * 16000))
    heard, closure = steps[:, reference.CHANNELS.index("voice")], steps[:, reference.CHANNELS.index("closure")]
    gate = reference.voice_gate(heard)
    assert 0.05 < gate.speaking.mean() < 0.95
    assert gate.phrase_ends.sum() >= 3
    assert np.logical_and(gate.open > 0, gate.open < 1).sum() > 20
    assert (closure < 0.3).mean() > 0.1
    assert (closure > 0.7).mean() > 0.1
    assert (steps[:, 0] < 0).any()
    assert (steps[:, 0] > 1).any()


@pytest.mark.parametrize("fps", RATES)
def test_matches_the_oracle(voice: KnownVoice, fps: float) -> None:
    require_faces(voice, noise(SECONDS * 16000), fps)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"seed": 2**64 - 1, "mouth": 2.0, "head": 2.0, "blink": 2.0},
        {"seed": 7, "mouth": 0.5, "head": 0.25, "blink": 0.375},
        {"mouth": 0.0},
        {"head": 0.0},
        {"blink": 0.0},
    ],
    ids=str,
)
def test_every_amount(voice: KnownVoice, options: dict[str, float]) -> None:
    want = require_faces(voice, noise(SECONDS * 16000), 30.0, **options)
    moved = {name for name, column in zip(ARKIT_NAMES, want.weight.T, strict=True) if column.any()}
    assert ("jawOpen" in moved) == (options.get("mouth", 1) > 0)
    assert ("eyeBlinkLeft" in moved) == ("eyeLookUpLeft" in moved) == (options.get("blink", 1) > 0)
    assert want.head_pose.any() == (options.get("head", 1) > 0)


def test_a_voice_with_a_manner(voice: KnownVoice, tmp_path: Path) -> None:
    """Its head goes further in pitch, less in yaw; lips, lids and what eyes look at are another's business."""
    manner = [2.0, 0.5, 1.25]
    path = tmp_path / "manner.safetensors"
    manifest = {**voice.manifest, "head": manner}
    write_voice(path, manifest, voice.tensors)  # type: ignore[arg-type]
    own = KnownVoice(_core.Voice(str(path)), path, manifest, voice.tensors)
    sound = noise(SECONDS * 16000)
    got, usual = faces(own, sound, fps=30.0), faces(voice, sound, fps=30.0)
    want = reference.drive_ref(said(voice, sound), 30.0, manner=manner)
    require_close("drive", "float32", got["head_pose"], want.head_pose[: len(got["head_pose"])], name="head_pose")
    require_close("drive", "float32", got["weight"], want.weight[: len(got["weight"])], name="weight")
    np.testing.assert_allclose(got["head_pose"], usual["head_pose"] * manner, atol=1e-7)


@pytest.mark.parametrize("n", [0, 1, 319, 320, 321, 640, 641, 6400])
@pytest.mark.parametrize("fps", [20.0, 25.0, 60.0])
def test_any_length(voice: KnownVoice, n: int, fps: float) -> None:
    require_faces(voice, noise(n), fps)
