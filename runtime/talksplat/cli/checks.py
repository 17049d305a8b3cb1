# SPDX-License-Identifier: Apache-2.0
"""What doctor tries out. Each check does the real work on something small, and raises where the result is wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

PASSED = "passed"


def outcome(check: Callable[[], None]) -> str:
    """ "passed", or "failed: " and why."""
    try:
        check()
    except ModuleNotFoundError as error:
        return f"failed: the package {error.name} is missing. pip install {error.name}"
    except Exception as error:  # whatever it is: doctor is there to show it
        return f"failed: {type(error).__name__}: {error}"
    return PASSED


def drawing(device: str = "cpu") -> None:
    """One opaque white Gaussian in the middle of a black picture is brightest there and nowhere at the rim."""
    import numpy as np

    from ..engine import Engine
    from ..rasterize import rasterize

    engine = Engine(device, threads=1)
    lens = [[64.0, 0, 16], [0, 64.0, 16], [0, 0, 1]]
    image = rasterize(
        [[0, 0, 2]], [[1, 0, 0, 0]], [[0.08, 0.08, 0.08]], [1.0], [[1, 1, 1]], np.eye(4), lens, 32, 32, engine=engine
    )
    if not (image[15:17, 15:17].min() > 0.9 and image[15:17, 15:17].max() <= 1 and image[0].max() == 0):
        raise RuntimeError(f"the middle is {image[16, 16].tolist()}, the rim {image[0].max()}")


def decoding() -> None:
    """The built-in sentence is read as sound, and the voice opens a mouth for it."""
    from .._assets import SAMPLE
    from ..speech import motion

    said = motion(SAMPLE)
    opened = float(said.weights[:, said.names.index("jawOpen")].max())
    if not 0.1 < opened <= 1:
        raise RuntimeError(f"the mouth opens by {opened:.3g} for the built-in sentence")


def encoding() -> None:
    """A video of five grey pictures with a tone is written, and read again as that."""
    import av
    import numpy as np

    from ..audio import open_audio
    from ..video import open_video
    from ..video_coding import CONTAINERS

    count, fps, rate, grey = 5, 25.0, 16000, 126
    picture = np.full((64 * 3 // 2, 64), 128, np.uint8)
    picture[:64] = grey
    tone = (0.5 * np.sin(np.arange(count * rate // int(fps)) * 0.2)).astype(np.float32)
    with tempfile.TemporaryDirectory(prefix="talksplat-") as folder:
        for ending in CONTAINERS:
            path = Path(folder) / f"doctor{ending}"
            with open_video(str(path), fps, (64, 64), "nv12", (rate, 1)) as writer:
                for part in np.split(tone, count):
                    writer.write(picture, part)
            with av.open(str(path)) as container:
                seen = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
            heard = np.concatenate(list(open_audio("doctor", str(path)).blocks()))
            level = float(np.sqrt(np.mean(heard**2)))
            if len(seen) != count or abs(float(np.mean(seen)) - 128) > 8 or not 0.25 < level < 0.45:
                raise RuntimeError(
                    f"{ending}: {len(seen)} pictures of {np.mean(seen):.0f} and sound of {level:.2f} came back, for "
                    f"{count} of 128 and 0.35"
                )
