# SPDX-License-Identifier: Apache-2.0
"""A sound file to a video file, by `talksplat render`: decode, voice, drive, draw, encode, mux; 512x512, 25 Hz.

extra_info has how many times faster than real time that is, and the milliseconds of a frame. LAM's heads are measured
where they are at hand.
"""

from pathlib import Path
from typing import Any

import av
import pytest
from typer.testing import CliRunner

import talksplat
from shared_data import avatar_zips
from talksplat._assets import SAMPLE
from talksplat.authoring.convert import convert
from talksplat.cli import app

SIZE, FPS = 512, 25
SOURCES: dict[str, Path | None] = {"demo": None} | {path.stem: path for path in avatar_zips()}


@pytest.fixture(scope="module", params=SOURCES)
def avatar(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    source = SOURCES[request.param]
    if source is None:
        return str(request.param)
    return str(convert(source, tmp_path_factory.mktemp("avatar") / f"{request.param}.tsplat", format="lam"))


@pytest.mark.parametrize("threads", [1, 2])
def test_speech_to_video(avatar: str, threads: int, tmp_path: Path, benchmark: Any) -> None:
    out = tmp_path / "out.mp4"
    words = ["render", avatar, SAMPLE, "-o", str(out), "--size", f"{SIZE}x{SIZE}", "--fps", str(FPS), "--quiet",
             "--threads", str(threads)]  # fmt: skip

    def render() -> None:
        ran = CliRunner().invoke(app, words, catch_exceptions=False)
        assert ran.exit_code == 0, ran.output

    benchmark.pedantic(render, rounds=5, warmup_rounds=1)
    frames = talksplat.motion(SAMPLE, fps=FPS).frames
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) == frames
    median = benchmark.stats.stats.median
    benchmark.extra_info |= {
        "threads": threads,
        "frames": frames,
        "ms_per_frame": 1000 * median / frames,
        "times_real_time": frames / FPS / median,
    }
