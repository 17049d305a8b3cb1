# SPDX-License-Identifier: Apache-2.0
"""What the built-in voice is trained on and how its file is written: no training here, only its parts."""

import json
from pathlib import Path

import numpy as np
import pytest

import talksplat
from reference.encode import Tower
from talksplat import _core
from talksplat.authoring.voice import (
    actor,
    augment,
    batches,
    corpus,
    evaluate,
    export,
    facegood,
    features,
    negatives,
    plan,
    scoring,
    texts,
    timing,
    visemes,
)  # fmt: skip
from talksplat.authoring.voice.espeak import Espeak, find_library
from talksplat.authoring.voice.speech import Phoneme, Speech
from talksplat.authoring.voice.visemes import Segment

ASSETS = Path(talksplat.__file__).with_name("assets")
JAW = export.SHAPES.index("jawOpen")
PUCKER = export.SHAPES.index("mouthPucker")
PRESS = export.SHAPES.index("mouthPress")


# ---- visemes ----


def test_letters_are_found_under_marks() -> None:
    assert visemes.letters("ˈɑː") == ("ɑ",)
    assert visemes.letters("tʃ") == ("t", "ʃ")
    assert visemes.letters("ɔ̃") == ("ɔ",)
    assert visemes.letters("ç") == ("ç",)  # not the stop c with a mark below
    assert visemes.letters("m̩") == ("m",)
    assert visemes.letters("(en)") == visemes.letters("") == ()


def test_split_shares_time() -> None:
    diphthong = visemes.split("aɪ", 0.0, 1.0)
    assert [s.letter for s in diphthong] == ["a", "ɪ"]
    assert diphthong[0].end_s == pytest.approx(0.55)
    assert visemes.split("dʒ", 0.0, 1.0)[0].end_s == pytest.approx(0.3)
    assert visemes.split("", 0.0, 1.0) == [Segment(0.0, 1.0, "")]
    assert visemes.split("ʲ", 0.0, 1.0) == []


def test_a_lone_vowel_has_its_own_shape() -> None:
    """Nothing else pulls but the weak rest: the table's values, louder vowels opening wider."""
    spans = [Segment(0.0, 0.4, "ɑ")]
    shape, closure, voice = visemes.targets(np.array([0.2]), spans)
    assert shape[0, JAW] == pytest.approx(visemes.OPEN.jaw, abs=2e-3)
    assert closure[0] == 0 and voice[0] == 1
    loud = visemes.targets(np.array([0.2]), spans, np.array([1.0]))[0]
    assert loud[0, JAW] == pytest.approx(1.35 * visemes.OPEN.jaw, abs=3e-3)


def test_neighbours_blend_by_dominance() -> None:
    """At the border of s and u of equal length: by hand, from the formula."""
    spans = [Segment(0.0, 0.2, "s"), Segment(0.2, 0.4, "u")]
    shape = visemes.targets(np.array([0.2]), spans)[0][0]
    beyond = 0.1 - 0.6 * 0.1  # from the core's edge to the border, on both sides
    after, before = (np.exp(-((beyond / tau) ** 1.2)) for tau in (0.085, 0.075))
    s, u = after * visemes.HISS.jaw_strength, before * visemes.CLOSE_ROUND.jaw_strength
    expected = (s * visemes.HISS.jaw + u * visemes.CLOSE_ROUND.jaw + 1e-3 * visemes.REST.jaw) / (s + u + 1e-3)
    assert shape[JAW] == pytest.approx(expected, rel=1e-9)
    middle = visemes.targets(np.array([0.1, 0.3]), spans)[0]
    assert middle[0, PUCKER] < shape[PUCKER] < middle[1, PUCKER] <= visemes.CLOSE_ROUND.pucker


def test_lips_close_before_a_hold_and_open_around_its_end() -> None:
    spans = [Segment(0.0, 0.3, "a"), Segment(0.3, 0.4, "m"), Segment(0.4, 0.7, "a")]
    t = np.array([0.2649, 0.2825, 0.3, 0.35, 0.3775, 0.4, 0.4226])
    closed = visemes.seal(t, spans)
    assert closed == pytest.approx([0, 0.5, 1, 1, 1, 0.5, 0], abs=1e-6)
    shape = visemes.targets(t, spans)[0]
    assert shape[3, JAW] == pytest.approx(visemes.SEALED_JAW)
    assert shape[3, PRESS] == pytest.approx(visemes.SEALED.press)
    assert shape[0, PRESS] == 0  # pressed lips do not linger over vowels


def test_short_pauses_are_speech_and_long_ones_are_not() -> None:
    spans = [Segment(0.0, 0.2, "a"), Segment(0.2, 0.3, ""), Segment(0.3, 0.5, "a"), Segment(0.5, 1.5, ""),
             Segment(1.5, 1.7, "a")]  # fmt: skip
    t = np.array([-0.1, 0.1, 0.25, 1.0, 1.6, 1.8])
    assert visemes.targets(t, spans)[2].tolist() == [0, 1, 1, 0, 1, 0]


def test_every_viseme_is_a_possible_face() -> None:
    for viseme in (*visemes.TABLE.values(), visemes.REST):
        assert all(0 <= w <= 1 for w in viseme.weights())
    assert {letter for letter, v in visemes.TABLE.items() if v.sealed} >= set("pbm")


def test_jaws_follow_tracked_talkers() -> None:
    """f, v, r and w nearly close the mouth, p, b and m close it most, and "oo" is the roundest vowel."""
    jaw = {letter: v.jaw for letter, v in visemes.TABLE.items()}
    assert all(jaw[x] < 0.5 * min(jaw[y] for y in "aæɛɪʌ") + 1e-9 for x in "fvw")
    assert all(jaw[x] <= min(jaw[y] for y in "tdnlkɡszhj") for x in "fvwɹ")
    assert visemes.SEALED.jaw == min(jaw.values())
    vowels = {letter: v for letter, v in visemes.TABLE.items() if v.vowel}
    assert max(vowels, key=lambda x: vowels[x].pucker) in "uʊyʏʉɵ"
    assert all(vowels["u"].funnel >= v.funnel for v in vowels.values())


# ---- timing ----


def test_a_silent_stop_is_held_in_the_silence_before_its_burst() -> None:
    rate = 16000
    sound = 0.3 * np.sin(np.arange(rate) * 0.1).astype(np.float32)
    sound[round(0.44 * rate) : round(0.5 * rate)] = 0
    speech = Speech(sound, rate, (Phoneme(0.0, "a"), Phoneme(0.5, "p"), Phoneme(0.55, "a"), Phoneme(1.0, "")))
    first, stop, last = timing.segments(speech)[:3]
    assert (stop.letter, stop.start_s, stop.end_s) == ("p", pytest.approx(0.44, abs=0.006), pytest.approx(0.51))
    assert first.end_s == stop.start_s and last.start_s == stop.end_s


def test_short_empty_names_belong_to_what_came_before() -> None:
    speech = Speech(np.ones(16000, np.float32), 16000, (Phoneme(0, "d"), Phoneme(0.1, ""), Phoneme(0.13, "a"),
                    Phoneme(0.4, ""), Phoneme(0.9, "")))  # fmt: skip
    assert [s.letter for s in timing.segments(speech)] == ["d", "a", ""]


def test_loudness_follows_level() -> None:
    x = np.full(16000, 0.1, np.float32)
    x[8000:] = 0.2
    speech = Speech(x, 16000, ())
    quiet, loud = timing.loudness(speech, [Segment(0.1, 0.3, "a"), Segment(0.6, 0.9, "a")])
    assert loud - quiet == pytest.approx(20 * np.log10(2) / 12, abs=0.01)


@pytest.mark.skipif(find_library() is None, reason="no eSpeak NG here: pip install espeakng-loader")
def test_espeak_names_its_phonemes_in_time() -> None:
    espeak = Espeak.shared()
    speech = espeak.speak("Bob made a map.", "en-us", rate=150)
    letters = [s.letter for s in timing.segments(speech)]
    assert letters[0] == "b" and letters.count("m") == 2 and letters.count("b") == 2 and "p" in letters
    starts = [s.start_s for s in timing.segments(speech)]
    assert starts == sorted(starts) and 0.5 < len(speech.samples) / speech.rate_hz < 3
    with pytest.raises(ValueError, match="no voice 'klingon-x'"):
        espeak.speak("a", "klingon-x")
    with pytest.raises(RuntimeError, match="shared"):
        Espeak()


def test_held_out_voices_are_not_trained_on() -> None:
    rng = np.random.default_rng(0)
    drawn = [texts.draw(rng) for _ in range(2000)]
    held = texts.held_out()
    assert not {u.voice for u in drawn} & {u.voice for u in held}
    assert not {u.text for u in drawn} & {u.text for u in held}
    assert not set(texts.VARIANTS) & set(texts.HELD_OUT_VARIANTS)
    assert texts.draw(np.random.default_rng(7)) == texts.draw(np.random.default_rng(7))


# ---- features ----


def plain_features(x: np.ndarray, frames: int, leveller: export.Leveller, feature: export.Feature) -> np.ndarray:
    """The definition, one frame and one band at a time."""
    window = [0.5 - 0.5 * np.cos(2 * np.pi * n / 400) for n in range(400)]
    points = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7600 / 700), 42)
    hz = 700 * (10 ** (points / 2595) - 1)
    level, out = leveller["start_db"], np.zeros((frames, 40))
    for i in range(frames):
        frame = [window[n] * (x[160 * i - 240 + n] if 0 <= 160 * i - 240 + n < len(x) else 0.0) for n in range(400)]
        power = np.abs(np.fft.rfft(frame, 512)) ** 2 / np.sum(np.square(window))
        mel = np.zeros(40)
        for m in range(40):
            tri = [max(0.0, min((f - hz[m]) / (hz[m + 1] - hz[m]), (hz[m + 2] - f) / (hz[m + 2] - hz[m + 1])))
                   for f in 31.25 * np.arange(257)]  # fmt: skip
            mel[m] = np.dot(tri, power) / np.sum(tri)
        e = 10 * np.log10(mel.mean() + 1e-10)
        if e > level:
            level += (e - level) * (1 - np.exp(-0.01 / leveller["attack_s"]))
        else:
            level = max(level - leveller["release_db_per_s"] * 0.01, e)
        level = max(level, leveller["floor_db"])
        x_db = 10 * np.log10(mel + 1e-10) - level - feature["offset_db"]
        out[i] = np.clip(x_db / feature["scale_db"], feature["clip_low"], feature["clip_high"])
    return out


def test_features_are_the_definition() -> None:
    manifest, _ = export.random_voice(0)
    rng = np.random.default_rng(1)
    x = rng.normal(size=2400) * np.repeat([0.3, 0.001, 1e-5, 0.1], 600)
    expected = plain_features(x, 18, manifest["leveller"], manifest["feature"])
    found = features.features(x, 9, manifest).reshape(18, 40)
    assert np.abs(found - expected).max() < 2e-4  # float32 spectra against float64


def test_every_band_of_white_noise_has_its_variance() -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, 80000)
    power = features.mel_power(noise, 500, features.mel_filters())
    assert power[5:].mean(0) == pytest.approx(np.full(40, 0.01), rel=0.15)


# ---- augmentation and negatives ----


def test_resampling_keeps_a_tone_and_its_place() -> None:
    x = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    y = augment.resample(x, 22050, 16000)
    assert len(y) == 16000
    assert y[2000:14000] == pytest.approx(np.sin(2 * np.pi * 440 * np.arange(2000, 14000) / 16000), abs=1e-3)


def test_negatives_are_audible_and_bounded() -> None:
    rng = np.random.default_rng(3)
    for make, _ in negatives.MAKERS:
        assert np.isfinite(make(rng, 16000)).all()
    for _ in range(20):
        x = negatives.draw(rng, 16000, steady=True)
        assert 1e-4 < np.sqrt(np.mean(x**2)) < 1 and np.abs(x).max() <= 1


def small_corpus() -> corpus.Corpus:
    """Two clips of 4 s and one other sound, random, as far as batches look at them."""
    rng = np.random.default_rng(0)
    n = 400
    return corpus.Corpus(
        mel_db=rng.normal(-40, 10, (2 * n, 40)).astype(np.float16), shape=rng.random((n, 11)).astype(np.float16),
        closure=(np.arange(n) / n).astype(np.float16), voice=np.ones(n, np.float16), label=np.zeros(n, np.uint8),
        start=np.array([0, 200, 400]), speech_db=np.array([-30, -30], np.float32),
        other_db=np.full((500, 40), -30, np.float16), other_start=np.array([0, 250]),
        cover_db=np.zeros((1, 500, 40), np.float16),
    )  # fmt: skip


def test_batches_ask_for_the_face_of_60_ms_ago() -> None:
    data = small_corpus()
    batch = batches.draw(np.random.default_rng(1), data, 8, 150, other_share=0.0)
    assert batch.features.shape == (8, 150, 80) and batch.features.dtype == np.float32
    for closure, shape in zip(batch.closure, batch.shape, strict=True):
        (at,) = np.flatnonzero(data.closure.astype(np.float32) == closure[75])
        assert np.array_equal(data.shape[at].astype(np.float32), shape[75])
    quiet = batches.draw(np.random.default_rng(1), data, 8, 150, other_share=1.0)
    assert not quiet.voice.any() and not quiet.closure.any() and np.ptp(quiet.shape, axis=(0, 1)).max() == 0


@pytest.mark.parametrize("look_ahead_steps", [p.look_ahead_steps for p in (plan.SHIPPED, plan.TEACHER)])
def test_batches_hear_the_step_that_they_ask_about(look_ahead_steps: int) -> None:
    """A clip that is loud in step 60 alone: its features peak where a face before, of step 57 or 52, is asked for."""
    data = small_corpus()
    data.mel_db[:] = -90
    data.mel_db[[2 * 60, 2 * 60 + 1, 400 + 2 * 60, 400 + 2 * 60 + 1]] = -20
    data.closure[:] = 0
    data.closure[[60 - look_ahead_steps, 260 - look_ahead_steps]] = 1
    batch = batches.draw(np.random.default_rng(2), data, 16, 150, other_share=0.0, look_ahead_steps=look_ahead_steps)
    seen = batch.closure.max(1) == 1
    assert seen.sum() > 8
    assert np.array_equal(batch.features.mean(2).argmax(1)[seen], batch.closure.argmax(1)[seen])


def test_an_actors_take_speaks_the_synthetic_language() -> None:
    """Curves have the corpus's mean and spread, and the last 15 s are kept out."""
    rng = np.random.default_rng(3)
    curves = {name: np.convolve(rng.random(900), np.ones(9) / 9, "same") * 0.1 for name in actor.MAPPED}
    curves["jawOpen"][450:] = 5.0  # would be seen in the mean
    take = facegood.Take(rng.normal(size=30 * 16000).astype(np.float32) * 0.1, curves)
    data = small_corpus()
    made = actor.take_corpus(take, data, rng, copies=3)
    lengths = np.diff(made.start) * 0.02
    assert len(lengths) == 3 and all(15 * 0.88 - 0.1 < s < 15 * 1.14 + 0.1 for s in lengths)
    jaw = made.shape[:, JAW].astype(float)
    expected = data.shape[:, JAW].astype(float)
    assert jaw.mean() == pytest.approx(expected.mean(), abs=0.03) and jaw.std() == pytest.approx(
        expected.std(), rel=0.2
    )


# ---- the file ----


def test_a_written_voice_reads_back(tmp_path: Path) -> None:
    manifest, tensors = export.random_voice(4)
    export.write_voice(tmp_path / "v.safetensors", manifest, tensors)
    again, read = export.read_voice(tmp_path / "v.safetensors")
    assert again == manifest and read.keys() == tensors.keys()
    assert again["features"] == "talksplat-voice"
    assert all(np.array_equal(read[name], value.astype(np.float32)) for name, value in tensors.items())
    assert [p.name for p in tmp_path.iterdir()] == ["v.safetensors"]


def test_two_towers_share_the_channels(tmp_path: Path) -> None:
    towers = [export.tower(export.CHANNELS[:5]), export.tower(export.CHANNELS[5:], width=16, layers=1)]
    manifest, tensors = export.random_voice(4, towers=towers)
    export.write_voice(tmp_path / "v.safetensors", manifest, tensors)
    voice = _core.Voice(str(tmp_path / "v.safetensors"))
    assert voice.channel_names == tuple(export.CHANNELS) and voice.n_features == 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, t: m.update(format=2), "manifest.format must be 1"),
        (lambda m, t: m.update(extra=1), "manifest's keys"),
        (lambda m, t: m.update(head=[1.0, 1.0]), "manifest.head must be a list of 3"),
        (lambda m, t: m.update(head=[1.0, 1.0, 4.0]), r"manifest.head\[2\] must be a number in \[0, 3\]"),
        (lambda m, t: m.update(features="hubert"), "manifest.features must be a text that begins with talksplat-voice"),
        (lambda m, t: m["towers"][0].update(heads=3), "a multiple of heads"),
        (lambda m, t: m["towers"][0].update(taps=0), r"taps must be an integer in 1\.\.64"),
        (lambda m, t: m["towers"][0]["channels"].remove("closure"), "those of its channels"),
        (lambda m, t: m["towers"][0]["channels"].remove("jawOpen"), "the towers' channels must be all of"),
        (lambda m, t: m["leveller"].update(attack_s=0.0), "attack_s must be a number"),
        (lambda m, t: m["feature"].update(offset_db=float("nan")), "offset_db must be a number"),
        (lambda m, t: t.pop("tower/0/stem/bias"), "missing"),
        (lambda m, t: t.update(more=np.zeros(1, np.float16)), "unknown"),
        (lambda m, t: t.update({"tower/0/head/bias": np.zeros(12, np.float16)}), r"shape must be \(13,\)"),
        (lambda m, t: t.update({"tower/0/head/bias": np.zeros(13)}), "float16 or float32"),
        (lambda m, t: t["tower/0/head/bias"].fill(np.inf), "must be finite"),
    ],
)
def test_what_the_core_would_refuse_is_not_written(tmp_path: Path, change: object, message: str) -> None:
    manifest, tensors = export.random_voice(5)
    manifest = json.loads(json.dumps(manifest))
    change(manifest, tensors)  # type: ignore[operator]
    with pytest.raises(ValueError, match=message):
        export.write_voice(tmp_path / "v.safetensors", manifest, tensors)
    assert not list(tmp_path.iterdir())


def test_a_voice_of_3_mb_is_refused(tmp_path: Path) -> None:
    manifest, tensors = export.random_voice(0, towers=[export.tower(width=256, hidden=512)], dtype=np.float32)
    with pytest.raises(ValueError, match="below 3065536 bytes"):
        export.write_voice(tmp_path / "v.safetensors", manifest, tensors)


def test_the_shipped_voice_says_where_it_comes_from() -> None:
    manifest, _ = export.read_voice(ASSETS / "voice.safetensors")
    assert manifest["licence"] == "Apache-2.0" and "eSpeak NG" in manifest["provenance"]["data"]
    assert batches.heard_otherwise(manifest) == []
    assert (manifest["name"], manifest["features"]) == ("talksplat voice 5", "talksplat-voice-5")
    assert manifest["towers"] == [{**plan.SHIPPED.tower, "hidden": 2 * plan.SHIPPED.tower["hidden"]}]
    quiet = evaluate.faces_of(_core.Voice(str(ASSETS / "voice.safetensors")))(np.zeros(16000), 25.0)
    assert all((curve == 0).all() for curve in quiet.values())


def test_the_shipped_sentence_is_small_and_mono() -> None:
    path = ASSETS / "hello.flac"
    samples = evaluate.read_sound(path)
    assert path.stat().st_size < 250_000 and 6 < len(samples) / export.RATE_HZ < 9 and 0.5 < np.abs(samples).max() < 1


# ---- the network ----


def test_training_form_is_the_files_network() -> None:
    """Gains and biases of the norms, folded; attention and convolution over all steps against windows of their own."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install talksplat[authoring]")
    from talksplat.authoring.voice.fold import tensors_of
    from talksplat.authoring.voice.model import TowerNet

    torch.manual_seed(0)
    shape = export.tower(layers=2, window=7, taps=4)
    net = TowerNet(shape, 40, classes=5).eval()
    with torch.no_grad():
        for parameter in net.parameters():  # norms too
            parameter += 0.1 * torch.randn_like(parameter)
        x = torch.randn(1, 23, 80)
        expected, named = net(x)
    assert named is not None and named.shape == (1, 23, 5)
    alone = Tower(shape, "tower/0", tensors_of([net], np.float32))
    raw = expected[0].numpy()
    for step in range(23):
        said, _ = alone.step(x[0, step].numpy())
        for c, name in enumerate(shape["channels"]):
            assert said[c] == pytest.approx(raw[step, c], abs=2e-5), name


def test_every_parameter_has_one_optimiser() -> None:
    """Muon has the matrices between a layer's own vectors; ages' biases and convolutions' taps are no such."""
    pytest.importorskip("torch", reason="torch is not installed: pip install talksplat[authoring]")
    from talksplat.authoring.voice.model import TowerNet
    from talksplat.authoring.voice.optimise import optimisers

    net = TowerNet(export.tower(layers=2), 40, classes=5)
    held = [[id(p) for group in o.param_groups for p in group["params"]] for o in optimisers(net, 1e-3)]
    assert sorted([*held[0], *held[1]]) == sorted(id(p) for p in net.parameters())
    by_muon = {name for name, p in net.named_parameters() if id(p) in held[0]}
    parts = ("attention.qkv", "attention.out", "convolution.gate", "convolution.mix", "up", "down")
    assert by_muon == {f"layers.{i}.{part}.weight" for i in range(2) for part in parts}


def test_a_short_training_learns_and_repeats() -> None:
    """A loud clip with an open jaw, and a quiet one: told apart after some steps, by the same weights for a seed."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install talksplat[authoring]")
    from talksplat.authoring.voice.optimise import train_tower

    data = small_corpus()
    data.mel_db[: len(data.mel_db) // 2] += 20
    data.mel_db[len(data.mel_db) // 2 :] -= 20
    data.shape[:] = 0.1
    data.shape[:200, JAW] = 0.7
    small = plan.Plan(export.tower((*plan.FACE, *plan.SEAL), width=32, layers=1, window=8, taps=3), 40, 6, 0.0)
    nets, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(2):
            torch.manual_seed(1)
            nets.append(train_tower(small, data, np.random.default_rng(0), lambda line: None))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))
    batch = batches.draw(np.random.default_rng(9), data, 8, 150, 0.0)
    said = nets[0](torch.from_numpy(batch.features))[0].detach().numpy()
    assert np.corrcoef(said[:, 60:, JAW].ravel(), batch.shape[:, 60:, JAW].ravel())[0, 1] > 0.5


def test_livelier_shapes_keep_their_mean() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install talksplat[authoring]")
    from talksplat.authoring.voice.model import TowerNet
    from talksplat.authoring.voice.optimise import enliven

    net = TowerNet(export.tower(layers=1), 40, classes=5).eval()
    channels = net.shape["channels"]
    jaw, pucker, voice = (channels.index(c) for c in ("jawOpen", "mouthPucker", "voice"))
    shape = np.zeros((4, len(export.SHAPES)), np.float16)
    shape[:2, JAW], shape[:2, PUCKER] = 0.25, 0.5  # in speech, and then two steps of rest
    empty = np.zeros(0)
    data = corpus.Corpus(empty, shape, empty, np.float16([1, 1, 0, 0]), empty, empty, empty, empty, empty, empty)
    x = torch.randn(1, 9, 80)
    before = net(x)[0].detach()
    enliven(net, {"jawOpen": 1.5, "mouthPucker": 2.0}, {"jawOpen": 0.5}, data)
    after = net(x)[0].detach()
    assert after[..., jaw].numpy() == pytest.approx(0.5 * (0.25 + 1.5 * (before[..., jaw].numpy() - 0.25)), abs=1e-5)
    assert after[..., pucker].numpy() == pytest.approx(0.5 + 2 * (before[..., pucker].numpy() - 0.5), abs=1e-5)
    assert torch.equal(after[..., voice], before[..., voice])


# ---- judging ----


def test_scoring_finds_the_lag_and_leaves_still_curves_out() -> None:
    rng = np.random.default_rng(0)
    true = np.convolve(rng.normal(size=80), np.ones(5) / 5, "same")
    late = np.roll(true, 2)
    span = np.ones(75, bool)
    s = scoring.score({"a": late[:75], "b": late[:75]}, {"a": true[:75], "b": np.full(75, 0.3)}, {"a": span, "b": span})
    assert s is not None and s.lag == 2 and list(s.whole) == ["a"] and s.r_const > 0.99
    assert scoring.score({"a": late}, {"a": np.zeros(80)}, {"a": span}) is None


def test_baselines_follow_loudness_and_find_speech() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=48000) * np.where((np.arange(48000) // 16000) == 1, 0.1, 1e-4)  # 1 s of noise in 3 s
    curves, span = scoring.baselines(x, 75)
    assert span[27:49].all() and not span[:24].any() and not span[52:].any()
    assert curves["energy 300-1000 Hz"][37] - curves["energy 300-1000 Hz"][5] == pytest.approx(60, abs=5)
