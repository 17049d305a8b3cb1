# SPDX-License-Identifier: Apache-2.0
"""A live face in ten lines: sound goes in while it is spoken, frames come out on time.

    python examples/live.py [SOUND] [VIDEO.mp4]

SOUND is any sound or video file; without one the demo head says a built-in sentence. A thread pushes it at the pace of
a speaker, 20 ms at a time, as a microphone or a call would; the frames of that time become VIDEO.mp4 (live.mp4 if not
given). The line at the end says how many frames were late, and what a frame took beside the sound that it waits for.
"""

import sys
import threading
import time

import numpy as np

import talksplat


def speak(session: talksplat.Session, samples: np.ndarray, rate_hz: int) -> None:
    """Stands for what makes sound: pushes every block when it has been said."""
    block, begin_s = rate_hz // 50, time.monotonic()
    for start in range(0, len(samples), block):
        time.sleep(max(0.0, begin_s + (start + block) / rate_hz - time.monotonic()))
        session.push_audio(samples[start : start + block])
    session.close()  # what was pushed is still said; then the frames end


def main(sound: str = "sample", video: str = "live.mp4") -> None:
    avatar = talksplat.load("demo")
    samples, rate_hz = talksplat.load_audio(sound)
    with avatar.create_session(size=(256, 256), format="nv12", latency_ms=200, sample_rate=rate_hz) as session:
        threading.Thread(target=speak, args=(session, samples, rate_hz), daemon=True).start()
        # A session is an iterable of frames. A program of your own: for frame in session: show(frame.image)
        frames = talksplat.write_video(session, video)
        stats = session.stats()
    print(
        f"{frames} frames in {video}, {stats.late} late; drawn within {stats.p99_ms:.1f} ms (p99) of their sound, "
        f"which is {stats.look_ahead_ms:.0f} ms ahead of them"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
