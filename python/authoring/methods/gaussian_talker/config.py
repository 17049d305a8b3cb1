# SPDX-License-Identifier: Apache-2.0
"""GaussianTalker's sizes and defaults, and the names of its weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..audio.config import AudioConfig, Shaped, audio_config_of, audio_shapes

NET = "deformation_net."  # what a state dict's names begin with
PLANES = ((0, 1), (0, 2), (1, 2))  # the axes of a level's planes; the first runs along a plane's rows
TOKENS = ("audio", "eye", "camera", "null")  # their order in the attention
CAMERA_SIZE = 12
# A head's name → what it adds to, and how many numbers that has. SH has three for each coefficient.
HEADS = {"pos": ("mean", 3), "scales": ("log_scale", 3), "rotations": ("rotation", 4), "opacity": ("logit", 1)}
SH_HEAD = "shs"
# Weights that no inference reads: heads of the coarse stage, and layers that were never wired.
UNUSED = (
    f"{NET}tri_plane.feature_out.", f"{NET}tri_plane.scales.", f"{NET}tri_plane.rotations.",
    f"{NET}tri_plane.opacity.", f"{NET}tri_plane.shs.", f"{NET}aud_ch_att_net.", f"{NET}eye_att_net.",
    f"{NET}enc_x_mlp.", "pos_poc", "rotation_scaling_poc", "opacity_poc",
)  # fmt: skip


@dataclass(frozen=True)
class GaussianTalkerConfig:
    """Defaults are those of both configurations that were released; their second has two layers."""

    resolutions: tuple[int, ...] = (64, 128)
    plane_channels: int = 32
    n_layer: int = 1
    n_head: int = 2
    ffn_hidden: int = 128
    net_width: int = 128
    token_hidden: int = 64
    dropout: float = 0.2  # in training
    norm_epsilon: float = 1e-12
    eye_waves: int = 16
    eye_base: float = 10000.0
    sh_degree: int = 3
    heads: tuple[str, ...] = ("pos", "scales", "rotations", "opacity", "shs")  # those that are applied
    audio: AudioConfig = field(default_factory=AudioConfig)

    @property
    def d_model(self) -> int:
        return self.plane_channels * len(self.resolutions)

    @property
    def n_coefficients(self) -> int:
        return (self.sh_degree + 1) ** 2


def config_of(
    state: Shaped, n_head: int = 2, heads: tuple[str, ...] = GaussianTalkerConfig.heads
) -> GaussianTalkerConfig:
    """The sizes that the weights of a state dict have; n_head and which heads are applied are not among them.

    Raises KeyError for a weight that is missing.
    """
    grid = f"{NET}tri_plane.grid.grids."
    resolutions = [state[f"{grid}0.0"].shape[-1]]
    while (name := f"{grid}{len(resolutions)}.0") in state:
        resolutions.append(state[name].shape[-1])
    n_layer = 0
    while f"{NET}transformer.layers.{n_layer}.norm1.gamma" in state:
        n_layer += 1
    coefficients = state[f"{NET}shs_deform.3.weight"].shape[0] // 3
    return GaussianTalkerConfig(
        resolutions=tuple(int(r) for r in resolutions),
        plane_channels=int(state[f"{grid}0.0"].shape[1]),
        n_layer=n_layer,
        n_head=n_head,
        ffn_hidden=int(state[f"{NET}transformer.layers.0.ffn.linear1.weight"].shape[0]),
        net_width=int(state[f"{NET}pos_deform.1.weight"].shape[0]),
        token_hidden=int(state[f"{NET}audio_mlp.net.0.weight"].shape[0]),
        eye_waves=int(state[f"{NET}eye_mlp.net.0.weight"].shape[1]) // 2,
        sh_degree=round(coefficients**0.5) - 1,
        heads=heads,
        audio=audio_config_of(state, NET),
    )


def shapes(config: GaussianTalkerConfig) -> dict[str, tuple[int, ...]]:
    """Name → shape of every weight that the result depends on."""
    d, width = config.d_model, config.net_width
    out: dict[str, tuple[int, ...]] = {"null_vector": (1, 1, d), "tri_plane.grid.aabb": (2, 3)}

    def linear(name: str, o: int, i: int) -> None:
        out[f"{name}.weight"], out[f"{name}.bias"] = (o, i), (o,)

    for level, r in enumerate(config.resolutions):
        for plane in range(len(PLANES)):
            out[f"tri_plane.grid.grids.{level}.{plane}"] = (1, config.plane_channels, r, r)
    for i in range(config.n_layer):
        layer = f"transformer.layers.{i}."
        for name in ("w_q", "w_k", "w_v", "w_concat"):
            linear(f"{layer}enc_dec_attention.{name}", d, d)
        linear(f"{layer}ffn.linear1", config.ffn_hidden, d)
        linear(f"{layer}ffn.linear2", d, config.ffn_hidden)
        for name in ("norm1", "norm2"):
            out[f"{layer}{name}.gamma"] = out[f"{layer}{name}.beta"] = (d,)
    for head, (_, size) in {**HEADS, SH_HEAD: ("sh", 3 * config.n_coefficients)}.items():
        linear(f"{head}_deform.1", width, d)
        linear(f"{head}_deform.3", size, width)
    for name, size in (("audio", config.audio.features), ("eye", 2 * config.eye_waves), ("cam", CAMERA_SIZE)):
        out[f"{name}_mlp.net.0.weight"] = (config.token_hidden, size)
        out[f"{name}_mlp.net.1.weight"] = (d, config.token_hidden)
    return {f"{NET}{name}": shape for name, shape in {**out, **audio_shapes(config.audio)}.items()}
