# SPDX-License-Identifier: Apache-2.0
"""A speech synthesiser: chunks of 20 ms that come in bursts, faster than they are spoken, with pauses between.

    python examples/tts_chunks.py

Synthesisers give bytes: 16-bit samples, at a rate of their own. They are pushed as they come; the session keeps what is
ahead of the clock (queue_s bounds that) and says it on time. Where a pause is longer than what is queued, frames are
starved: the mouth closes softly, and goes on with the sound. Prints when the first word was seen, how much sound waited
at most, and how many frames were starved.
"""

import threading
import time
from collections.abc import Iterator

import numpy as np

import talksplat

RATE_HZ = 22050
CHUNK_BYTES = 2 * RATE_HZ // 50
BURST, PAUSE_S = 25, 0.25  # half a second of speech every quarter of a second


def synthesise(text: str) -> Iterator[bytes]:
    """Stands for a synthesiser: the built-in sentence, whatever the text."""
    samples, _ = talksplat.load_audio("sample")
    pcm = np.rint(samples * 32767).astype("<i2").tobytes()
    for number, start in enumerate(range(0, len(pcm), CHUNK_BYTES)):
        if number % BURST == 0:
            time.sleep(PAUSE_S)
        yield pcm[start : start + CHUNK_BYTES]


def say(session: talksplat.Session, text: str, queued_s: list[float]) -> None:
    for chunk in synthesise(text):
        session.push_audio(chunk)
        queued_s.append(session.stats().queued_s)
    session.flush()  # the sentence ends here: its last frames need not wait for more
    session.close()


def main() -> None:
    avatar = talksplat.load("demo")
    queued_s: list[float] = []
    with avatar.create_session(size=(256, 256), sample_rate=RATE_HZ) as session:
        begin_s = time.monotonic()
        threading.Thread(target=say, args=(session, "Hello.", queued_s), daemon=True).start()
        seen_s = [time.monotonic() - begin_s for frame in session if frame.kind == "speech"]
        starved = session.stats().starved
    print(
        f"the first word was seen {seen_s[0]:.2f} s after it was asked for ({PAUSE_S} s of them the synthesiser's); "
        f"{max(queued_s):.1f} s of sound waited at most; {starved} of {len(seen_s)} frames were starved"
    )


if __name__ == "__main__":
    main()
