# SPDX-License-Identifier: Apache-2.0
"""Deform programs: a program of every kind of stage is written as it is, and one with any slip is refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference.deform import deform_ref
from reference.pose import pose_ref
from reference.tsplat import read
from talksplat.authoring import spec
from talksplat.authoring.deform_program import BranchProgram, Condition, program_of
from talksplat.authoring.deform_spec import MAX_STAGES
from talksplat.errors import AvatarInvalid

N = 5  # three Gaussians in one branch, two in the other
Avatar = tuple[Any, dict[str, np.ndarray]]
Change = Callable[[Any, dict[str, np.ndarray]], object]


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def avatar(color: str = "sh1") -> Avatar:
    """Uses every kind, every key and every target; deform of `sh` or of `color`."""
    k = 0 if color == "rgb" else 4
    c = Condition()
    c.input("window", "audio", (4, 3, 2))
    c.conv("steps", "window", rows(2, 3, 3), rows(2), 2, 1, "leaky_relu", 0.02)
    c.linear("frames", "steps", rows(4, 2), rows(4))
    c.transpose("over_time", "frames")
    c.conv("scores", "over_time", rows(1, 4, 3), rows(1), 1, 1, "tanh")
    c.linear("weights", "scores", rows(4, 4), activation="softmax")
    c.pool("heard", "frames", "weights")
    c.input("eye", "eye", (1, 1, 1))
    c.waves("eye_waves", "eye", np.array([1, 2], np.float32), True)
    c.constant("null", rows(1, 4))
    c.slice("first", "heard", 1, 2)
    c.join("joined", ["first", "eye_waves", "null"])
    c.linear("drive", "joined", rows(6, 11), activation="relu")
    c.input("view", "view", (1, 12, 1))
    c.linear("token", "view", rows(4, 12))
    face = BranchProgram("face", 3)
    face.static("x", rows(3, 4))
    face.static("base", rows(3, 6))
    maps = dict.fromkeys(("query", "key", "value", "out"), (rows(4, 4), rows(4)))
    face.attention("seen", "x", ["token", "null"], 2, maps, "x")
    face.norm("normed", "seen", rows(4), rows(4), 1e-5, "relu")
    face.linear("h", "normed", rows(6, 4), rows(6), gain="heard", frame="drive", plus="base", activation="relu")
    face.linear("sum", plus="h", frame="drive", activation="tanh")
    for to, size in (("mean", 3), ("log_scale", 3), ("rotation", 4), ("logit", 1)):
        canonical = {"log_scale": rows(3, 3), "rotation": rows(3, 4), "logit": rows(3)}.get(to)
        face.add(to, "sum", rows(size, 6) * 0.1, rows(size) * 0.1, canonical)
    mouth = BranchProgram("mouth", 2, dilate_px=5)
    mouth.static("x", rows(2, 6))
    mouth.linear("h", "x", rows(2, 6), activation="leaky_relu", slope=0.1)
    for branch, source, width in ((face, "sum", 6), (mouth, "h", 2)):
        branch.add("sh" if k else "color", source, rows(3 * k or 3, width) * 0.1)
    program, tensors = program_of(c, [face, mouth])
    manifest = spec.manifest(
        name="a", method="talking-gaussian", fps=25, canvas={"width": 8, "height": 6}, color=color, source_count=N,
        camera={"cam_from_world": np.eye(4).ravel().tolist(), "fx": 8.0, "fy": 8.0, "cx": 4.0, "cy": 3.0, "near": 0.2},
        provenance={"source_format": "test", "files": [], "tool": "t", "tool_version": "1", "notes": ""},
        inputs=[
            {"name": "audio", "size": 24, "target": "deform",
             "window": {"before": 2, "after": 1, "channels": 3, "length": 2}},
            {"name": "eye", "size": 1, "target": "deform", "names": ["AU45"]},
            {"name": "view", "size": 12, "target": "deform", "follows": "camera"},
            {"name": "place", "size": 3, "target": "translation"},
        ],
        deform=program, encoder="deepspeech", look_ahead_ms=280.0,
    )  # fmt: skip
    return manifest, {
        "gaussians/mean": rows(N, 3),
        "gaussians/quat": np.tile(np.array([1, 0, 0, 0], np.float32), (N, 1)),
        "gaussians/scale": np.full((N, 3), 0.1, np.float32),
        "gaussians/opacity": np.full(N, 0.5, np.float32),
        "gaussians/source_index": np.arange(N, dtype=np.uint32),
        **({"gaussians/sh": rows(N, k, 3)} if k else {"gaussians/color": rows(N, 3)}),
        **tensors,
    }


@pytest.mark.parametrize("color", ["sh1", "rgb"])
def test_a_program_comes_back_and_can_be_run(color: str, tmp_path: Path) -> None:
    manifest, tensors = avatar(color)
    file = read(spec.write(tmp_path / "a.tsplat", manifest, tensors))
    assert file.manifest == manifest
    for name, array in tensors.items():
        np.testing.assert_array_equal(file.tensors[name], array)
    still = deform_ref(file, pose_ref(file, {}), {})
    moved = deform_ref(file, pose_ref(file, {}), {"audio": rows(24), "eye": rows(1)})
    assert np.abs(moved.mean - still.mean).max(axis=1)[:3].min() > 1e-3
    assert moved.opacity.shape == (N,)


def test_no_gaussians_at_all(tmp_path: Path) -> None:
    manifest, tensors = avatar()
    for branch in manifest["deform"]["branches"]:
        branch["rows"] = 0
    for name in tensors:
        if name.startswith("gaussians/") or "/static/" in name or "/canonical/" in name:
            tensors[name] = tensors[name][:0]
    spec.write(tmp_path / "a.tsplat", manifest, tensors)


def at(where: str, *value: Any) -> Change:
    """Set the program's value at a dotted path, or drop it where none is given; numbers index lists."""

    def change(manifest: Any, _: Any) -> None:
        *steps, last = [int(k) if k.isdecimal() else k for k in where.split(".")]
        place = manifest["deform"]
        for key in steps:
            place = place[key]
        if value:
            place[last] = value[0]
        else:
            del place[last]

    return change


def both(*changes: Change) -> Change:
    return lambda manifest, tensors: [change(manifest, tensors) for change in changes]


def put(name: str, array: object) -> Change:
    return lambda _, tensors: tensors.__setitem__(name, array)


def drop(name: str) -> Change:
    return lambda _, tensors: tensors.pop(name)


def cell(name: str, value: float) -> Change:
    return lambda _, tensors: tensors[name].ravel().__setitem__(1, value)


def key(name: str, value: Any) -> Change:
    return lambda manifest, _: manifest.__setitem__(name, value)


def of_input(i: int, name: str, value: Any) -> Change:
    return lambda manifest, _: manifest["inputs"][i].__setitem__(name, value)


def condition(i: int, **keys: Any) -> Change:
    return lambda manifest, _: manifest["deform"]["condition"][i].update(keys)


def stage(i: int, **keys: Any) -> Change:
    return lambda manifest, _: manifest["deform"]["branches"][0]["stages"][i].update(keys)


def measured(**errors: Any) -> dict[str, Any]:
    keys = ("motion_px", "mean_px", "mean_px_rms", "color", "logit", "scale", "rotation")
    return {"controls": 8, **dict.fromkeys(keys, 0.0), **errors}


WINDOW = {"before": 2, "after": 1, "channels": 3, "length": 2}
# fmt: off
BAD: dict[str, tuple[Change, str]] = {
    "unknown key": (at("stages", []), "manifest.deform has the unknown keys 'stages'"),
    "missing key": (at("error"), "manifest.deform lacks ['error']"),
    "precision": (at("precision", "fp16"), "manifest.deform.precision must be one of ('fp32', 'bf16'); got 'fp16'."),
    "error's key": (at("error", {"controls": 1}), "manifest.deform.error lacks ['color', 'logit'"),
    "error's count": (at("error", {**measured(), "controls": 0}), "manifest.deform.error.controls must be a count"),
    "error not finite": (at("error", measured(color=float("nan"))), "manifest.deform.error.color must be a "),
    "a rig": (both(lambda m, _: m["rig"].update(kind="mesh"), lambda m, _: m["binding"].update(kind="vertex"),
                   put("binding/index", np.zeros(N, np.uint32)), put("rig/vertex", rows(1, 3))),
              "manifest.rig.kind must be none where there is a deform program; got 'mesh'."),
    "condition": (at("condition", {}), "manifest.deform.condition must be a list of at most 64 stages"),
    "too many stages": (at("condition", [{}] * (MAX_STAGES + 1)), "must be a list of at most 64 stages"),
    "kind": (condition(2, kind="relu"), "manifest.deform.condition[2].kind must be one of ['input', 'constant'"),
    "no kind": (at("condition.2", 7), "manifest.deform.condition[2].kind must be one of"),
    "lacks a key": (at("condition.1.stride"), "manifest.deform.condition[1] (conv) lacks stride"),
    "lacks a slope": (at("condition.1.slope"), "manifest.deform.condition[1] (conv) lacks slope"),
    "key too many": (condition(3, keep=True), "manifest.deform.condition[3] (transpose) has the unknown key 'keep'"),
    "activation": (condition(2, activation="gelu"), "condition[2] (linear).activation must be one of ('none', 'relu'"),
    "slope": (condition(1, slope="0.1"), "condition[1] (conv).slope must be a finite number; got '0.1'."),
    "softmax of a Gaussian": (stage(3, activation="softmax"), "branch face.stages[3] (linear).activation must be one"),
    "input unknown": (condition(0, input="place"), "must be an input with the target \"deform\", of ['audio', 'eye', "),
    "input's shape": (condition(0, shape=[4, 3, 3]), "condition[0] (input).shape must be three counts of 24 numbers"),
    "input's axes": (condition(0, shape=[24]), "condition[0] (input).shape must be three counts of 24 numbers"),
    "value unknown": (condition(2, **{"in": "later"}), "condition[2] (linear).in must be the name of an earlier value"),
    "value of no name": (condition(2, **{"in": []}), "condition[2] (linear).in must be the name of an earlier value"),
    "value twice": (condition(2, out="steps"), "condition[2] (linear).out must be a new name"),
    "value's name": (condition(2, out="a/b"), "condition[2] (linear).out must be a new name of letters"),
    "conv's stride": (condition(1, stride=0), "condition[1] (conv).stride must be a whole number from 1; got 0."),
    "conv's padding": (condition(1, padding=-1), "condition[1] (conv).padding must be a whole number from 0; got -1."),
    "conv too long": (condition(1, padding=0), "condition[1] (conv).padding must be such that 3 taps fit on 2 steps"),
    "waves' keep": (condition(8, keep=1), "condition[8] (waves).keep must be true or false; got 1."),
    "transpose": (condition(3, **{"in": "window"}), "condition[3] (transpose).in must be of length 1; got 2."),
    "pool": (condition(6, weights="null.x"), "condition[6] (pool).weights must be the name of an earlier value"),
    "pool's weights": (condition(6, weights="frames"), "(pool).weights must be a value of one row of 4 numbers; got "
                       "'frames: 4 of 4'."),
    "slice": (condition(10, count=4), "condition[10] (slice).first and count must be inside of the 4 numbers; got [1"),
    "slice of rows": (condition(10, **{"in": "frames"}), "condition[10] (slice).in must be a value of one row; got "),
    "join of nothing": (condition(11, **{"in": []}), "condition[11] (join).in must be a list of values; got []."),
    "join of rows": (condition(11, **{"in": ["frames"]}), "condition[11] (join).in must be a value of one row; got "),
    "weight missing": (drop("deform/condition/2/weight"), "tensor deform/condition/2/weight is missing; it must be "
                       "float32 [o,2]."),
    "weight's width": (put("deform/condition/2/weight", rows(4, 3)), "tensor deform/condition/2/weight must be float32 "
                       "[o,2]; got float32 [4, 3]."),
    "weight's axes": (put("deform/condition/1/weight", rows(2, 3)), "deform/condition/1/weight must be float32 [o,3"),
    "weight's kind": (put("deform/condition/2/weight", np.ones((4, 2))), "must be float32 [o,2]; got float64 [4, 2]."),
    "weight of no rows": (put("deform/condition/2/weight", rows(0, 2)), "must be float32 [o,2]; got float32 [0, 2]."),
    "weight no array": (put("deform/condition/2/weight", [1.0]), "must be float32 [o,2]; got list []."),
    "weight not a number": (cell("deform/condition/2/weight", np.nan), "tensor deform/condition/2/weight must be "
                            "finite; row 0 is not."),
    "bias's width": (put("deform/condition/2/bias", rows(3)), "tensor deform/condition/2/bias must be float32 [4]"),
    "conv without bias": (drop("deform/condition/1/bias"), "tensor deform/condition/1/bias is missing"),
    "constant": (drop("deform/condition/9/value"), "tensor deform/condition/9/value is missing"),
    "frequencies": (put("deform/condition/8/frequency", rows(0)), "deform/condition/8/frequency must be float32 [f]"),
    "condition too large": (put("deform/condition/9/value", np.zeros((1, 1 << 20), np.float32)),
                            "condition[9] (constant) must be part of a condition of at most 1048576 numbers"),
    "condition too long": (both(put("deform/condition/9/value", np.zeros((600, 1000), np.float32)),
                                condition(10, kind="linear", **{"in": "null", "activation": "none"}),
                                at("condition.10.first"), at("condition.10.count"),
                                put("deform/condition/10/weight", np.zeros((700, 1000), np.float32))),
                           "condition[10] (linear) must be part of a condition of at most 268435456 products"),
    "tensor too many": (put("deform/condition/2/extra", rows(1)), "tensor deform/condition/2/extra has no meaning"),
    "tensor of no stage": (put("deform/face/9/weight", rows(1)), "tensor deform/face/9/weight has no meaning"),
    "no branches": (at("branches", []), "manifest.deform.branches must be a list of 1 to 8; got []."),
    "branch's key": (at("branches.0.rows"), "manifest.deform.branches[0] lacks ['rows']"),
    "branch's name": (at("branches.0.name", "a/b"), "manifest.deform.branches[0].name must be a new name of letters"),
    "branch's name twice": (at("branches.1.name", "face"), "manifest.deform.branches[1].name must be a new name"),
    "a branch called condition": (at("branches.0.name", "condition"), "branches[0].name must be another one"),
    "rows": (both(at("branches.1.rows", 1), put("deform/mouth/static/x", rows(1, 6))),
             "manifest.deform.branches' rows must be 5 in all, the rows of gaussians/mean; got 4."),
    "rows not static's": (at("branches.1.rows", 3), "tensor deform/mouth/static/x must be float32 [3,w]; got float32 "),
    "rows below nothing": (at("branches.0.rows", -1), "branch face.rows must be 0..16777215; got -1."),
    "dilation in front": (at("branches.0.dilate_px", 5), "dilate_px must be 0 for the first, which nothing is"),
    "dilation": (at("branches.1.dilate_px", 4), "branch mouth.dilate_px must be 0 or odd, up to 255; got 4."),
    "static": (at("branches.0.static", "x"), "branch face.static must be a list of at most 64 names"),
    "static twice": (at("branches.0.static", ["x", "x"]), "branch face.static must be a new name"),
    "static missing": (drop("deform/face/static/x"), "deform/face/static/x is missing; it must be float32 [3,w]."),
    "static too wide": (put("deform/face/static/x", rows(3, 1025)), "values of at most 1024 numbers; got 'x: 1025'"),
    "static not finite": (cell("deform/face/static/x", np.inf), "tensor deform/face/static/x must be finite; row 0"),
    "values too wide": (both(at("branches.0.static", ["x", "base", "a", "b", "c", "d"]),
                             *(put(f"deform/face/static/{name}", rows(3, 1024)) for name in "abcd")),
                        "with values of at most 4096 numbers in all; got 4106."),
    "scores too": (both(at("branches.0.static", ["x", "base", "a", "b", "c", "d"]),
                        *(put(f"deform/face/static/{name}", rows(3, 1024)) for name in "abc"),
                        put("deform/face/static/d", rows(3, 1010))),
                   "with values of at most 4096 numbers in all; got 4100."),
    "stages": (at("branches.0.stages", None), "branch face.stages must be a list of at most 64 stages; got None."),
    "a stage of the condition": (stage(1, kind="conv"), "branch face.stages[1].kind must be one of ['linear', "),
    "an add that writes": (stage(4, out="y"), "branch face.stages[4] (add) has the unknown key 'out'"),
    "a Gaussian's value": (stage(1, **{"in": "heard"}), "stages[1] (norm).in must be the name of an earlier value, "),
    "a condition's value": (stage(2, frame="base"), "stages[2] (linear).frame must be the name of an earlier value"),
    "gain's width": (stage(2, gain="drive"), "gain must be a value of one row of 4 numbers; got 'drive: 1 of 6'"),
    "frame's width": (stage(2, frame="heard"), "(linear).frame must be a value of one row of 6 numbers; got 'heard: "),
    "plus' width": (stage(2, plus="x"), "stages[2] (linear).plus must be a value of 6 numbers; got 'x: 4'."),
    "gain alone": (stage(3, gain="drive"), "stages[3] (linear).gain must be absent where there is no in"),
    "neither in nor plus": (at("branches.0.stages.3.plus"), "stages[3] (linear) must be with in or plus; got "),
    "weight without in": (put("deform/face/3/weight", rows(6, 6)), "tensor deform/face/3/weight has no meaning"),
    "heads": (stage(0, heads=3), "stages[0] (attention).heads must be a divisor of 4, up to 64; got 3."),
    "no tokens": (stage(0, tokens=[]), "stages[0] (attention).tokens must be a list of 1 to 64 values; got []."),
    "token's width": (stage(0, tokens=["drive"]), "(attention).tokens must be a value of one row of 4 numbers; got "),
    "attention's weight": (drop("deform/face/0/key/weight"), "tensor deform/face/0/key/weight is missing"),
    "attention's bias": (put("deform/face/0/out/bias", rows(5)), "tensor deform/face/0/out/bias must be float32 [4]"),
    "epsilon": (stage(1, epsilon=0), "stages[1] (norm).epsilon must be a number > 0; got 0."),
    "gamma": (put("deform/face/1/gamma", rows(6)), "tensor deform/face/1/gamma must be float32 [4]; got float32 [6]."),
    "to": (stage(4, to="color"), "stages[4] (add).to must be one of ['log_scale', 'logit', 'mean', 'rotation', 'sh', "),
    "to twice": (stage(5, to="mean"), "stages[5] (add).to must be one of ['log_scale', 'logit', 'rotation', 'sh', "),
    "two scales": (stage(6, to="softplus_scale"), ".to must be one of ['logit', 'rotation', 'sh'], each once; got"),
    "sh's width": (put("deform/face/8/weight", rows(3, 6)), "tensor deform/face/8/weight must be float32 [12,6]; got "),
    "sh of one branch": (both(at("branches.1.stages.1"), drop("deform/mouth/1/weight")),
                         "manifest.deform.branches must be adding to \"sh\" all, or none of them"),
    "canonical missing": (drop("deform/face/canonical/log_scale"), "tensor deform/face/canonical/log_scale is missing; "
                          "it must be float32 [3,3]."),
    "canonical logits": (put("deform/face/canonical/logit", rows(3, 1)), "deform/face/canonical/logit must be float32 "
                         "[3]; got float32 [3, 1]."),
    "canonical of nothing": (put("deform/mouth/canonical/logit", rows(2)), "deform/mouth/canonical/logit has no"),
    "names": (of_input(1, "names", ["a", "b"]), "manifest.inputs[1] (eye).names must be 1 different texts"),
    "window": (of_input(0, "window", {**WINDOW, "before": 3}), "inputs[0] (audio).window must be (before + 1 + "
               "after) channels length = 24"),
    "window's key": (of_input(0, "window", {"before": 3}), "manifest.inputs[0] (audio).window lacks ['after', "),
    "window's count": (of_input(0, "window", {**WINDOW, "length": 0}), "(audio).window.length must be a count from 1"),
    "window elsewhere": (of_input(3, "window", WINDOW), "manifest.inputs[3] (place) must be with [] for target"),
    "shapes": (of_input(1, "shapes", [0]), "manifest.inputs[1] (eye) must be with [] for target deform"),
    "follows": (of_input(2, "follows", "gaze"), "manifest.inputs[2] (view).follows must be 'camera'; got 'gaze'."),
    "follows' size": (of_input(1, "follows", "camera"), "manifest.inputs[1] (eye).size must be 12 where it follows"),
    "encoder": (key("encoder", "mfcc"), "manifest.encoder must be null or one of ('deepspeech', 'hubert', 'esperanto'"),
    "look ahead": (key("look_ahead_ms", -1), "manifest.look_ahead_ms must be a number >= 0; got -1."),
    "look ahead of nothing": (key("encoder", None), "manifest.look_ahead_ms must be 0 without an encoder; got 280.0."),
}
# fmt: on


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str, tmp_path: Path) -> None:
    change, message = BAD[case]
    manifest, tensors = copy.deepcopy(avatar())
    change(manifest, tensors)
    with pytest.raises(AvatarInvalid) as error:
        spec.write(tmp_path / "a.tsplat", manifest, tensors)
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


def test_colours_are_rgb_or_coefficients(tmp_path: Path) -> None:
    manifest, tensors = avatar("rgb")
    manifest["deform"]["branches"][1]["stages"][1]["to"] = "sh"
    with pytest.raises(AvatarInvalid, match=r"branch mouth\.stages\[1\] \(add\)\.to must be one of \['color', "):
        spec.write(tmp_path / "a.tsplat", manifest, tensors)


def test_an_encoder_needs_an_input_for_its_features(tmp_path: Path) -> None:
    manifest, tensors = avatar()
    manifest["inputs"][0]["name"] = manifest["deform"]["condition"][0]["input"] = "sound"
    with pytest.raises(AvatarInvalid, match=r"manifest\.encoder must be null without an input \"audio\""):
        spec.write(tmp_path / "a.tsplat", manifest, tensors)
