"""The 52 face weights of Apple's ARKit, and the spellings that other tools give them."""

from __future__ import annotations

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

_KNOWN = frozenset(ARKIT_NAMES)
_SIDES = {"_L": "Left", "_R": "Right"}


def canonical_name(name: str) -> str:
    """The ARKit spelling of a weight's name, or the name itself where it is not an ARKit weight.

    Live Link Face writes "EyeBlinkLeft"; ARKit's raw values are "eyeBlink_L".
    """
    candidate = name[:1].lower() + name[1:]
    side = _SIDES.get(candidate[-2:])
    if side is not None:
        candidate = candidate[:-2] + side
    return candidate if candidate in _KNOWN else name
