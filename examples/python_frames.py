# SPDX-License-Identifier: Apache-2.0
"""Frames for a program of your own: a picture and the sound that belongs to it, as arrays.

    python examples/python_frames.py [SOUND] [PICTURE.ppm]

SOUND is any sound or video file; without one the demo head says a built-in sentence. Twice a second a line tells what
the frame holds, and the picture with the widest open mouth is kept as PICTURE.ppm (widest.ppm if not given).
"""

import sys
from pathlib import Path

import numpy as np

import talksplat

FPS = 25


def main(sound: str = "sample", picture: str = "widest.ppm") -> None:
    avatar = talksplat.load("demo")  # the path of a .tsplat file opens an avatar of your own
    # The motion alone: the same sound and seed give render() the same faces, so this tells which frame to keep.
    motion = talksplat.motion(sound, fps=FPS)
    widest = int(motion.weights[:, motion.names.index("jawOpen")].argmax())

    for frame in avatar.render(sound, fps=FPS, size=(320, 320)):
        # A player shows frame.image at frame.pts seconds and plays frame.audio, at the sound's own rate, from then on.
        assert frame.audio is not None  # every frame of render() has its sound; frames of recorded motion have none
        if frame.index % (FPS // 2) == 0:
            level = float(np.sqrt(np.mean(np.square(frame.audio))))
            print(f"{frame.pts:6.2f} s: picture {frame.image.shape}, {len(frame.audio)} samples, level {level:.3f}")
        if frame.index == widest:
            height, width, _ = frame.image.shape
            Path(picture).write_bytes(b"P6 %d %d 255\n" % (width, height) + frame.image.tobytes())
            print(f"{frame.pts:6.2f} s: {picture}, the mouth is open widest")


if __name__ == "__main__":
    main(*sys.argv[1:])
