# SPDX-License-Identifier: Apache-2.0
"""The scenes that benches draw: a synthetic head in 30,000 to 100,000 Gaussians, the same on every machine.

A face shell, a hair cap, floaters inside, and shoulders. Earlier measurements were made with a C++ generator; its
numbers (std::mt19937 seeded with 1234, libstdc++'s distributions) are drawn again here, equal to 6e-7.
"""

from typing import Any

import numpy as np

from reference.scenes import Scene, View

SEED = 1234
SIZE = 512
BACKGROUND = np.float32([0.1, 0.2, 0.1])
F = np.float32
SHELL, HAIR, FLOATERS, SHOULDERS = range(4)
PART_ENDS = [float(F(end)) for end in (0.70, 0.85, 0.93)]  # shares of the parts, added up
AXES = np.array([0.72, 1.0, 0.80], F)  # half axes of the skull
WIDENING = np.array([1.0, 1.3, 1.6, 1.8], F)  # of each part's splats


def head_view() -> View:
    """The prototype's camera: its centre 255.5 counts pixels from their middles, ours from their corners."""
    cam_from_world = np.eye(4, dtype=np.float32)
    cam_from_world[:3, 3] = [0, -0.15, 5]
    focal = 1.9 * SIZE
    return View(cam_from_world, focal, focal, SIZE / 2, SIZE / 2, SIZE, SIZE)


def head_sh_scene(n: int) -> Scene:
    """The head with degree-3 coefficients around its colours."""
    scene = head_scene(n)
    rng = np.random.default_rng(SEED)
    sh = rng.normal(size=(n, 16, 3), scale=0.05).astype(np.float32)
    sh[:, 0] = (scene.colors - 0.5) / 0.28209479177387814
    return Scene(scene.means, scene.quats, scene.scales, scene.opacities, sh, sh_degree=3)


def arguments(scene: Scene, view: View) -> dict[str, Any]:
    """For talksplat.rasterize(**arguments(...))."""
    return {
        "means": scene.means,
        "quats": scene.quats,
        "scales": scene.scales,
        "opacities": scene.opacities,
        "colors": scene.colors,
        "viewmat": view.cam_from_world,
        "K": view.K,
        "width": view.width,
        "height": view.height,
        "sh_degree": scene.sh_degree,
    }


# ---- random numbers, as libstdc++ draws them ----

MOST_WORDS = 40  # for one Gaussian; about 20 on average

# Columns of what a Gaussian draws. Not every part draws them all.
N_DIRECTION, N_SHAPE, N_SCALE, N_TINT, N_COLUMNS = slice(0, 3), 3, slice(4, 7), slice(7, 10), 10
U_PART, U_SHAPE, U_SPIN, U_OPACITY_CLASS, U_OPACITY, U_COLUMNS = 0, slice(1, 3), 3, 4, slice(5, 7), 7


def draw_numbers(n: int) -> tuple[np.ndarray, np.ndarray]:
    """normal [n,10] and uniform [n,7], float32."""
    words = np.random.RandomState(SEED).randint(0, 2**32, size=MOST_WORDS * n + 1000, dtype=np.uint32)
    # uniform_real_distribution: a word over 2^32, kept below 1.
    uniform = np.minimum(words.astype(F) / F(2**32), np.nextafter(F(1), F(0)))
    # normal_distribution: Marsaglia's polar method on words i and i + 1. The product with y is returned at once, that
    # with x by the next call.
    x, y = F(2) * uniform[:-1] - F(1), F(2) * uniform[1:] - F(1)
    r2 = x * x + y * y
    accepted = (r2 <= 1) & (r2 != 0)
    r2 = np.where(accepted, r2, F(1))
    factor = np.sqrt(F(-2) * in_float64(np.log, r2) / r2)
    # Where the search that starts at word i ends; rejected pairs are two words long.
    found = np.where(accepted, np.arange(len(r2)), len(r2))
    for parity in (0, 1):
        found[parity::2] = np.minimum.accumulate(found[parity::2][::-1])[::-1]
    normal_at, uniform_at = positions(n, uniform.tolist(), found.tolist())
    return np.where(normal_at >= 0, (y * factor)[normal_at], (x * factor)[~normal_at]), uniform[uniform_at]


def positions(n: int, uniform: list[float], found: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Each number's word, ~word where it is the kept one of a pair. Where a draw lies depends on all before it."""
    word, kept = 0, -1
    normal_at, uniform_at = [], []

    def normals(count: int) -> list[int]:
        nonlocal word, kept
        at = []
        for _ in range(count):
            if kept >= 0:
                at.append(~kept)
                kept = -1
            else:
                kept = found[word]
                at.append(kept)
                word = kept + 2
        return at

    def uniforms(count: int) -> list[int]:
        nonlocal word
        word += count
        return list(range(word - count, word))

    for _ in range(n):
        u = uniforms(1)
        part = sum(uniform[u[0]] >= end for end in PART_ENDS)
        m = normals(3)
        u += uniforms(2) if part == SHOULDERS else uniforms(1) * 2 if part == FLOATERS else [0, 0]
        m += [0] if part == FLOATERS else normals(1)
        u += uniforms(1)
        m += normals(6)
        u += uniforms(1)
        u += uniforms(2) if uniform[u[-1]] < F(0.45) else uniforms(1) * 2
        normal_at.append(m)
        uniform_at.append(u)
    return np.array(normal_at).reshape(n, N_COLUMNS), np.array(uniform_at).reshape(n, U_COLUMNS)


def in_float64(function: Any, x: np.ndarray) -> np.ndarray:
    """As a C library's float function: nearly always right to the last bit, unlike numpy's own float32 ones."""
    return function(x.astype(np.float64)).astype(F)


# ---- the head ----


def head_scene(n: int, size: float = 1.2) -> Scene:
    """n Gaussians; `size` multiplies their scales."""
    normal, uniform = draw_numbers(n)
    part = (uniform[:, U_PART, None] >= np.array(PART_ENDS, F)).sum(1)
    means, facing = places(part, normal, uniform)
    spread = np.sqrt(F(4.5) / F(n)) * F(size) * WIDENING[part] * in_float64(np.exp, F(0.5) * normal[:, 4])
    stretch = in_float64(np.exp, F(0.45) * normal[:, 5])
    thin = spread * F(0.25) * in_float64(np.exp, F(0.3) * normal[:, 6])
    return Scene(
        means,
        turns(facing, uniform[:, U_SPIN]),
        np.stack([spread * stretch, spread / stretch, thin], axis=1),
        opacities(uniform),
        tints(means, normal[:, N_TINT]),
    )


def places(part: np.ndarray, normal: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """means [n,3] and what the splats face, [n,3], not yet normalised."""
    v = normal[:, N_DIRECTION].copy()
    v /= length(v)
    v[part == SHELL, 2] = -np.abs(v[part == SHELL, 2])
    v[part == HAIR, 1] = -np.abs(v[part == HAIR, 1])
    shape, first, second = normal[:, N_SHAPE], *uniform[:, U_SHAPE].T
    thickness = np.choose(
        part, [F(1) + F(0.02) * shape, F(1.08) + F(0.06) * shape, F(0.5) + F(0.4) * first, np.ones_like(shape)]
    )
    means = AXES * v * thickness[:, None]
    x = (first * F(2) - F(1)) * F(1.3)
    shoulders = np.stack(
        [x, F(1) + F(0.35) * second + F(0.15) * x * x, F(-0.3) + F(0.3) * x * x + F(0.02) * shape], axis=1
    )
    means = np.where((part == SHOULDERS)[:, None], shoulders, means)
    v[part == SHOULDERS] = np.array([0, -0.3, -0.95], F)
    return means, v / AXES


def turns(facing: np.ndarray, spin: np.ndarray) -> np.ndarray:
    """Quaternions that take z to `facing`, after a spin about z."""
    nx, ny, nz = (facing / length(facing)).T
    w, x, y = F(1) + nz, -ny, nx
    opposite = w < 1e-4
    w, x, y = np.where(opposite, F(0), w), np.where(opposite, F(1), x), np.where(opposite, F(0), y)
    norm = np.sqrt(w * w + x * x + y * y)
    w, x, y = w / norm, x / norm, y / norm
    half = spin * F(6.2831853) / F(2)
    c, s = in_float64(np.cos, half), in_float64(np.sin, half)
    return np.stack([w * c, x * c + y * s, y * c - x * s, w * s], axis=1)


def tints(means: np.ndarray, noise: np.ndarray) -> np.ndarray:
    x, y = means[:, 0], means[:, 1]
    phase = np.stack([F(7) * x, F(9) * y, F(5) * x + F(6) * y], axis=1)
    base = np.array([0.55, 0.42, 0.35], F)
    return np.clip(base + F(0.2) * in_float64(np.sin, phase) + F(0.08) * noise, F(0), F(1))


def opacities(uniform: np.ndarray) -> np.ndarray:
    """Many faint, some middling, a fifth nearly opaque."""
    kind, (first, second) = uniform[:, U_OPACITY_CLASS], uniform[:, U_OPACITY].T
    faint = F(0.02) + F(0.35) * first * second
    return np.where(kind < F(0.45), faint, np.where(kind < F(0.8), F(0.2) + F(0.6) * first, F(0.8) + F(0.19) * first))


def length(v: np.ndarray) -> np.ndarray:
    x, y, z = v.T
    return np.sqrt(x * x + y * y + z * z)[:, None]
