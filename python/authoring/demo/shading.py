# SPDX-License-Identifier: Apache-2.0
"""Light baked into the colours: three soft lights, sky and bounce, occlusion and shadows through the solids' distances.

Albedos are sRGB; light is added up in linear values, and the sum is turned back into sRGB.
"""

from __future__ import annotations

import numpy as np

from ..spec import Array
from . import hair, head
from .sdf import smoothstep, unit

VIEW = np.array([0.0, -10.0, 1150.0])  # where the camera is
KEY = unit(np.array([-0.50, 0.62, 0.72]))
FILL = unit(np.array([0.80, 0.05, 0.60]))
RIM = unit(np.array([0.80, 0.45, -0.55]))
BACK = unit(np.array([-0.85, 0.35, -0.50]))
KEY_LIGHT = np.array([1.02, 0.93, 0.82]) * 0.84
FILL_LIGHT = np.array([0.96, 0.90, 0.92]) * 0.31
RIM_LIGHT = np.array([0.92, 0.96, 1.00]) * 1.25
BACK_LIGHT = np.array([1.00, 0.80, 0.62]) * 0.55
SKY = np.array([0.97, 0.96, 0.98]) * 0.27
GROUND = np.array([1.00, 0.76, 0.64]) * 0.24
WRAP = np.array([0.42, 0.26, 0.20])  # how far light creeps round skin: red goes farthest


def linear(x: Array) -> Array:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def srgb(x: Array) -> Array:
    x = np.clip(x, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)


def scene(p: Array) -> Array:
    covered = head.skin(p) - hair.thickness(p)
    out: Array = np.minimum(covered, np.minimum(head.neck(p), head.torso(p)))
    return out


def occlusion(p: Array, normal: Array) -> Array:
    """1 in the open; distances along the normal that fall short mean something is near."""
    short = np.zeros(p.shape[:-1])
    for step, weight in ((2.0, 0.20), (5.0, 0.15), (11.0, 0.11), (22.0, 0.055), (40.0, 0.02)):
        short = short + weight * np.clip((step - scene(p + normal * step)) / step, 0, 1.4)
    return 0.22 + 0.78 * np.clip(1 - 1.4 * short, 0, 1)


def shadow(p: Array, normal: Array, light: Array, softness: float = 7.0) -> Array:
    """Share of the light that arrives."""
    seen = np.ones(p.shape[:-1])
    start = p + normal * 2.5
    t = np.full(p.shape[:-1], 3.0)
    for _ in range(22):
        d = scene(start + t[..., None] * light)
        seen = np.minimum(seen, np.clip(0.5 + 0.5 * softness * d / t, 0, 1))
        t = np.minimum(t + np.clip(d, 2.0, 18.0), 220.0)
    return 0.06 + 0.94 * smoothstep(seen, 0.0, 1.0)


def wrapped(normal: Array, light: Array, wrap: Array) -> Array:
    """[...,3] diffuse light that goes round the terminator by wrap."""
    facing = (normal @ light)[..., None]
    out: Array = np.maximum(0, (facing + wrap) / (1 + wrap)) ** 1.15
    return out


def shade(p: Array, normal: Array, look: dict[str, Array], soft: float) -> Array:
    """sRGB colours of albedo and gloss at p; soft is how much light goes under the surface."""
    albedo, wrap = linear(look["albedo"]), WRAP * soft
    ao = occlusion(p, normal)[..., None]
    key_seen = shadow(p, normal, KEY)[..., None]
    tint = np.array([0.62, 1.0, 1.12]) * soft + (1 - soft)  # what is left in the shade is red
    ao_c, key_c = ao**tint, key_seen**tint
    up = 0.5 + 0.5 * normal[..., 1:2]
    view = unit(VIEW - p)
    facing = np.clip((normal * view).sum(-1), 0, 1)[..., None]
    edge = (1 - facing) ** (1.5 + 2.5 * soft)
    light = (SKY * up + GROUND * (1 - up)) * ao_c * 1.35
    light = light + KEY_LIGHT * key_c * (0.35 + 0.65 * ao_c) * wrapped(normal, KEY, wrap)
    light = light + FILL_LIGHT * ao_c * wrapped(normal, FILL, wrap)
    light = light + RIM_LIGHT * (1 - 0.72 * soft) * edge * wrapped(normal, RIM, wrap) * ao
    light = light + BACK_LIGHT * (1 - 0.70 * soft) * edge * wrapped(normal, BACK, wrap) * ao
    out = albedo * light
    gloss = np.asarray(look.get("gloss", np.zeros(p.shape[:-1])))[..., None]
    for direction, color, seen in ((KEY, KEY_LIGHT, key_c), (FILL, FILL_LIGHT, ao)):
        middle = unit(direction + view)
        shine = np.clip((normal * middle).sum(-1), 0, 1)[..., None]
        out = out + gloss * color * seen * (0.05 * shine**12 + 0.19 * shine**50)
    out = out * 1.12
    out = np.where(out > 0.65, 0.65 + 0.35 * np.tanh((out - 0.65) / 0.35), out)
    return srgb(out)


def strand_shade(p: Array, along: Array, normal: Array, albedo: Array) -> Array:
    """Hair: Kajiya and Kay's strands, 1989, on top of the soft light of the surface they lie on."""
    base = linear(albedo)
    ao = np.sqrt(occlusion(p, normal))[..., None]  # light trickles through hair
    key_seen = 0.3 + 0.7 * shadow(p, normal, KEY, 5.0)[..., None]
    view = unit(VIEW - p)
    up = 0.5 + 0.5 * normal[..., 1:2]
    facing = np.clip((normal * view).sum(-1), 0, 1)[..., None]
    light = (SKY * up + GROUND * (1 - up)) * ao * 1.5
    light = light + KEY_LIGHT * key_seen * wrapped(normal, KEY, np.full(3, 0.35)) * 1.1
    light = light + FILL_LIGHT * ao * wrapped(normal, FILL, np.full(3, 0.3))
    out = base * light
    lights = ((KEY, KEY_LIGHT, key_seen), (RIM, RIM_LIGHT * 0.7, ao), (BACK, BACK_LIGHT * 0.8, ao))
    for direction, color, seen in lights:
        middle = unit(direction + view)
        sine = np.sqrt(np.clip(1 - ((along * middle).sum(-1)) ** 2, 0, 1))[..., None]
        lit = smoothstep(normal @ direction, -0.15, 0.5)[..., None]
        shine = 0.030 * sine**90 * base**0.25 + 0.42 * sine**18 * base**1.5
        out = out + color * seen * lit * shine
    out = out + RIM_LIGHT * 0.16 * (1 - facing) ** 3 * wrapped(normal, RIM, np.full(3, 0.2)) * np.sqrt(base)
    return srgb(out * 1.1)
