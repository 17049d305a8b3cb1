# SPDX-License-Identifier: Apache-2.0
"""What MediaPipe's face landmarker sees of a face in a video: ARKit's weights and the head's pose, frame by frame.

Its model file, face_landmarker.task, is the user's own; mediapipe comes with talksplat[adapt].
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .export import Array


@dataclass(frozen=True)
class Track:
    """names: the tracker's 52, of which the first is _neutral and tongueOut is missing. weight [n,52], 0..1; matrix
    [n,4,4] the face's transform (cm); found [n] bool: where there is no face, the other two have zeros."""

    fps: float
    names: tuple[str, ...]
    weight: Array
    matrix: Array
    found: Array


def track(video: Path, model: Path) -> Track:
    """Follow one face through a video of a constant frame rate.

    Raises ValueError if mediapipe is not installed, the model file is not one, or the video has no pictures.
    """
    try:
        mediapipe: Any = importlib.import_module("mediapipe")
        tasks: Any = importlib.import_module("mediapipe.tasks.python")
        vision: Any = importlib.import_module("mediapipe.tasks.python.vision")
    except ImportError as e:
        raise ValueError("tracking a face needs mediapipe: pip install 'talksplat[adapt]'.") from e
    if not model.is_file():
        raise ValueError(f"--tracker must be MediaPipe's face_landmarker.task; there is no file {model}.")
    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    try:
        landmarker = vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError) as e:
        raise ValueError(f"{model} is not a face landmarker that mediapipe loads: {e}") from e
    av: Any = importlib.import_module("av")
    names: tuple[str, ...] = ()
    rows: list[tuple[Array, Array] | None] = []
    try:
        opened = av.open(str(video))
    except (OSError, ValueError) as e:
        landmarker.close()
        raise ValueError(f"{video} must be a video: {e}") from e
    with landmarker, opened as container:
        if not container.streams.video:
            raise ValueError(f"{video} must be a video; it has no pictures.")
        fps = float(container.streams.video[0].average_rate)
        for k, frame in enumerate(container.decode(video=0)):
            picture = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
            seen = landmarker.detect_for_video(image, round(1000 * k / fps))
            if not seen.face_blendshapes:
                rows.append(None)
                continue
            names = tuple(shape.category_name for shape in seen.face_blendshapes[0])
            weight = np.array([shape.score for shape in seen.face_blendshapes[0]])
            rows.append((weight, np.array(seen.facial_transformation_matrixes[0])))
    blank = (np.zeros(len(names)), np.zeros((4, 4)))
    weight, matrix = (np.array([(row or blank)[part] for row in rows]) for part in (0, 1))
    return Track(fps, names, weight, matrix.reshape(-1, 4, 4), np.array([row is not None for row in rows], bool))
