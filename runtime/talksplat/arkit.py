# SPDX-License-Identifier: Apache-2.0
"""The 52 face weights of Apple's ARKit, and the spellings that other tools give them."""

from __future__ import annotations

import re

# Order of Apple's documentation (ARFaceAnchor.BlendShapeLocation). Live Link Face has jawRight and mouthRight before
# jawLeft and mouthLeft; its files are read by name.
ARKIT_NAMES: tuple[str, ...] = (
    "eyeBlinkLeft",
    "eyeLookDownLeft",
    "eyeLookInLeft",
    "eyeLookOutLeft",
    "eyeLookUpLeft",
    "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight",
    "eyeLookDownRight",
    "eyeLookInRight",
    "eyeLookOutRight",
    "eyeLookUpRight",
    "eyeSquintRight",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawRight",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthLeft",
    "mouthRight",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)

# Columns of Live Link Face's files: right before left where the jaw and the mouth shift.
_RIGHT_FIRST = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
LIVE_LINK_NAMES: tuple[str, ...] = tuple(
    name[:1].upper() + name[1:] for name in (_RIGHT_FIRST.get(name, name) for name in ARKIT_NAMES)
)


def folded(name: str) -> str:
    """The name without case and punctuation, which is how names of different tools are compared."""
    return re.sub(r"[\W_]+", "", name).lower()


def _spellings() -> dict[str, str]:
    spellings = {folded(name): name for name in ARKIT_NAMES}
    for side in ("Left", "Right"):
        spellings.update(
            (folded(name.removesuffix(side) + side[0]), name) for name in ARKIT_NAMES if name.endswith(side)
        )
    return spellings


_SPELLINGS = _spellings()


def canonical_name(name: str) -> str:
    """The ARKit spelling of a weight's name, or the name itself where it is not an ARKit weight.

    Live Link Face writes "EyeBlinkLeft"; ARKit's raw values are "eyeBlink_L"; others write "eye_blink_left".
    """
    return _SPELLINGS.get(folded(name), name)
