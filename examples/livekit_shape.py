# SPDX-License-Identifier: Apache-2.0
"""A session in the shape of LiveKit's VideoGenerator, which its AvatarRunner reads.

    python examples/livekit_shape.py

Sound and the ends of segments go in by push_audio(); clear_buffer() is barge-in; asynchronous iteration gives video
frames, and beside those of speech their sound and the segment's end. The classes above the line stand for
livekit.rtc.AudioFrame, livekit.rtc.VideoFrame and livekit.agents' AudioSegmentEnd, which have these fields, so that the
example runs without LiveKit. Prints what came out for a sentence that is interrupted and another that is not.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

import talksplat


@dataclass
class AudioFrame:
    data: bytes  # int16, interleaved
    sample_rate: int
    num_channels: int
    samples_per_channel: int


@dataclass
class VideoFrame:
    width: int
    height: int
    type: str
    data: bytes


class AudioSegmentEnd:
    """After the last sound of a segment, on the way in and on the way out."""


# ---- what a program of your own takes over, with LiveKit's classes for those above ----

Out = VideoFrame | AudioFrame | AudioSegmentEnd


class TalksplatGenerator:
    """A VideoGenerator: what it gives is in time order, as fast as it is to be shown."""

    def __init__(self, avatar: talksplat.Avatar, width: int = 256, height: int = 256, sample_rate: int = 24000) -> None:
        self._session = avatar.create_session(size=(width, height), format="rgba8", sample_rate=sample_rate)

    async def push_audio(self, frame: AudioFrame | AudioSegmentEnd) -> None:
        if isinstance(frame, AudioSegmentEnd):
            self._session.flush()
        else:
            self._session.push_audio(frame.data, frame.sample_rate, frame.num_channels)

    def clear_buffer(self) -> int | None:
        """Returns the playback position in samples, None where nobody spoke."""
        return self._session.interrupt()

    async def aclose(self) -> None:
        self._session.close()

    async def __aiter__(self) -> AsyncIterator[Out]:
        async for frame in self._session:
            width, height = frame.size
            yield VideoFrame(width, height, "RGBA", frame.image.tobytes())
            # Idle frames need no sound, and the silence of starved ones is not of the segment.
            if frame.audible and frame.audio is not None and frame.sample_rate is not None:
                pcm = np.rint(np.clip(frame.audio, -1, 1) * 32767).astype(np.int16)
                yield AudioFrame(pcm.tobytes(), frame.sample_rate, pcm[0].size, len(pcm))
            if frame.segment_end:
                yield AudioSegmentEnd()


# ---- an agent that speaks, is interrupted, and speaks again ----


def spoken(rate_hz: int, samples: np.ndarray, seconds: float) -> list[AudioFrame]:
    pcm = np.rint(samples[: round(seconds * rate_hz)] * 32767).astype(np.int16)
    blocks = [pcm[start : start + rate_hz // 50] for start in range(0, len(pcm), rate_hz // 50)]
    return [AudioFrame(block.tobytes(), rate_hz, 1, len(block)) for block in blocks]


async def main() -> None:
    samples, rate_hz = talksplat.load_audio("sample")
    generator = TalksplatGenerator(talksplat.load("demo"))
    came: list[Out] = []

    async def run() -> None:
        async for out in generator:
            came.append(out)

    runner = asyncio.create_task(run())
    for audio in spoken(rate_hz, samples, 4.0):
        await generator.push_audio(audio)
    await asyncio.sleep(1.5)
    position = generator.clear_buffer()
    for audio in spoken(rate_hz, samples, 1.0):
        await generator.push_audio(audio)
    await generator.push_audio(AudioSegmentEnd())
    await generator.aclose()
    await runner

    sound = sum(out.samples_per_channel for out in came if isinstance(out, AudioFrame))
    pictures = sum(isinstance(out, VideoFrame) for out in came)
    ends = sum(isinstance(out, AudioSegmentEnd) for out in came)
    print(
        f"{pictures} video frames, {sound / rate_hz:.2f} s of sound and {ends} segment ends; the first segment was "
        f"interrupted at {(position or 0) / rate_hz:.2f} s"
    )


if __name__ == "__main__":
    asyncio.run(main())
