# SPDX-License-Identifier: Apache-2.0
"""The trainable modules: the original networks' numbers from the original networks' weights, and their gradients."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from authoring.golden_methods import FUSED, TALKER, Case, case, part

torch = pytest.importorskip("torch", reason="the trainable modules need torch")

from talksplat.authoring.methods.audio.config import AudioConfig, audio_config_of, lengths  # noqa: E402
from talksplat.authoring.methods.audio.module import AudioNet, encode_audio  # noqa: E402
from talksplat.authoring.methods.gaussian_talker import config as talker_config  # noqa: E402
from talksplat.authoring.methods.gaussian_talker.module import GaussianTalker, eye_encoding  # noqa: E402
from talksplat.authoring.methods.talking_gaussian import config as fused_config  # noqa: E402
from talksplat.authoring.methods.talking_gaussian.module import GridEncoder, TalkingGaussian  # noqa: E402

torch.set_num_threads(1)


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture(scope="module", params=TALKER)
def talker(request: pytest.FixtureRequest, shared_dir: Path) -> tuple[Any, Case]:
    golden = case(shared_dir, "gaussian_talker", request.param)
    module = GaussianTalker(talker_config.config_of(golden.weights)).eval()
    module.load_state_dict(tensors(golden.weights))
    return module, golden


@pytest.fixture(scope="module", params=FUSED)
def fused(request: pytest.FixtureRequest, shared_dir: Path) -> tuple[Any, Case]:
    golden = case(shared_dir, "talking_gaussian", request.param)
    face, mouth = (tensors(part(golden.weights, prefix)) for prefix in ("face.", "mouth."))
    length = golden.io["in_aud_window"].shape[-1]
    module = TalkingGaussian(
        fused_config.TalkingGaussianConfig(
            fused_config.face_config_of(face, length=length), fused_config.mouth_config_of(mouth, length=length)
        )
    ).eval()
    module.face.load_state_dict(face)
    module.mouth.load_state_dict(mouth)
    return module, golden


def close(found: Any, expected: np.ndarray, atol: float) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=atol)


def test_gaussian_talker_is_the_original(talker: tuple[Any, Case]) -> None:
    module, (io, _) = talker
    audio, eye, camera = (
        torch.from_numpy(io[f"in_{name}"]) for name in ("aud_window", "eye", "cam_feature")
    )  # fmt: skip
    features = module.features(torch.from_numpy(io["in_xyz"]))
    close(features, io["mid_enc_x"], 1e-5)
    close(eye_encoding(eye, module.config), io["mid_enc_eye"], 1e-6)
    tokens = module.tokens(audio, eye, camera)
    close(tokens, io["mid_tokens"], 1e-5)
    hidden, attention = module.hidden(features, tokens)
    close(hidden[0], io["mid_hidden_frame0"], 2e-5)
    close(attention, io["out_attention"], 2e-5)
    deltas = module(torch.from_numpy(io["in_xyz"]), audio, eye, camera)
    close(deltas.mean, io["out_xyz"] - io["in_xyz"], 1e-5)
    close(deltas.log_scale, io["out_scaling_raw"] - io["in_scaling"], 1e-5)
    close(deltas.rotation, io["out_rotation_raw"] - io["in_rotation"], 1e-5)
    close(deltas.logit, io["out_opacity_raw"] - io["in_opacity"], 1e-5)
    close(deltas.sh[1], io["out_shs_frame1"] - io["in_features"], 1e-5)


def test_heads_that_are_switched_off_add_nothing(talker: tuple[Any, Case]) -> None:
    whole, (io, weights) = talker
    module = GaussianTalker(talker_config.config_of(weights, heads=("pos",))).eval()
    module.load_state_dict(tensors(weights))
    control = [torch.from_numpy(io[f"in_{name}"]) for name in ("aud_window", "eye", "cam_feature")]
    deltas = module(torch.from_numpy(io["in_xyz"]), *control)
    assert deltas[1:] == (None,) * 4
    torch.testing.assert_close(deltas.mean, whole(torch.from_numpy(io["in_xyz"]), *control).mean)


def test_talking_gaussian_is_the_original(fused: tuple[Any, Case]) -> None:
    module, (io, _) = fused
    audio, au = torch.from_numpy(io["in_aud_window"]), torch.from_numpy(io["in_au_exp"])
    for name in ("face", "mouth"):
        network = getattr(module, name)
        close(network.features(torch.from_numpy(io[f"in_{name}_xyz"])), io[f"mid_enc_x_{name}"], 2e-5)
        close(network.hear(audio), io["mid_enc_a"][:, ("face", "mouth").index(name)], 1e-5)
    deltas = module.face(torch.from_numpy(io["in_face_xyz"]), audio, au)
    close(deltas.mean, io["out_face_d_xyz"], 1e-6)
    close(deltas.rotation, io["out_face_d_rot"], 1e-5)
    close(deltas.logit, io["out_face_d_opa"], 1e-5)
    close(deltas.scale, io["out_face_d_scale"], 1e-5)
    raw = torch.from_numpy(io["in_face_scaling"]) + deltas.scale
    close(torch.nn.functional.softplus(raw), io["out_face_scales"], 1e-5)
    close(module.mouth(torch.from_numpy(io["in_mouth_xyz"]), audio), io["out_mouth_d_xyz"], 1e-6)


@pytest.mark.parametrize("part_of", ["face", "mouth"])
def test_levels_are_the_originals(part_of: str, shared_dir: Path) -> None:
    golden = case(shared_dir, "talking_gaussian", "a_deepspeech")
    grid = getattr(fused_config.TalkingGaussianConfig(), part_of).grid
    levels = fused_config.levels_of(grid)
    expected = golden.io[f"{part_of}_levels"]
    found = [(level.scale, level.side - 1, level.entries, level.offset) for level in levels]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.diff(golden.weights[f"{part_of}.encoder_xy.offsets"]), expected[:, 2])


def test_gradients_reach_every_weight() -> None:
    torch.manual_seed(0)
    audio, au = torch.randn(2, 8, 29, 16), torch.rand(2, 6)
    mean = torch.rand(40, 3) * 0.3 - 0.15
    talker = GaussianTalker(talker_config.GaussianTalkerConfig(resolutions=(5, 9), n_layer=2)).train()
    moved = talker(mean, audio, torch.rand(2, 1), torch.randn(2, 12))
    sum((delta**2).sum() for delta in moved).backward()
    fused = TalkingGaussian()
    face = fused.face(mean, audio, au)
    (sum((delta**2).sum() for delta in face) * 1e6 + (fused.mouth(mean, audio) ** 2).sum() * 1e6).backward()
    for module in (talker, fused):
        for name, weight in module.named_parameters():
            if weight.requires_grad:
                assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_the_grids_gradient_is_the_true_one() -> None:
    torch.manual_seed(1)
    encoder = GridEncoder(fused_config.GridConfig(4, 6, levels=3)).double()
    u = torch.rand(20, 2, dtype=torch.float64)
    u[0] = 1.5
    table = encoder.embeddings.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda table: torch.func.functional_call(encoder, {"embeddings": table}, (u,)), (table,)
    )
    assert not encoder(u)[0].any()


def test_sizes_of_an_audio_encoder_come_back() -> None:
    config = AudioConfig(channels=5, length=4, before=2, after=1, widths=(6, 7), hidden=8, features=9,
                         attention_widths=(3, 1))  # fmt: skip
    net = torch.nn.Module()
    from talksplat.authoring.methods.audio.module import AudioAttNet

    net.audio_net, net.audio_att_net = AudioNet(config), AudioAttNet(config)
    assert audio_config_of(net.state_dict(), length=4) == config
    assert encode_audio(net.audio_net, net.audio_att_net, torch.zeros(2, 4, 5, 4)).shape == (2, 9)


def test_steps_that_do_not_shrink_to_one_are_refused() -> None:
    assert lengths(AudioConfig(length=2)) == [1, 1, 1, 1]
    with pytest.raises(ValueError, match=r"4 convolutions of stride 2 must leave one of 17 steps; they leave 2"):
        AudioNet(AudioConfig(length=17))
