# SPDX-License-Identifier: Apache-2.0
"""Four speakers at once, on one engine: one copy of the avatar, and whose frame is due first is drawn first.

    python examples/four_speakers.py [SECONDS]

Each session has its own sound, clock and face (seed). create_session() refuses the one that would make the others
late, so that a machine that is too slow, or busy, has fewer. The frames are taken by one thread each. Prints for every
speaker how many frames came, and how many were late.
"""

import sys
import threading
import time

import talksplat

SPEAKERS = 4


def speak(session: talksplat.Session, seconds: float, offset_s: float) -> None:
    """Pushes the built-in sentence over and over, beginning somewhere else in it, at the pace of a speaker."""
    samples, rate_hz = talksplat.load_audio("sample")
    block, begin_s = rate_hz // 50, time.monotonic()
    for start in range(0, int(seconds * rate_hz), block):
        time.sleep(max(0.0, begin_s + (start + block) / rate_hz - time.monotonic()))
        at = (start + int(offset_s * rate_hz)) % (len(samples) - block)
        session.push_audio(samples[at : at + block], rate_hz)
    session.close()


def watch(session: talksplat.Session) -> None:
    for frame in session:
        assert frame.image.shape == (256, 256, 4)  # here each speaker's frames go to whom they are for


def main(seconds: str = "5") -> None:
    avatar = talksplat.load("demo")
    sessions: list[talksplat.Session] = []
    while len(sessions) < SPEAKERS:
        try:
            sessions.append(avatar.create_session(size=(256, 256), latency_ms=300, seed=len(sessions)))
        except talksplat.LatencyRefused as refused:
            print(f"only {len(sessions)} of {SPEAKERS} fit here and now: {refused}", file=sys.stderr)
            break
    threads = [threading.Thread(target=watch, args=(session,)) for session in sessions]
    for number, session in enumerate(sessions):
        threads.append(threading.Thread(target=speak, args=(session, float(seconds), 2.0 * number)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = [session.stats() for session in sessions]
    said = ", ".join(f"{stats.late} of {stats.frames}" for stats in counted)
    slowest_ms = max((stats.p99_ms for stats in counted), default=0.0)
    print(f"late frames of {len(counted)} speakers: {said}; the slowest p99 is {slowest_ms:.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
