# SPDX-License-Identifier: Apache-2.0
"""What bench/voice_quality.py measured, as Markdown."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from talksplat.authoring.voice import evaluate
from talksplat.authoring.voice.evaluate import DEVELOPMENT
from voice_quality import misses


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    form = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---", *["---:"] * (len(head) - 1)], *form])


def spread(value: float, ends: Sequence[float]) -> str:
    return f"{value:.2f} ({ends[0]:.2f}-{ends[1]:.2f})"


def jaws(results: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """Jaws over clips, whole and in speech, with 95 % intervals."""
    rows: list[list[object]] = []
    for key, title in (("grid", "7 GRID clips"), ("s1", "GRID talker s1")):
        jaw = [r[key]["jawOpen"] for r in results]
        rows.append([f"jaw r, {title}", *[spread(j["r_const"], j["r_const_95"]) for j in jaw]])
        rows.append([f"in speech, {title}", *[spread(j["r_speech"], j["r_speech_95"]) for j in jaw]])
    return rows


def closures(results: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """Recall and precision on each set, with 95 % intervals; "-" where a peer did not hear it."""
    rows: list[list[object]] = []
    sets = [(name, lambda r, name=name: r["closures"].get(name)) for name in results[0]["closures"]]
    sets.append(("eSpeak NG, held out, in white noise at 20 dB", lambda r: r["noisy"]))
    for name, of in sets:
        found = [of(r) for r in results]
        for kind, title in (("recall", f"recall of {found[0]['holds']}"), ("precision", "precision")):
            rows.append([f"{name}: {title}", *["-" if c is None else spread(c[kind], c[f"{kind}_95"]) for c in found]])
    return rows


def each(results: Sequence[Mapping[str, Any]], of: Callable[[Mapping[str, Any]], str], name: str) -> list[str]:
    """What `of` says of a set for each of the results; "-" where a peer did not hear it."""
    return [of(r["closures"][name]) if name in r["closures"] else "-" for r in results]


def report(
    results: Sequence[dict[str, Any]], peers: Mapping[str, Any], missing: Mapping[str, str], where: dict[str, Any]
) -> str:
    """The summary, jaws and closures with intervals, each clip's, and sounds that are not speech."""
    names = [r["file"] for r in results]
    jaw = [r["grid"]["jawOpen"] for r in results]
    base = {k.partition(": ")[2]: v for k, v in results[0]["grid"].items() if ":" in k}
    shapes = [c for c in evaluate.CHANNELS[1:] if c in results[0]["grid"]]
    rows: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
        ("parameters", lambda r: f"{r['parameters']:,}"),
        ("milliseconds of a 25-fps frame, one thread: median", lambda r: r["frame_ms"]["median"]),
        ("p99", lambda r: r["frame_ms"]["p99"]),
        ("jaw r, 7 clips", lambda r: r["grid"]["jawOpen"]["r_const"]),
        ("jaw r in speech, 7 clips", lambda r: r["grid"]["jawOpen"]["r_speech"]),
        ("jaw r, 3 development clips", lambda r: r["grid"]["jawOpen"]["r_const_development"]),
        ("jaw r, 4 test clips", lambda r: r["grid"]["jawOpen"]["r_const_test"]),
        ("jaw lag, frames of 40 ms", lambda r: r["grid"]["jawOpen"]["lag"]),
        *[(f"{c} r", lambda r, c=c: r["grid"][c]["r_const"]) for c in shapes],
        ("lips' deviation, worst of the other sounds", lambda r: f"{max(r['negatives'].values()):.4f}"),
        ("FACEGOOD, last 15 s: jaw r", lambda r: r["facegood"]["r"]),
        ("goals not reached", lambda r: "; ".join(misses(r)) or "none"),
    ]
    parts = [
        f"# The built-in voice, {time.strftime('%Y-%m-%d')}, {where['cpu']}",
        f"talksplat {where['talksplat']} at {where['commit']}, {where['isa']}, load {where['load_average']}. What is "
        "measured: [the training report](../../docs/voice_training.md). Again: `python bench/voice_quality.py`.",
        table(["", *names], [[name, *[f(r) for r in results]] for name, f in rows]),
    ]
    compared, heads = [*results, *peers.values()], [*names, *peers]
    parts.append(table(["mean (95 % interval over clips)", *heads], jaws(compared)))
    parts.append(table(["p b m, pooled (95 % interval over clips)", *heads], closures(compared)))
    apart = [[name, *[r["told_apart"][name] for r in results]] for name in results[0]["told_apart"]]
    parts.append(table(["closed lips told from open ones: average precision over steps of speech", *names], apart))
    parts += [f"Not measured: {name}. {why}." for name, why in missing.items()]
    for key, title, mean in (("clips", "jaw r", "r_const"), ("speech", "jaw r in speech", "r_speech")):
        body = [
            [clip + (" (development)" if clip in DEVELOPMENT else ""), *[j[key][clip] for j in jaw],
             *[b[key][clip] for b in base.values()]] for clip in jaw[0]["clips"]
        ]  # fmt: skip
        body.append(["mean", *[j[mean] for j in jaw], *[b[mean] for b in base.values()]])
        parts.append(table([title, *names, *base], body))
    for name, found in results[0]["closures"].items():
        groups = [
            [g, *each(compared, lambda s, g=g: "{:.2f} / {:.2f}".format(*s["voices"][g]), name)]
            for g in found["voices"]
        ]
        clips = [
            [c, *each(compared, lambda s, c=c: "{}/{}, {}/{}".format(*s["clips"][c]), name)] for c in found["clips"]
        ]
        if len(groups) > 1:
            parts.append(table([f"{name}: recall / precision", *heads], groups))
        if len(clips) <= 30:
            parts.append(table([f"{name}: holds found, runs right", *heads], clips))
    kinds = dict.fromkeys(sound.partition(" dB")[0].rpartition(" ")[0] or sound for sound in results[0]["negatives"])
    worst = [
        [k, *[f"{max(v for n, v in r['negatives'].items() if n.startswith(k)):.4f}" for r in results]] for k in kinds
    ]
    parts.append(table(["lips' largest deviation after 150 ms, all levels", *names], worst))
    actor = [[name, value] for name, value in results[0]["facegood"].items() if name != "r"]
    parts.append(table(["FACEGOOD baselines", "jaw r"], actor))
    return "\n\n".join(parts)
