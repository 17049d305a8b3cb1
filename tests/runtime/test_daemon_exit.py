# SPDX-License-Identifier: Apache-2.0
"""A program may end while a daemon thread is inside the core: it ends as if the thread had not been there."""

from __future__ import annotations

import subprocess
import sys

import pytest

SETUP = """
import sys, threading, time
import numpy as np
import talksplat
avatar = talksplat.load("demo", threads=1)
voice = talksplat._core.Voice(str(talksplat._assets.VOICE))
began = threading.Event()
def work():
    while True:
        {work}
        began.set()
threading.Thread(target=work, daemon=True).start()
began.wait()
time.sleep({pause})
print("the last line")
"""

WORK = {
    "render_frame": "avatar.render_frame({}, size=(256, 256))",
    "render": "for _ in avatar.render('sample', size=(64, 64)): began.set()",
    "motion": "talksplat.motion(np.zeros(16000, np.float32), sample_rate=16000)",
    "ready": (
        "speech = talksplat._core.Speech(avatar.engine._core, voice, 16000, 1, 25.0); "
        "[speech.ready for _ in range(5000)]"
    ),
    "load": "talksplat.load('demo', threads=2)",
    "gaussians": "avatar.gaussians(); avatar.vertices()",
    "rasterize": (
        "talksplat.rasterize(np.zeros((500, 3)), np.ones((500, 4)), np.ones((500, 3)), np.ones(500), "
        "np.ones((500, 3)), np.eye(4), np.array([[99, 0, 99], [0, 99, 99], [0, 0, 1]]), 200, 200, near=1e-3)"
    ),
}


@pytest.mark.parametrize("what", WORK)
def test_a_daemon_thread_in_the_core_does_not_disturb_the_end(what: str) -> None:
    for pause in (0.0, 0.01, 0.05):
        script = SETUP.format(work=WORK[what], pause=pause)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "the last line\n", ""), pause
