# SPDX-License-Identifier: Apache-2.0
"""Animations of a GLB, sampled at a constant rate and expressed relative to another GLB's rest pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from talksplat._text import shown

from .glb import MAX_NAME_LETTERS, Glb
from .rotation import axis_angle_of_quat, conjugate, multiply, slerp
from .spec import MAX_CLIPS, Array

MAX_SECONDS = 3600.0
# Two keys an hour apart are a few bytes, and a few bytes name them for another clip: frames times joints, of all clips.
MAX_POSES = 1 << 23
SCALE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class JointClip:
    """rotation [T,J,3] axis-angle after each joint's rest rotation; translation [T,J,3] added to its rest."""

    name: str
    rotation: Array
    translation: Array
    ignores_scale: bool


def joint_clips(animation: Glb, skin: Glb, nodes: list[int], fps: float) -> list[JointClip]:
    """Every animation that moves the skin's nodes, matched by name as three.js does; others stay at rest."""
    joint_of = {skin.name(node): j for j, node in enumerate(nodes)}
    rest = [skin.trs(node) for node in nodes]
    clips: list[JointClip] = []
    left = MAX_POSES
    animations = animation.items("animations")
    if len(animations) > MAX_CLIPS:
        raise animation.fail("animations", f"at most {MAX_CLIPS}", len(animations))
    for i, item in enumerate(animations):
        place = f"animations[{i}]"
        item = animation.mapping(item, place)
        tracks = _tracks(animation, item, place, joint_of)
        if not tracks:
            continue
        seconds = max(float(track.times[-1]) for track in tracks)
        times = np.arange(round(seconds * fps) + 1) / fps
        left -= len(times) * len(rest)
        if left < 0:
            raise animation.fail(place, "shorter", f"{seconds:g} s of {len(rest)} joints after those before it")
        name = item.get("name")
        label = name if isinstance(name, str) else f"clip {i}"
        clips.append(_sample(label[:MAX_NAME_LETTERS], tracks, rest, times))
    return clips


@dataclass(frozen=True)
class _Track:
    joint: int
    path: str
    step: bool
    times: Array  # [n] seconds, rising
    values: Array  # [n,3] or [n,4] wxyz


def _tracks(glb: Glb, animation: dict[str, Any], place: str, joint_of: dict[str, int]) -> list[_Track]:
    samplers = glb.items("samplers", animation, f"{place}.")
    tracks: dict[tuple[int, str], _Track] = {}  # of two for one path, which glTF forbids, the last one counts
    for i, channel in enumerate(glb.items("channels", animation, f"{place}.")):
        where = f"{place}.channels[{i}]"
        channel = glb.mapping(channel, where)
        target = glb.mapping(channel.get("target"), f"{where}.target")
        path = target.get("path")
        if path not in ("translation", "rotation", "scale") or "node" not in target:
            continue
        joint = joint_of.get(glb.name(glb.integer(target["node"], f"{where}.target.node", len(glb.nodes))))
        if joint is None:
            continue
        index = glb.integer(channel.get("sampler"), f"{where}.sampler", len(samplers))
        sampler = glb.mapping(samplers[index], f"{where}.sampler")
        interpolation = sampler.get("interpolation", "LINEAR")
        if interpolation not in ("LINEAR", "STEP"):
            raise glb.fail(
                f"{where} interpolation", "LINEAR or STEP (bake the curve in the exporter)", shown(interpolation)
            )
        times = glb.accessor(sampler.get("input"), f"{where} input", "SCALAR", "f")[:, 0].astype(np.float64)
        kind = "VEC4" if path == "rotation" else "VEC3"
        values = glb.accessor(sampler.get("output"), f"{where} output", kind, "f").astype(np.float64)
        rising = len(times) > 0 and times[0] >= 0 and times[-1] <= MAX_SECONDS and bool(np.all(np.diff(times) > 0))
        if not rising or len(values) != len(times):
            raise glb.fail(where, f"rising times within {MAX_SECONDS:g} s, one value each", f"{len(values)} values")
        if path == "rotation":
            norm = np.linalg.norm(values, axis=1, keepdims=True)
            if (norm < 1e-6).any():
                raise glb.fail(f"{where} output", "quaternions", "a zero")
            values = (values / norm)[:, [3, 0, 1, 2]]
        tracks[joint, path] = _Track(joint, path, interpolation == "STEP", times, values)
    return list(tracks.values())


def _sample(name: str, tracks: list[_Track], rest: list[tuple[Array, Array, Array]], times: Array) -> JointClip:
    rotation = np.zeros((len(times), len(rest), 3), np.float32)
    translation = np.zeros((len(times), len(rest), 3), np.float32)
    ignores_scale = False
    for track in tracks:
        values = _values(track, times)
        rest_translation, rest_rotation, rest_scale = rest[track.joint]
        if track.path == "rotation":
            # A clip replaces the node's rotation; ours comes after the rest rotation.
            relative = multiply(np.broadcast_to(conjugate(rest_rotation), values.shape), values)
            rotation[:, track.joint] = axis_angle_of_quat(relative)
        elif track.path == "translation":
            translation[:, track.joint] = values - rest_translation
        else:
            ignores_scale |= bool((np.abs(values / rest_scale - 1) > SCALE_TOLERANCE).any())
    return JointClip(name, rotation, translation, ignores_scale)


def _values(track: _Track, times: Array) -> Array:
    """[T,3|4]: the track at times; its ends hold."""
    last = len(track.times) - 1
    # Frame times are multiples of 1/fps in float64, key times are float32: a STEP must not fire a frame late.
    left = np.clip(np.searchsorted(track.times, times + 1e-5, side="right") - 1, 0, last)
    if track.step:
        return track.values[left]
    right = np.minimum(left + 1, last)
    span = track.times[right] - track.times[left]
    t = np.clip((times - track.times[left]) / np.where(span > 0, span, 1.0), 0.0, 1.0)
    if track.path == "rotation":
        return slerp(track.values[left], track.values[right], t)
    out: Array = track.values[left] + t[:, None] * (track.values[right] - track.values[left])
    return out
