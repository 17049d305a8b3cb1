# SPDX-License-Identifier: Apache-2.0
"""TalkingGaussian's sizes and defaults, its grids, and the names of its weights."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace

from ..audio.config import AudioConfig, Shaped, audio_config_of, audio_shapes

PLANES = {"xy": (0, 1), "yz": (1, 2), "xz": (0, 2)}  # in the features' order; the first axis runs along the rows
AU_NAMES = ("AU01", "AU04", "AU05", "AU06", "AU07", "AU45")  # the order of the input "au"
UNUSED_OF_MOUTH = "aud_ch_att_net."  # the mouth's network has it and never runs it
POSITION_SCALE = 0.01
MOUTH_SCALE = (POSITION_SCALE / 5, POSITION_SCALE, POSITION_SCALE / 5)  # x and z move less
ENTRIES_TO = 8  # the entries of a level are a multiple


@dataclass(frozen=True)
class GridConfig:
    """Planes of `levels` square grids with one number at each node; bound: half the side of the box that has any."""

    base: float
    desired: float  # the last level's resolution; the mouth's is lower than the first's
    levels: int = 12
    bound: float = 0.15

    @property
    def size(self) -> int:
        """Features of a position."""
        return len(PLANES) * self.levels


@dataclass(frozen=True)
class Level:
    """scale: nodes along the box, less one; side: nodes along a row; offset: where its entries begin in the plane's."""

    scale: float
    side: int
    entries: int
    offset: int


@dataclass(frozen=True)
class FaceConfig:
    grid: GridConfig = field(default_factory=lambda: GridConfig(16, 256 * 0.15))
    audio: AudioConfig = field(default_factory=AudioConfig)
    audio_hidden: int = 32
    au_hidden: int = 16
    hidden: int = 64
    outputs: int = 11  # position 3, rotation 4, opacity 1 that nothing uses, scale 3


@dataclass(frozen=True)
class MouthConfig:
    grid: GridConfig = field(default_factory=lambda: GridConfig(64, 384 * 0.15))
    audio: AudioConfig = field(default_factory=AudioConfig)
    hidden: int = 32
    outputs: int = 3


@dataclass(frozen=True)
class TalkingGaussianConfig:
    face: FaceConfig = field(default_factory=FaceConfig)
    mouth: MouthConfig = field(default_factory=MouthConfig)
    sh_degree: int = 2


def levels_of(grid: GridConfig) -> list[Level]:
    """The grid's levels, dense: none of them is as large as the hash table of 2^17 entries that they could be in."""
    ratio = math.log2(grid.desired / grid.base) / (grid.levels - 1)
    out: list[Level] = []
    offset = 0
    for i in range(grid.levels):
        scale = grid.base * 2.0 ** (i * ratio) - 1.0
        side = math.ceil(scale) + 2
        entries = -(-side * side // ENTRIES_TO) * ENTRIES_TO
        out.append(Level(scale, side, entries, offset))
        offset += entries
    return out


def face_config_of(state: Shaped, prefix: str = "", length: int = 16) -> FaceConfig:
    """The sizes that the face's weights have; a grid's resolutions are not among them. Raises KeyError."""
    config = FaceConfig()
    return replace(
        config,
        grid=replace(config.grid, levels=int(state[f"{prefix}encoder_xy.offsets"].shape[0]) - 1),
        audio=audio_config_of(state, prefix, length),
        audio_hidden=int(state[f"{prefix}aud_ch_att_net.net.0.weight"].shape[0]),
        au_hidden=int(state[f"{prefix}eye_att_net.net.0.weight"].shape[0]),
        hidden=int(state[f"{prefix}sigma_net.net.0.weight"].shape[0]),
    )


def mouth_config_of(state: Shaped, prefix: str = "", length: int = 16) -> MouthConfig:
    """As face_config_of(), of the mouth's."""
    config = MouthConfig()
    return replace(
        config,
        grid=replace(config.grid, levels=int(state[f"{prefix}encoder_xy.offsets"].shape[0]) - 1),
        audio=audio_config_of(state, prefix, length),
        hidden=int(state[f"{prefix}sigma_net.net.0.weight"].shape[0]),
    )


def face_shapes(config: FaceConfig) -> dict[str, tuple[int, ...]]:
    """Name → shape of every weight that the face's result depends on."""
    n, au, features = config.grid.size, len(AU_NAMES), config.audio.features
    mlps = {
        "aud_ch_att_net": (n, config.audio_hidden, features),
        "eye_att_net": (n, config.au_hidden, au),
        "exp_encode_net": (au - 1, config.au_hidden, au - 1),
        "sigma_net": (n + features + au, config.hidden, config.hidden, config.outputs),
    }
    return {**audio_shapes(config.audio), **_grid_shapes(config.grid), **_mlp_shapes(mlps)}


def mouth_shapes(config: MouthConfig) -> dict[str, tuple[int, ...]]:
    """As face_shapes(), of the mouth."""
    sigma = (config.grid.size + config.audio.features, config.hidden, config.hidden, config.outputs)
    return {**audio_shapes(config.audio), **_grid_shapes(config.grid), **_mlp_shapes({"sigma_net": sigma})}


def _grid_shapes(grid: GridConfig) -> dict[str, tuple[int, ...]]:
    entries = sum(level.entries for level in levels_of(grid))
    out: dict[str, tuple[int, ...]] = {}
    for plane in PLANES:
        out[f"encoder_{plane}.embeddings"] = (entries, 1)
        out[f"encoder_{plane}.offsets"] = (grid.levels + 1,)
    return out


def _mlp_shapes(mlps: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.net.{i}.weight": (o, inner)
        for name, widths in mlps.items()
        for i, (inner, o) in enumerate(itertools.pairwise(widths))
    }
