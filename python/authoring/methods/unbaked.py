# SPDX-License-Identifier: Apache-2.0
"""The network of an avatar as torch runs it, unbaked, in the avatar's sizes: what a fused program is compared with.

Weights are random: they were folded when the avatar was made, and how long a network takes does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .audio.config import AudioConfig
from .gaussian_talker.config import GaussianTalkerConfig


def unbaked(manifest: Mapping[str, Any], tensors: Mapping[str, Any], threads: int) -> Callable[[], None] | None:
    """A call that runs one frame of the torch module, on so many threads; None for other methods.

    Raises ImportError where torch is not installed.
    """
    import torch

    maker, n_branches = _MAKERS.get(manifest["method"], (None, 0))
    if maker is None or len(manifest["deform"].get("branches", ())) != n_branches:
        return None
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    window = next(i["window"] for i in manifest["inputs"] if "window" in i)
    audio = AudioConfig(**window)
    frame = maker(manifest, tensors, audio, torch.randn(1, audio.frames, audio.channels, audio.length))

    def run() -> None:
        with torch.inference_mode():
            frame()

    return run


def _embed_talk(manifest: Mapping[str, Any], tensors: Mapping[str, Any], config: AudioConfig, audio: Any) -> Any:
    import torch

    from .embed_talk.config import EmbedTalkConfig
    from .embed_talk.module import EmbedTalk

    (branch,) = manifest["deform"]["branches"]
    width = tensors[f"deform/{branch['name']}/static/{branch['static'][0]}"].shape[1]
    net = EmbedTalk(EmbedTalkConfig(width=width, audio=config)).eval()
    embedding, au = torch.randn(branch["rows"], net.config.embedding), torch.rand(1, 6)
    return lambda: net(embedding, audio, au)


def _gaussian_talker(manifest: Mapping[str, Any], tensors: Mapping[str, Any], config: AudioConfig, audio: Any) -> Any:
    import torch

    from .gaussian_talker.module import GaussianTalker

    (branch,) = manifest["deform"]["branches"]
    layers = sum(stage["kind"] == "attention" for stage in branch["stages"])
    d = tensors[f"deform/{branch['name']}/static/{branch['static'][0]}"].shape[1]
    usual = GaussianTalkerConfig()
    net = GaussianTalker(
        replace(usual, n_layer=layers, plane_channels=d // len(usual.resolutions), audio=config,
                sh_degree=int(manifest["color"][2:]))
    ).eval()  # fmt: skip
    mean, eye, camera = torch.rand(branch["rows"], 3) - 0.5, torch.rand(1, 1), torch.randn(1, 12)
    return lambda: net(mean, audio, eye, camera)


def _talking_gaussian(manifest: Mapping[str, Any], tensors: Mapping[str, Any], config: AudioConfig, audio: Any) -> Any:
    import torch

    from .talking_gaussian.config import FaceConfig, MouthConfig
    from .talking_gaussian.module import MotionNetwork, MouthMotionNetwork

    n_face, n_mouth = (branch["rows"] for branch in manifest["deform"]["branches"])
    face, mouth = MotionNetwork(FaceConfig(audio=config)).eval(), MouthMotionNetwork(MouthConfig(audio=config)).eval()
    of_face, of_mouth = 0.2 * torch.rand(n_face, 3) - 0.1, 0.1 * torch.rand(n_mouth, 3) - 0.05
    au = torch.rand(1, 6)

    def frame() -> None:
        face(of_face, audio, au)
        mouth(of_mouth, audio)

    return frame


_MAKERS: dict[str, tuple[Callable[..., Any], int]] = {  # and how many branches the method has
    "embedtalk": (_embed_talk, 1),
    "gaussian-talker": (_gaussian_talker, 1),
    "talking-gaussian": (_talking_gaussian, 2),
}
