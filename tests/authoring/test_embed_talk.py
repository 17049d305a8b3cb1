# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk: its torch module is equation 9, and a folder of its weights becomes an avatar that moves as the module."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from authoring.makers import cloud_rows, ply_bytes
from reference.deform import deform_ref
from reference.pose import Posed
from reference.tsplat import read
from talksplat.authoring.convert import convert, detect_format
from talksplat.authoring.methods.audio.config import AudioConfig
from talksplat.authoring.methods.embed_talk.config import EmbedTalkConfig, config_of, shapes
from talksplat.errors import AvatarInvalid, AvatarNotFound

Array = np.ndarray[Any, Any]
N, EMBEDDING = 50, 32
SMALL = EmbedTalkConfig(width=16, audio=AudioConfig(channels=29, length=16))
NARROW = EmbedTalkConfig(embedding_waves=2, depth=2, width=8, audio=AudioConfig(channels=44, length=16))


def network(config: EmbedTalkConfig = SMALL) -> Any:
    torch = pytest.importorskip("torch", reason="EmbedTalk's network is trained with torch")
    from talksplat.authoring.methods.embed_talk.module import EmbedTalk

    torch.manual_seed(0)
    out = EmbedTalk(config).eval()
    with torch.no_grad():
        for parameter in out.parameters():
            parameter.mul_(1.5)  # as lively as after training
    return out


def controls(config: EmbedTalkConfig, frames: int = 3) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    audio = config.audio
    window = rng.normal(size=(frames, audio.frames, audio.channels, audio.length)).astype(np.float32)
    return window, rng.uniform(0, 5, (frames, 6)).astype(np.float32)


def deltas(net: Any, embedding: Array, window: Array, au: Array) -> tuple[Array, Array]:
    import torch

    wide = net.double()
    with torch.no_grad():
        out = wide(*(torch.tensor(x, dtype=torch.float64) for x in (embedding, window, au)))
    return out.mean.numpy(), out.logit.numpy()


def folder_of(path: Path, net: Any, rows: dict[str, Array], **more: Any) -> Path:
    import torch

    path.mkdir(exist_ok=True)
    (path / "point_cloud.ply").write_bytes(ply_bytes(rows))
    state = {name: value.float() for name, value in net.state_dict().items()}
    torch.save({**state, **more}, path / "deformation.pth")
    return path


def trained_rows(n: int = N, degree: int = 1) -> dict[str, Array]:
    rows = cloud_rows(n, degree)
    rng = np.random.default_rng(3)
    return rows | {f"embedding_{i}": rng.normal(size=n).astype(np.float32) for i in range(EMBEDDING)}


def test_names_of_weights_are_those_of_the_pattern() -> None:
    state = network().state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == shapes(SMALL)
    assert state["feature_out_c.0.weight"].shape == (16, 32 * 9 + 32 + 6 * 9)
    assert {"pos_deform_c.3.bias", "opacity_deform_c.1.weight", "audio_att_net.attentionNet.0.bias"} <= set(state)


@pytest.mark.parametrize("config", [SMALL, NARROW, EmbedTalkConfig()])
def test_sizes_are_read_from_the_weights(config: EmbedTalkConfig) -> None:
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes(config).items()}
    assert config_of(state, config.embedding, length=config.audio.length) == config


def test_a_first_layer_without_room_is_refused() -> None:
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes(SMALL).items()}
    with pytest.raises(ValueError, match=r"feature_out_c\.0\.weight must have a column .* got 374 columns"):
        config_of(state, 31, length=16)


def test_the_module_is_equation_nine() -> None:
    """gamma(z), then the sound, then gamma(e); each number itself, then sine and cosine at 1, 2, 4 and 8."""
    net = network()
    embedding = np.random.default_rng(2).normal(size=(5, EMBEDDING))
    window, au = controls(SMALL, 2)
    mean, logit = deltas(net, embedding, window, au)
    import torch

    from talksplat.authoring.methods.audio.module import encode_audio

    with torch.no_grad():
        heard = encode_audio(net.audio_net, net.audio_att_net, torch.tensor(window, dtype=torch.float64)).numpy()
    w = {name: value.numpy() for name, value in net.state_dict().items()}

    def gamma(x: Array) -> Array:
        return np.concatenate(
            [[v, *(f(v * 2.0**k) for k in range(4) for f in (np.sin, np.cos))] for v in x.astype(np.float64)]
        )

    for t in range(2):
        for i, z in enumerate(embedding):
            x = np.concatenate([gamma(z), heard[t], gamma(au[t])])
            x = np.maximum(w["feature_out_c.0.weight"] @ x + w["feature_out_c.0.bias"], 0)
            for head, said in (("pos", mean), ("opacity", logit)):
                h = np.maximum(w[f"{head}_deform_c.1.weight"] @ x + w[f"{head}_deform_c.1.bias"], 0)
                out = w[f"{head}_deform_c.3.weight"] @ h + w[f"{head}_deform_c.3.bias"]
                np.testing.assert_allclose(said[t, i], out, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("config", [SMALL, NARROW])
def test_a_folder_becomes_an_avatar_that_moves_as_the_module(config: EmbedTalkConfig, tmp_path: Path) -> None:
    net, rows = network(config), trained_rows()
    source = folder_of(tmp_path / "trained", net, rows)
    assert detect_format(source) == "e-d3dgs"
    path = convert(source, tmp_path / "a.tsplat")
    file, avatar = read(path), talksplat.load(path, threads=1)
    assert file.manifest["encoder"] == {29: "deepspeech", 44: "esperanto"}[config.audio.channels]
    assert file.manifest["look_ahead_ms"] == 280
    embedding = np.stack([rows[f"embedding_{i}"] for i in range(EMBEDDING)], 1)
    canonical = np.stack([rows[axis] for axis in "xyz"], 1).astype(np.float64)
    window, au = controls(config)
    mean, logit = deltas(net, embedding, window, au)
    mean, opacity = canonical + mean, 1 / (1 + np.exp(-(rows["opacity"][:, None] + logit)))
    order = file.tensors["gaussians/source_index"]
    start = Posed(np.zeros((0, 3)), *(file.f64(f"gaussians/{name}") for name in ("mean", "quat", "scale")))
    for t in range(len(window)):
        control = {"audio": window[t].ravel(), "au": au[t]}
        moved = deform_ref(file, start, control)
        np.testing.assert_allclose(moved.mean, mean[t, order], atol=2e-6)
        np.testing.assert_allclose(moved.opacity, opacity[t, order, 0], atol=2e-6)
        core = avatar.gaussians(control)
        np.testing.assert_allclose(core.mean, mean[t], atol=2e-5)
        np.testing.assert_allclose(core.opacity, opacity[t, :, 0], atol=2e-5)


def test_rows_that_are_not_finite_take_their_embeddings_along(tmp_path: Path) -> None:
    net, rows = network(), trained_rows(6)
    rows["y"][2] = np.inf
    path = convert(folder_of(tmp_path / "trained", net, rows), tmp_path / "a.tsplat", format="e-d3dgs")
    embedding = np.stack([rows[f"embedding_{i}"] for i in range(EMBEDDING)], 1)
    window, au = controls(SMALL, 1)
    mean, _ = deltas(net, embedding, window, au)
    said = talksplat.load(path, threads=1).gaussians({"audio": window[0].ravel(), "au": au[0]}).mean
    left = [0, 1, 3, 4, 5]
    canonical = np.stack([rows[axis] for axis in "xyz"], 1)
    np.testing.assert_allclose(said[left], (canonical + mean[0])[left], atol=2e-5)


def test_time_of_e_d3dgs_is_passed_over(tmp_path: Path) -> None:
    net = network()
    import torch

    extra = {"weight": torch.zeros(150, 256), "offsets": torch.zeros(30, 1)}
    convert(folder_of(tmp_path / "trained", net, trained_rows(), **extra), tmp_path / "a.tsplat")


def damaged(tmp_path: Path, change: Any, rows: dict[str, Array] | None = None) -> Path:
    """A folder whose state dict change() was applied to."""
    import torch

    source = folder_of(tmp_path / "trained", network(), rows or trained_rows())
    state = torch.load(source / "deformation.pth")
    change(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    (source / "deformation.pth").write_bytes(buffer.getvalue())
    return source


def without(name: str) -> Any:
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("pos_deform_c.3.bias"), r"lacks the weight pos_deform_c\.3\.bias"),
        (without("audio_net.encoder_conv.0.weight"), r"lacks the weight audio_net\.encoder_conv\.0\.weight"),
        (lambda s: s.update(scales_deform_c=s["pos_deform_c.3.bias"]), "has the weight 'scales_deform_c'"),
        (lambda s: s["opacity_deform_c.1.weight"].fill_(float("nan")), r"opacity_deform_c\.1\.weight must be finite"),
        (
            lambda s: s.update({"pos_deform_c.3.weight": s["pos_deform_c.3.weight"][:2]}),
            r"pos_deform_c\.3\.weight must be \[3, 16\]; got \[2, 16\]",
        ),
        (
            lambda s: s.update({"audio_net.encoder_conv.0.weight": s["audio_net.encoder_conv.0.weight"][:, :7]}),
            r"audio_net\.encoder_conv\.0\.weight must take the channels of .* got 7",
        ),
        (
            lambda s: [s.pop(n) for n in list(s) if "audio" in n] and s.update(weight=s["pos_deform_c.3.bias"]),
            "is moved by time and not by sound",
        ),
    ],
)
def test_wrong_weights_are_named(change: Any, message: str, tmp_path: Path) -> None:
    network()
    source = damaged(tmp_path, change)
    with pytest.raises(AvatarInvalid, match=message):
        convert(source, tmp_path / "a.tsplat", format="e-d3dgs")
    assert not (tmp_path / "a.tsplat").exists()


def test_a_cloud_without_embeddings_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "trained", network(), cloud_rows(4))
    with pytest.raises(AvatarInvalid, match="lacks the field embedding_0"):
        convert(source, tmp_path / "a.tsplat", format="e-d3dgs")


def test_a_gap_among_the_embeddings_is_named(tmp_path: Path) -> None:
    rows = trained_rows(4)
    del rows["embedding_7"]
    source = folder_of(tmp_path / "trained", network(), rows)
    with pytest.raises(AvatarInvalid, match="lacks the field embedding_7"):
        convert(source, tmp_path / "a.tsplat", format="e-d3dgs")


def test_a_folder_without_a_network_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "point_cloud.ply").write_bytes(ply_bytes(trained_rows(4)))
    with pytest.raises(AvatarNotFound, match=r"deformation\.pth"):
        convert(tmp_path, tmp_path / "a.tsplat", format="e-d3dgs")
