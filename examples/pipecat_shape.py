# SPDX-License-Identifier: Apache-2.0
"""A session in the shape of a Pipecat service: frames of speech in, frames of video with their sound out.

    python examples/pipecat_shape.py

The service takes a synthesiser's sound and gives it back together with the picture, so that both are in step; whatever
else passes through goes on. The classes above the line stand for Pipecat's frames and its FrameProcessor, which have
these fields and methods, so that the example runs without it. Prints what came out for a sentence that is interrupted
and another that is not.
"""

import asyncio
from dataclasses import dataclass

import numpy as np

import talksplat


class Frame:
    pass


class StartFrame(Frame):
    pass


class EndFrame(Frame):
    pass


class InterruptionFrame(Frame):
    pass


class TTSStoppedFrame(Frame):
    pass


@dataclass
class TTSAudioRawFrame(Frame):
    audio: bytes  # int16, interleaved
    sample_rate: int
    num_channels: int


@dataclass
class SpeechOutputAudioRawFrame(Frame):
    audio: bytes
    sample_rate: int
    num_channels: int


@dataclass
class OutputImageRawFrame(Frame):
    image: bytes
    size: tuple[int, int]
    format: str


class FrameProcessor:
    """Pushes into a queue; Pipecat's pushes to the next processor."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[Frame] = asyncio.Queue()

    async def process_frame(self, frame: Frame) -> None:
        pass

    async def push_frame(self, frame: Frame) -> None:
        await self.out.put(frame)


# ---- what a program of your own takes over, with Pipecat's classes for those above ----


class TalksplatVideoService(FrameProcessor):
    def __init__(self, avatar: talksplat.Avatar, size: tuple[int, int] = (256, 256)) -> None:
        super().__init__()
        self._avatar = avatar
        self._size = size
        self._session: talksplat.Session | None = None
        self._task: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame) -> None:
        await super().process_frame(frame)
        if isinstance(frame, StartFrame):
            self._session = self._avatar.create_session(size=self._size, format="rgb8")
            self._task = asyncio.create_task(self._give(self._session))
        session = self._session
        if session is not None:
            if isinstance(frame, TTSAudioRawFrame):
                session.push_audio(frame.audio, frame.sample_rate, frame.num_channels)
                return  # it comes out again with its picture
            if isinstance(frame, TTSStoppedFrame):
                session.flush()
            elif isinstance(frame, InterruptionFrame):
                session.interrupt()
            elif isinstance(frame, EndFrame) and self._task is not None:
                session.close()
                await self._task
        await self.push_frame(frame)

    async def _give(self, session: talksplat.Session) -> None:
        async for frame in session:
            await self.push_frame(OutputImageRawFrame(frame.image.tobytes(), frame.size, "RGB"))
            if frame.audible and frame.audio is not None and frame.sample_rate is not None:
                pcm = np.rint(np.clip(frame.audio, -1, 1) * 32767).astype(np.int16)
                await self.push_frame(SpeechOutputAudioRawFrame(pcm.tobytes(), frame.sample_rate, pcm[0].size))


# ---- a conversation ----


def spoken(rate_hz: int, samples: np.ndarray, seconds: float) -> list[TTSAudioRawFrame]:
    pcm = np.rint(samples[: round(seconds * rate_hz)] * 32767).astype(np.int16)
    blocks = [pcm[start : start + rate_hz // 50] for start in range(0, len(pcm), rate_hz // 50)]
    return [TTSAudioRawFrame(block.tobytes(), rate_hz, 1) for block in blocks]


async def main() -> None:
    samples, rate_hz = talksplat.load_audio("sample")
    service = TalksplatVideoService(talksplat.load("demo"))
    await service.process_frame(StartFrame())
    for audio in spoken(rate_hz, samples, 4.0):
        await service.process_frame(audio)
    await asyncio.sleep(1.5)
    await service.process_frame(InterruptionFrame())
    for audio in (*spoken(rate_hz, samples, 1.0), TTSStoppedFrame(), EndFrame()):
        await service.process_frame(audio)

    came: list[Frame] = []
    while not service.out.empty():
        came.append(service.out.get_nowait())
    pictures = sum(isinstance(frame, OutputImageRawFrame) for frame in came)
    sound = sum(len(frame.audio) // 2 for frame in came if isinstance(frame, SpeechOutputAudioRawFrame))
    made = (OutputImageRawFrame, SpeechOutputAudioRawFrame)
    passed = [type(frame).__name__ for frame in came if not isinstance(frame, made)]
    print(f"{pictures} pictures and {sound / rate_hz:.2f} s of sound; passed on: {', '.join(passed)}")


if __name__ == "__main__":
    asyncio.run(main())
