# SPDX-License-Identifier: Apache-2.0
"""The README's moving picture: the demo head speaks the sample sentence. python docs/make_demo.py (needs pillow)"""

from pathlib import Path

from PIL import Image

import talksplat

UNTIL_S, SIDE = 6.5, 400
DRAWN, CROP = 640, (80, 0, 560, 480)  # pixels: the face, with some of what is around it

frames = [
    Image.fromarray(frame.image).crop(CROP).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    for frame in talksplat.load("demo").render("sample", fps=25, size=(DRAWN, DRAWN))
    if frame.pts < UNTIL_S and frame.index % 2 == 0
]
out = Path(__file__).with_name("demo.webp")
frames[0].save(out, save_all=True, append_images=frames[1:], duration=80, loop=0, quality=75, method=6)
print(f"{out}: {len(frames)} frames, {out.stat().st_size} bytes")
