# SPDX-License-Identifier: Apache-2.0
"""A face that moves while its sound still arrives, as from a speech synthesiser or a call.

    python examples/stream.py SPEECH.wav

Whatever makes sound writes it into a pipe, block by block; render() reads the pipe's other end and gives each frame as
soon as enough sound has arrived. Here a thread plays SPEECH.wav (16-bit) into the pipe at the pace of a speaker. Every
second of the sound a line tells how late a frame is: the time from the moment when the sound of its instant was
written to the moment when its picture was drawn. At first that is 3 to 5 s, because FFmpeg looks at so much of a pipe
before it gives any of it out; drawing then catches up, to about 0.4 s. So this suits a stream that is watched, and is
not yet a conversation.
"""

import os
import struct
import sys
import threading
import time
import wave

import talksplat

BLOCK_S = 0.02
FPS = 25
UNKNOWN = 0xFFFFFFFF  # what a WAV header states for sizes when the sound has no end yet


def wav_header(rate_hz: int, channels: int) -> bytes:
    """What comes before the samples, so that the reader knows that they are 16-bit, and their rate."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", UNKNOWN, b"WAVE", b"fmt ", 16, 1, channels, rate_hz, rate_hz * channels * 2,
        channels * 2, 16, b"data", UNKNOWN,
    )  # fmt: skip


def play(path: str, pipe: int, begin_s: float) -> None:
    """Writes the sound into the pipe, every block when it has been said, and closes it."""
    n_said = 0
    with wave.open(path) as sound, open(pipe, "wb", buffering=0) as out:
        rate_hz = sound.getframerate()
        block = round(BLOCK_S * rate_hz)
        out.write(wav_header(rate_hz, sound.getnchannels()))
        while samples := sound.readframes(block):
            n_said += block
            time.sleep(max(0.0, begin_s + n_said / rate_hz - time.monotonic()))
            out.write(samples)


def main(path: str) -> None:
    avatar = talksplat.load("demo")
    with wave.open(path) as sound:
        if sound.getsampwidth() != 2:
            raise SystemExit(f"{path}: must have samples of 16 bits; they have {8 * sound.getsampwidth()}.")
    reading, writing = os.pipe()
    begin_s = time.monotonic()
    threading.Thread(target=play, args=(path, writing, begin_s), daemon=True).start()
    # Unbuffered: a read gives what has arrived and does not wait for more.
    with open(reading, "rb", buffering=0) as arriving:
        for frame in avatar.render(arriving, fps=FPS, size=(256, 256)):
            # Here a program shows frame.image, or sends it on together with frame.audio.
            if frame.index % FPS == 0:
                late_s = time.monotonic() - begin_s - frame.pts
                print(f"the frame of {frame.pts:.2f} s: {late_s:.2f} s late", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("python examples/stream.py SPEECH.wav")
    main(sys.argv[1])
