# SPDX-License-Identifier: Apache-2.0
"""A contact sheet of an avatar with ARKit weights: python -m talksplat.authoring.demo.sheet AVATAR OUT.png"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import talksplat
from talksplat.arkit import ARKIT_NAMES
from talksplat.png_sequence import png_bytes

COLUMNS, TILE, CROP = 6, 176, (0.20, 0.01, 0.80, 0.67)  # tile in pixels; crop: left, top, right, bottom shares
PLAIN = (0.43, 0.51, 0.55)

VISEMES: dict[str, dict[str, float]] = {
    "PP": {"jawOpen": 0.10, "mouthClose": 0.10, "mouthPress": 0.35, "mouthRollLower": 0.15, "mouthRollUpper": 0.15},
    "FF": {"jawOpen": 0.10, "mouthRollLower": 0.55, "mouthUpperUp": 0.25},
    "TH": {"jawOpen": 0.22, "tongueOut": 0.50, "mouthLowerDown": 0.20},
    "DD": {"jawOpen": 0.20, "mouthUpperUp": 0.15, "mouthLowerDown": 0.25, "mouthStretch": 0.15},
    "kk": {"jawOpen": 0.30, "mouthUpperUp": 0.10, "mouthLowerDown": 0.15},
    "CH": {"jawOpen": 0.15, "mouthFunnel": 0.60, "mouthUpperUp": 0.20, "mouthLowerDown": 0.20},
    "SS": {"jawOpen": 0.08, "mouthStretch": 0.40, "mouthSmile": 0.15, "mouthUpperUp": 0.20, "mouthLowerDown": 0.45},
    "nn": {"jawOpen": 0.15, "mouthUpperUp": 0.15, "mouthLowerDown": 0.20},
    "RR": {"jawOpen": 0.18, "mouthFunnel": 0.35, "mouthPucker": 0.25},
    "aa": {"jawOpen": 0.65, "mouthUpperUp": 0.10, "mouthLowerDown": 0.20},
    "E": {"jawOpen": 0.35, "mouthSmile": 0.25, "mouthStretch": 0.25, "mouthLowerDown": 0.25, "mouthUpperUp": 0.20},
    "ih": {"jawOpen": 0.18, "mouthSmile": 0.35, "mouthStretch": 0.25, "mouthLowerDown": 0.35, "mouthUpperUp": 0.20},
    "oh": {"jawOpen": 0.45, "mouthFunnel": 0.50, "mouthPucker": 0.25},
    "ou": {"jawOpen": 0.20, "mouthPucker": 0.80, "mouthFunnel": 0.20},
}
FACES: dict[str, dict[str, Any]] = {
    "neutral": {},
    **VISEMES,
    "blink": {"eyeBlink": 1.0},
    "half blink": {"eyeBlink": 0.5},
    "brows up": {"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 0.5},
    "brows down": {"browDown": 1.0, "eyeSquint": 0.4, "noseSneer": 0.4},
    "smile": {"mouthSmile": 0.9, "cheekSquint": 0.6, "eyeSquint": 0.3, "jawOpen": 0.1, "mouthUpperUp": 0.3},
    "frown": {"mouthFrown": 0.9, "browInnerUp": 0.7},
    "turned left": {"head_pose": [0.0, 0.40, 0.0], "neck_pose": [0.0, 0.10, 0.0]},
    "turned right": {"head_pose": [0.0, -0.40, 0.0], "neck_pose": [0.0, -0.10, 0.0]},
    "looks left": {"eyeLookOutLeft": 0.8, "eyeLookInRight": 0.8},
}


def control(face: dict[str, Any]) -> dict[str, Any]:
    """Weights of a face for Avatar.render_frame; a name without its side stands for both."""
    poses = {name: value for name, value in face.items() if name.endswith("_pose")}
    weights: dict[str, float] = {}
    for name in face.keys() - poses.keys():
        sides = (name,) if name in ARKIT_NAMES else (f"{name}Left", f"{name}Right")
        weights.update(dict.fromkeys(sides, face[name]))
    return {"arkit": weights, **poses}


def sheet(avatar: talksplat.Avatar) -> np.ndarray[Any, Any]:
    """[H,W,3] uint8: every face of FACES in reading order."""
    left, top, right, bottom = CROP
    size = round(TILE / (right - left))
    x, y = round(left * size), round(top * size)
    tiles = []
    for face in FACES.values():
        image = avatar.render_frame(control(face), size=(size, size), background=PLAIN).image
        tiles.append(image[y : y + round((bottom - top) * size), x : x + TILE])
    rows = [np.concatenate(tiles[k : k + COLUMNS], axis=1) for k in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m talksplat.authoring.demo.sheet AVATAR OUT.png")
    Path(sys.argv[2]).write_bytes(png_bytes(sheet(talksplat.load(sys.argv[1]))))
