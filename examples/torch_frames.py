# SPDX-License-Identifier: Apache-2.0
"""Pictures for a network on the GPU: talksplat draws them there, and torch takes them without a copy.

    python examples/torch_frames.py [SOUND] [--size WxH] [--seconds N]

Needs an NVIDIA GPU, and torch built for it. Without a sound the demo head says a built-in sentence. The last line tells
how many pictures torch was given, as what, where they are, and how many of them were copied on the way.
"""

import argparse
import json

import torch

import talksplat


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sound", nargs="?", default="sample")
    parser.add_argument("--size", default="512x512")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))

    avatar = talksplat.load("demo", device="cuda")  # torch's own context on that GPU
    stream = torch.cuda.current_stream()
    frames = copies = 0
    shape: list[int] = []
    for frame in avatar.render(options.sound, size=(width, height), stream=stream):
        if frame.pts >= options.seconds:
            break
        picture = torch.from_dlpack(frame.image)  # [H,W,3] uint8: the very memory that the picture is drawn into
        copies += picture.data_ptr() != frame.image.__cuda_array_interface__["data"][0]
        channels_first = picture.permute(2, 0, 1)  # as networks want it
        # A network goes here. What torch puts into `stream` comes after the picture, though nobody has waited for it.
        # Where every frame is done with before the next, render(..., out=TENSOR) draws all of them into one tensor.
        frames, shape = frames + 1, list(channels_first.shape)
        device = str(picture.device)
    torch.cuda.synchronize()
    print(json.dumps({"frames": frames, "shape": shape, "device": device, "copies": copies}))


if __name__ == "__main__":
    main()
