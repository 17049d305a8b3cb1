# SPDX-License-Identifier: Apache-2.0
"""A peer to measure against: Rhubarb Lip Sync, as npm has it (rhubarb-lip-sync-wasm), on node.

It hears a whole file and gives it mouth shapes of animators, A to H and X. Their jaws are ours; A, and X at rest, close
the lips. A jaw that jumps from shape to shape follows no talker's, so jaws are a mean over 120 ms.
"""

import contextlib
import functools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from talksplat.authoring.voice.closures import Faces
from talksplat.authoring.voice.export import RATE_HZ, Array
from talksplat.authoring.voice.recordings import to_16_bit

JAW = {"A": 0.06, "B": 0.2, "C": 0.45, "D": 0.7, "E": 0.4, "F": 0.2, "G": 0.1, "H": 0.35, "X": 0.0}
SMOOTHED_S, STEP_S = 0.12, 0.005
# Sounds come in by their length and themselves, a line of cues goes out for each: loading the package takes seconds.
SCRIPT = """
import { readSync } from 'node:fs';
import { Rhubarb } from 'rhubarb-lip-sync-wasm';
const filled = (n) => {
  const bytes = Buffer.alloc(n);
  for (let at = 0; at < n;) {
    const got = readSync(0, bytes, at, n - at);
    if (got === 0) process.exit(0);
    at += got;
  }
  return bytes;
};
for (;;) {
  const sound = filled(filled(4).readUInt32LE());
  console.log('cues ' + JSON.stringify((await Rhubarb.getLipSync(sound)).mouthCues));
}
"""


def require_rhubarb(folder: Path) -> None:
    """folder: where `npm install rhubarb-lip-sync-wasm` was run. Raises FileNotFoundError without it or node."""
    if shutil.which("node") is None:
        raise FileNotFoundError("no node is installed, which runs Rhubarb: apt install nodejs (18 or newer)")
    if not (folder / "node_modules/rhubarb-lip-sync-wasm").exists():
        raise FileNotFoundError(f"no Rhubarb in {folder}: run npm install rhubarb-lip-sync-wasm there")


@contextlib.contextmanager
def rhubarb(folder: Path) -> Iterator[Faces]:
    """Faces while the block lasts. Raises FileNotFoundError as require_rhubarb does, RuntimeError where node ends."""
    require_rhubarb(folder)
    command = ["node", "--input-type=module", "-e", SCRIPT]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as node,
    ):  # leaving it closes the pipes, at which the script ends
        yield functools.partial(_faces, node, errors)


def _faces(node: Any, errors: Any, samples: Array, fps: float) -> dict[str, Array]:
    sound = to_16_bit(samples)
    try:
        node.stdin.write(len(sound).to_bytes(4, "little") + sound)
        node.stdin.flush()
        told = next(line for line in node.stdout if line.startswith(b"cues "))
    except (BrokenPipeError, StopIteration):
        code = node.wait()
        errors.seek(0)
        raise RuntimeError(f"Rhubarb on node ended with code {code}: {errors.read()[-300:]!r}") from None
    cues = json.loads(told[5:])
    t_s = np.arange(int(len(samples) / RATE_HZ / STEP_S)) * STEP_S
    cue = np.searchsorted([c["start"] for c in cues], t_s, side="right") - 1
    shape = np.array(["X", *[c["value"] for c in cues]])[cue + 1]
    jaw = np.array([JAW[name] for name in shape])
    width = round(SMOOTHED_S / STEP_S)
    smooth = np.convolve(np.pad(jaw, width // 2, mode="edge"), np.ones(width) / width, "valid")[: len(jaw)]
    at = np.minimum((np.arange(int(len(samples) / RATE_HZ * fps)) / fps / STEP_S).astype(int), len(jaw) - 1)
    closed = np.isin(shape, ["A", "X"])
    still = np.zeros(len(at))
    return {"jawOpen": smooth[at], "mouthClose": np.where(closed, smooth, 0.0)[at], "mouthLowerDown": still,
            "mouthUpperUp": still, "mouthFunnel": still, "mouthPucker": still}  # fmt: skip
