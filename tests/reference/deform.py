# SPDX-License-Identifier: Apache-2.0
"""deform in float64: a program of no stages is the identity; format 1 knows no other."""

import numpy as np

from reference.pose import Posed


def deform_ref(posed: Posed, stages: list[object]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mean, quat and scale after the program."""
    if stages:
        raise ValueError(f"deform_ref: format 1 has no stages; got {stages}")
    return posed.mean, posed.quat, posed.scale
