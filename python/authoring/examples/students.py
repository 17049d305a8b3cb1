# SPDX-License-Identifier: Apache-2.0
"""The networks as pupils of the built-in head, and what each says of some of its Gaussians."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..methods.audio.module import AudioAttNet, AudioNet
from ..methods.embed_talk.module import EmbedTalk
from ..methods.gaussian_talker.config import NET
from ..methods.gaussian_talker.module import GaussianTalker
from ..methods.talking_gaussian.module import MotionNetwork, MouthMotionNetwork
from ..spec import Array
from . import recipes
from .head import Head
from .teacher import BLINK

Ear = tuple[AudioNet, AudioAttNet]
Said = dict[str, Tensor]  # "mean" [T,R,3] world units, "rotation" [T,R,4], "log_scale" [T,R,3], "logit" [T,R,1]


class Student(nn.Module, ABC):
    """A network with what it knows of each Gaussian by heart."""

    network: nn.Module
    audio: Ear

    @abstractmethod
    def say(self, rows: Tensor, window: Tensor, units: Tensor, rng: np.random.Generator) -> Said:
        """rows [R] of the Gaussians, window [T,8,n,1], units [T,6] -> what is added to them."""

    def coarse(self) -> list[nn.Parameter]:
        """Tables over space, which learn faster than layers: each entry has few Gaussians."""
        return []


class EmbedTalkStudent(Student):
    def __init__(self, knowledge: Array) -> None:
        """knowledge [N,32]: the embeddings."""
        super().__init__()
        self.network = EmbedTalk(recipes.EMBED_TALK)
        self.embedding = torch.tensor(knowledge, dtype=torch.float32)
        self.audio = (self.network.audio_net, self.network.audio_att_net)

    def say(self, rows: Tensor, window: Tensor, units: Tensor, rng: np.random.Generator) -> Said:
        out = self.network(self.embedding[rows], window, units)
        return {"mean": out.mean, "logit": out.logit}


class GaussianTalkerStudent(Student):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.network = GaussianTalker(recipes.GAUSSIAN_TALKER)
        net: Any = self.network.deformation_net
        self.mean = torch.tensor(recipes.GAUSSIAN_TALKER_WORLD.of(head.canonical.mean), dtype=torch.float32)
        net.tri_plane.grid.aabb.data = torch.tensor(recipes.GAUSSIAN_TALKER_BOX, dtype=torch.float32)
        self.audio = (net.audio_net, net.audio_att_net)
        for layer in net.shs_deform:  # the head's colours never change, which needs no training
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.weight).requires_grad_(False)
                nn.init.zeros_(layer.bias).requires_grad_(False)

    def say(self, rows: Tensor, window: Tensor, units: Tensor, rng: np.random.Generator) -> Said:
        camera = torch.tensor(recipes.cameras(len(window), rng), dtype=torch.float32)
        net: Any = self.network
        tokens = net.tokens(window, units[:, BLINK:] / 2, camera)
        hidden, _ = net.hidden(net.features(self.mean[rows]), tokens)
        heads = {"mean": "pos", "log_scale": "scales", "rotation": "rotations", "logit": "opacity"}
        return {to: getattr(net.deformation_net, f"{name}_deform")(hidden) for to, name in heads.items()}

    def coarse(self) -> list[nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if name.startswith(f"{NET}tri_plane.grid.grids")]


class FaceStudent(Student):
    """Its scales are activated by softplus, which is exp for scales as small as these, to a thousandth."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.network = MotionNetwork(recipes.TALKING_GAUSSIAN.face)
        self.mean = torch.tensor(recipes.TALKING_GAUSSIAN_WORLD.of(head.canonical.mean), dtype=torch.float32)
        self.audio = (self.network.audio_net, self.network.audio_att_net)

    def say(self, rows: Tensor, window: Tensor, units: Tensor, rng: np.random.Generator) -> Said:
        out = self.network(self.mean[rows], window, units)
        return {"mean": out.mean, "rotation": out.rotation, "log_scale": out.scale}

    def coarse(self) -> list[nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if name.endswith(".embeddings")]


class MouthStudent(Student):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.network = MouthMotionNetwork(recipes.TALKING_GAUSSIAN.mouth)
        self.mean = torch.tensor(recipes.TALKING_GAUSSIAN_WORLD.of(head.canonical.mean), dtype=torch.float32)
        self.audio = (self.network.audio_net, self.network.audio_att_net)

    def say(self, rows: Tensor, window: Tensor, units: Tensor, rng: np.random.Generator) -> Said:
        return {"mean": self.network(self.mean[rows], window)}

    def coarse(self) -> list[nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if name.endswith(".embeddings")]
