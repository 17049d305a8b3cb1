# SPDX-License-Identifier: Apache-2.0
"""deform: rows pass through a program of no stages; a program with stages is refused when the file is opened."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from backends import Backend, load
from ops.pose_avatars import rigged_avatar, static_avatar
from reference import tsplat
from reference.deform import deform_ref
from reference.pose import pose_ref
from talksplat.errors import AvatarInvalid


def test_no_stages_change_nothing(backend: Backend, tmp_path: Path) -> None:
    path = static_avatar(tmp_path / "a.tsplat")
    file = tsplat.read(path)
    ref = deform_ref(file, pose_ref(file, {}), {})
    g, row = load(path, backend).gaussians(), file.tensors["gaussians/source_index"]
    np.testing.assert_array_equal(g.mean[row], ref.mean)
    np.testing.assert_allclose(g.quat[row], ref.quat, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(g.scale[row], ref.scale)


def test_runs_after_pose(backend: Backend, tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat", binding="triangle")
    file = tsplat.read(path)
    control = {"translation": np.array([1.0, 2.0, 3.0], np.float32)}
    ref = deform_ref(file, pose_ref(file, control), control)
    g, row = load(path, backend).gaussians(control), file.tensors["gaussians/source_index"]
    np.testing.assert_allclose(g.mean[row], ref.mean, rtol=0, atol=2e-6)
    np.testing.assert_allclose(g.scale[row], ref.scale, rtol=0, atol=2e-6)


def test_stages_are_refused(tmp_path: Path) -> None:
    path = static_avatar(tmp_path / "a.tsplat")
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    manifest = json.loads(header["__metadata__"]["talksplat"])
    manifest["deform"]["stages"] = [{"kind": "linear"}]
    header["__metadata__"]["talksplat"] = json.dumps(manifest)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    with pytest.raises(AvatarInvalid, match="stages"):
        load(path)
