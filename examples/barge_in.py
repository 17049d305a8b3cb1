# SPDX-License-Identifier: Apache-2.0
"""Barge-in: the listener begins to speak, and the face stops in the middle of its sentence.

    python examples/barge_in.py

interrupt() drops what was not said yet and says how far it came, in samples of the utterance: so the program knows what
was heard. The mouth closes while the sound fades; then the face listens, and answers. Prints where it was cut off, and
how long the mouth took to close.
"""

import time

import talksplat

FADE_MS = 80


def main() -> None:
    avatar = talksplat.load("demo")
    samples, rate_hz = talksplat.load_audio("sample")
    with avatar.create_session(size=(256, 256), flush_after_s=None) as session:
        session.push_audio(samples, rate_hz)  # the whole answer at once: it waits in the session's queue
        said = 0.0
        interrupted_s = closed_s = 0.0
        for frame in session:
            if frame.kind == "speech" and not interrupted_s and frame.pts > 1.5:
                interrupted_s = time.monotonic()
                position = session.interrupt(FADE_MS)
                session.set(listening=True)
                said = (position or 0) / rate_hz
            elif interrupted_s and not closed_s and frame.kind == "idle" and not frame.fading:
                closed_s = time.monotonic()
                session.set(listening=False)
                session.push_audio(samples[: 2 * rate_hz])  # another answer, at the same rate
                session.close()
        frames = session.stats()
    print(
        f"cut off after {said:.2f} s of {len(samples) / rate_hz:.2f} s; the mouth was closed "
        f"{1e3 * (closed_s - interrupted_s):.0f} ms later (fade {FADE_MS} ms); then another utterance was said: "
        f"{frames.speech} frames of speech, {frames.idle} idle"
    )


if __name__ == "__main__":
    main()
