# SPDX-License-Identifier: Apache-2.0
"""Speakers whose steps an engine on a GPU makes at once, over a stand-in: features are those of each alone."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper

import talksplat
from runtime.encoder_folders import WIDTH, Tiny, transformer, write_folder
from runtime.recorder import Recorder, recorded
from runtime.stand_ins.onnxruntime_gpu import Gpu, plug
from talksplat.control import Window
from talksplat.encoders import feed, trial
from talksplat.encoders.at_work import at_work
from talksplat.encoders.engines.base import Engine, Graph
from talksplat.encoders.engines.nvidia import TOGETHER
from talksplat.encoders.folder import SPEAKERS
from talksplat.encoders.stream import FeatureStream
from talksplat.encoders.together import Full, Together
from talksplat.encoders.trial import Batch, EngineInfo
from talksplat.encoders.worker import Worker

ENGINES = ["cuda", "tensorrt-rtx"]
ALONE_MS, BATCH_MS = 1.0, 2.0


@pytest.fixture(autouse=True)
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A step takes ALONE_MS, one of several speakers BATCH_MS."""
    monkeypatch.setenv("TALKSPLAT_CACHE", str(tmp_path / "cache"))

    def timed(graph: Graph, file: str, engine: Engine) -> float:
        trial._run(graph, file, engine)
        return ALONE_MS if len(next(iter(graph.inputs.values()))) == 1 else BATCH_MS

    monkeypatch.setattr(trial, "_timed", timed)
    return plug(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny", fp16=True)


def sounds(n: int) -> list[np.ndarray]:
    return [(0.1 * np.random.default_rng(seed).normal(size=9000)).astype(np.float32) for seed in range(n)]


class Room:
    """Speakers of an encoder, each with its own sound, whose steps come together."""

    def __init__(self, encoder: Any, n: int) -> None:
        self.streams: list[FeatureStream] = [encoder.feature_stream() for _ in range(n)]
        self.made: list[list[np.ndarray]] = [[] for _ in range(n)]
        self.failed: list[Exception] = []
        for stream, sound in zip(self.streams, sounds(n), strict=True):
            stream.offer(sound)

    def step(self, together: Together) -> bool:
        full = [i for i, stream in enumerate(self.streams) if stream.prepare()]
        for i in full:
            together.add(Full(self.streams[i], self.made[i].append, self.failed.append))
        together.run()
        return bool(full)

    def speak(self) -> list[np.ndarray]:
        together = Together()
        while self.step(together):
            assert not self.failed
        return [np.concatenate(made) for made in self.made]


def alone(folder: Path, n: int) -> list[np.ndarray]:
    """The features of each by an engine of the CPU, at batch 1."""
    encoder = talksplat.load_encoder(folder, engine="onnxruntime")
    return [np.concatenate(list(encoder.feature_stream().steps(sound))) for sound in sounds(n)]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 21])
def test_features_of_several_are_those_of_each_alone(name: str, n: int, folder: Path, gpu: Gpu) -> None:
    encoder = talksplat.load_encoder(folder, engine=name)
    info = encoder.engine
    assert (info.precision, info.note, info.turns) == ("fp16", "", "")
    assert (info.batch, info.batch_ms) == (TOGETHER, BATCH_MS)
    room, together = Room(encoder, n), Together()
    for stream in room.streams:
        assert stream.prepare()
    before = gpu.runs
    assert room.step(together)
    # Two alone take no longer than a batch, and so does the rest of one.
    wanted, rest = divmod(n, TOGETHER)
    assert gpu.runs - before == wanted + (rest if rest <= BATCH_MS / ALONE_MS else 1)
    while room.step(together):
        pass
    for mine, other in zip(room.made, alone(folder, n), strict=True):
        np.testing.assert_allclose(np.concatenate(mine), other, atol=1e-6)


def test_graphs_of_one_speaker_take_turns(tmp_path: Path, gpu: Gpu) -> None:
    """Those of exports of before, of float32, and those that were said to be others."""
    for changes in ({"batches": []}, {"batches": ["fp32"]}):
        folder = write_folder(tmp_path / str(changes), fp16=True, **changes)
        encoder = talksplat.load_encoder(folder, engine="cuda")
        assert encoder.engine.batch == 1
        assert encoder.engine.turns == f"there is no graph of several speakers in {encoder.engine.precision}"
        for mine, other in zip(Room(encoder, 3).speak(), alone(folder, 3), strict=True):
            np.testing.assert_array_equal(mine, other)
    folder = write_folder(tmp_path / "said", fp16=transformer(Tiny(), 1.0))
    encoder = talksplat.load_encoder(folder, engine="cuda")
    assert encoder.engine.batch == 1
    assert encoder.engine.turns.startswith("transformer.fp16.onnx must have the input window")
    for mine, other in zip(Room(encoder, 3).speak(), alone(folder, 3), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_graph_in_which_speakers_hear_each_other_is_not_used(tmp_path: Path, gpu: Gpu) -> None:
    model = transformer(Tiny(), 1.0, SPEAKERS)
    # The mean over all speakers, which of one is nothing else than itself.
    model.graph.node[-1].output[0] = "own"
    axes = helper.make_tensor("speakers_axis", 7, [1], [0])
    model.graph.initializer.append(axes)
    model.graph.node.extend(
        [
            helper.make_node("ReduceMean", ["own", "speakers_axis"], ["all"]),
            helper.make_node("Sub", ["own", "all"], ["difference"]),
            helper.make_node("Sub", ["own", "difference"], ["mean"]),
            helper.make_node("Identity", ["mean"], ["features"]),
        ]
    )
    folder = write_folder(tmp_path / "mean", fp16=model)
    encoder = talksplat.load_encoder(folder, engine="cuda", precision="fp16")
    turns = "transformer.fp16.onnx makes other features of several speakers than of one"
    assert (encoder.engine.batch, encoder.engine.turns) == (1, turns)


def test_one_that_leaks_only_what_is_no_number_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sums with weights of zero would."""

    class Leaks:
        def __init__(self, graph: Any) -> None:
            self._graph = graph
            self.inputs, self.outputs = graph.inputs, graph.outputs

        def run(self) -> None:
            self._graph.run()
            if np.isnan(self.inputs["window"]).any():
                self.outputs["features"][...] = np.nan

    opened = trial.Trial._open

    def leaking(self: Any, engine: Any, file: str, spec: Any, precision: str) -> Any:
        graph = opened(self, engine, file, spec, precision)
        return Leaks(graph) if next(iter(spec.inputs.values()))[0] > 1 else graph

    monkeypatch.setattr(trial.Trial, "_open", leaking)
    encoder = talksplat.load_encoder(folder, engine="cuda")
    assert encoder.engine.batch == 1 and "makes other features of several speakers" in encoder.engine.turns


def test_a_batch_that_is_no_faster_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(graph: Graph, *of: Any) -> float:
        graph.run()
        return float(len(next(iter(graph.inputs.values()))))

    monkeypatch.setattr(trial, "_timed", timed)
    encoder = talksplat.load_encoder(folder, engine="cuda")
    assert (encoder.engine.batch, encoder.engine.turns) == (1, "8 speakers at once take 8.0 ms, and one 1.0")


@pytest.mark.parametrize("at", range(1, 40))
def test_a_gpu_that_fails_while_it_is_tried(at: int, folder: Path, gpu: Gpu) -> None:
    """In whichever run of those that compare several speakers with one: who loads it is told in words."""
    gpu.fails_from = at
    try:
        encoder = talksplat.load_encoder(folder, engine="cuda")
    except talksplat.EncoderRefused as error:
        assert "CUDA failure 719" in str(error)
    else:
        assert gpu.runs < at or (encoder.engine.batch == 1 and "CUDA failure 719" in encoder.engine.turns)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("at", range(1, 9))
def test_the_cpu_goes_on_where_the_gpu_fails(name: str, at: int, folder: Path, gpu: Gpu) -> None:
    """In whichever run: no speaker loses a feature, or gets another's."""
    wanted = alone(folder, 5)
    encoder = talksplat.load_encoder(folder, engine=name)
    room = Room(encoder, 5)
    gpu.fails_from = gpu.runs + at
    for mine, other in zip(room.speak(), wanted, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)
    assert (encoder.engine.name, encoder.engine.batch) == ("onnxruntime", 1)
    assert f"{name} failed while it ran: CUDA failure 719" in encoder.engine.note


def test_only_the_batch_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = alone(folder, 5)
    encoder = talksplat.load_encoder(folder, engine="cuda")
    loaded = encoder._loaded

    def fail() -> None:
        raise RuntimeError("CUDA failure 2: out of memory")

    monkeypatch.setattr(loaded.batch.graph, "run", fail)
    for mine, other in zip(Room(encoder, 5).speak(), wanted, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)
    assert (encoder.engine.name, encoder.engine.batch) == ("cuda", 1)
    assert (encoder.engine.note, encoder.engine.turns) == ("", "CUDA failure 2: out of memory")
    assert encoder.engine.hops_ms(3) == 3 * encoder.engine.hop_ms


def test_a_batch_that_fails_takes_no_other_with_it(folder: Path) -> None:
    """Of another engine, which has taken its place by then."""
    loaded = talksplat.load_encoder(folder, engine="cuda")._loaded
    failed, loaded.batch = loaded.batch, Batch(loaded.transformer, TOGETHER)
    there = loaded.batch
    loaded.keeps.batch_failed(failed, "CUDA failure 719")
    assert (loaded.batch, loaded.info.batch, loaded.info.turns) == (there, TOGETHER, "") and failed in loaded.kept


def test_where_nothing_can_go_on_each_is_told(folder: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = talksplat.load_encoder(folder, engine="cuda")
    room = Room(encoder, 5)
    for stream in room.streams:
        assert stream.prepare()
    gpu.fails_from = 0
    monkeypatch.setattr("talksplat.encoders.engines.installed", lambda name: False)
    room.step(Together())
    assert len(room.failed) == 5 and not any(room.made)
    assert all("nothing else can go on" in str(error) for error in room.failed)


# ---- what is promised ----


def test_what_so_many_speakers_take() -> None:
    taken = EngineInfo("cuda", "1", "fp16", 1, 1.5, 0.0, front_ms=0.5, batch=8, batch_ms=2.0)
    assert [taken.hops_ms(n) for n in (1, 2, 3, 8, 9)] == [1.5, 3.0, 3.5, 6.0, 8.5]
    # A round may go on when a window is full, and each ends with a pause.
    wanted = [0.5 + 1.18, 1.0 + 2 * 1.18, 1.5 + 3 * 1.18, 4.0 + 2 * 2.36, 4.5 + 2 * 3.36]
    assert [taken.wait_ms(n) for n in (1, 2, 3, 8, 9)] == pytest.approx(wanted)
    turns = EngineInfo("onnxruntime", "1", "int8", 1, 60.0, 0.0, front_ms=7.0)
    assert (turns.hops_ms(3), turns.wait_ms(3)) == (180.0, 180.0)


def test_more_speakers_are_let_in(folder: Path) -> None:
    """A hop of 40 ms, of which 0.85 may be used: at 2 ms each, 17 take turns; at 1 ms, and 2 ms for eight, 26."""
    most = {}
    for batched in (False, True):
        encoder = talksplat.load_encoder(folder, engine="cuda")
        if not batched:
            encoder._loaded.drop_batch(encoder._loaded.batch, "the test says so")
        assert encoder.engine.hop_ms == 2 * ALONE_MS
        speakers = feed.Speakers()
        cores = [type("Core", (), {})() for _ in range(100)]
        for n, core in enumerate(cores):
            try:
                speakers.require_time("test", encoder)
            except talksplat.EncoderRefused as error:
                assert f"which with {n} that speak already" in str(error)
                most[batched] = n
                break
            speakers._allowed_ms[core] = 1000.0
    assert most == {False: 17, True: 26}


# ---- live ----


class Turns:
    """Has five turns, once it may begin."""

    def __init__(self, begins: threading.Event) -> None:
        self.n = 0
        self.first = threading.Event()
        self._begins = begins

    def turn(self) -> bool:
        assert self._begins.wait(20)
        self.n += 1
        return self.n < 5

    def wakes_at(self) -> float | None:
        self.first.set()
        return None


def test_a_round_of_turns_ends_before_the_next() -> None:
    seen: list[tuple[int, int]] = []
    begins = threading.Event()
    one, other = Turns(begins), Turns(begins)
    worker = Worker("test", lambda: seen.append((one.n, other.n)))
    worker.add(one)
    worker.add(other)
    begins.set()
    assert one.first.wait(10) and other.first.wait(10)
    worker.end()
    assert seen == sorted(seen) and len(seen) >= 5
    assert all(abs(mine - theirs) <= 1 for mine, theirs in seen)


def test_who_raises_gets_no_further_turn_and_who_comes_late_gets_one() -> None:
    begins = threading.Event()
    begins.set()

    class Raises(Turns):
        def turn(self) -> bool:
            super().turn()
            raise RuntimeError("as GPUs do")

    raises, idle, late = Raises(begins), Turns(begins), Turns(begins)
    worker = Worker("test")
    worker.add(idle)
    worker.add(raises)
    assert idle.first.wait(10)
    worker.add(late)  # the thread sleeps by now, or soon
    assert late.first.wait(10)
    worker.end()
    assert raises.n == 1 and late.n >= 5


class Alone:
    """A speaker without a thread: the test makes the rounds."""

    def __init__(self, encoder: Any) -> None:
        self.core, self.speakers = Recorder(), feed.Speakers()
        taps = encoder.frame_taps("test", "avatar", Window(1, 2, WIDTH, 2), 25.0)
        self.session = feed.EncodedCore(self.core, encoder, taps, 25.0, self.speakers, 0.1, None, 60.0)

    def round(self) -> bool:
        worked = self.session.turn()
        self.speakers.together.run()
        return worked


def test_a_turn_takes_all_that_was_pushed(folder: Path) -> None:
    """However small the pieces: what is promised counts the round that goes on and the next."""
    alone = Alone(talksplat.load_encoder(folder, engine="cuda"))
    sound = sounds(1)[0]
    for at in range(0, 2400, 40):
        alone.session.push_audio(sound[at : at + 40], 16000)
    assert alone.round() and len(alone.core.rows) == 1


def test_interrupted_with_a_full_window(folder: Path) -> None:
    encoder = talksplat.load_encoder(folder, engine="cuda")
    speaker = Alone(encoder)
    speaker.session.push_audio(sounds(2)[0], 16000)
    assert speaker.session.turn() and not speaker.core.rows
    speaker.session.interrupt(0)
    speaker.speakers.together.run()
    assert not speaker.core.rows
    speaker.session.push_audio(sounds(2)[1], 16000)
    speaker.session.flush()
    while speaker.round():
        pass
    features = alone(folder, 2)[1]
    rows = speaker.core.utterances[0].reshape(-1, WIDTH)
    np.testing.assert_allclose(rows[: len(features)], features, atol=1e-6)


def test_drawing_is_measured_beside_whole_batches(folder: Path) -> None:
    encoder = talksplat.load_encoder(folder, engine="cuda")
    runs = counted(encoder._loaded.batch.graph)
    worker = Worker("test")
    with at_work(worker, encoder):
        end = time.monotonic() + 10
        while runs[0] < 3:
            assert time.monotonic() < end
    worker.end()


def counted(graph: Graph) -> list[int]:
    """How often it runs."""
    runs, run = [0], graph.run

    def count() -> None:
        runs[0] += 1
        run()

    graph.run = count  # type: ignore[method-assign]
    return runs


def test_live_speakers_of_a_batching_engine(folder: Path, gpu: Gpu) -> None:
    encoder = talksplat.load_encoder(folder, engine="cuda")
    wanted = alone(folder, 6)
    runs = counted(encoder._loaded.batch.graph)
    speakers = [recorded(encoder, Window(1, 2, WIDTH, 2)) for _ in wanted]
    with encoder._busy:  # until all have come, nobody gets on
        for at in range(0, 9000, 999):
            for (session, _), sound in zip(speakers, sounds(6), strict=True):
                session.push_audio(sound[at : at + 999], 16000)
        for session, _ in speakers:
            session.flush()
    end = time.monotonic() + 20
    while not all(core.utterances for _, core in speakers):
        assert time.monotonic() < end
        time.sleep(0.005)
    for (session, core), features in zip(speakers, wanted, strict=True):
        rows = core.utterances[0].reshape(-1, WIDTH)
        assert 0 <= len(rows) - len(features) <= 8  # the last hear the silence behind the sound
        np.testing.assert_allclose(rows[: len(features)], features, atol=1e-6)
        session.abort()
    assert (encoder.engine.note, encoder.engine.turns) == ("", "") and runs[0] > 5
