# SPDX-License-Identifier: Apache-2.0
"""Files of torch.save() without torch: made opcode by opcode, and those of today as torch 1.x on a GPU wrote them."""

import io
import pickle
import pickletools
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {"float64": "Double", "float32": "Float", "float16": "Half", "int64": "Long", "int32": "Int",
            "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}  # fmt: skip
ORDERED = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    raw = value.to_bytes(12, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def counts(values: Any) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind: str, key: str, count: int, device: str = "cuda:0") -> bytes:
    """The reference to a storage."""
    return (
        b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text(device) + number(count) + b"tQ"
    )


def view(of: bytes, offset: int, shape: Any, stride: Any) -> bytes:
    """A tensor that is a view of a storage."""
    state = of + number(offset) + counts(shape) + counts(stride) + b"\x89" + ORDERED
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + state + b"tR"


def parameter(tensor: bytes) -> bytes:
    return b"ctorch._utils\n_rebuild_parameter\n(" + tensor + b"\x88" + ORDERED + b"tR"


def scalar(value: np.generic, core: str = "core") -> bytes:
    """numpy's scalar, as protocol 2 has it."""
    body = pickletools.optimize(pickle.dumps(value, 2))[2:-1]  # its memo would clash with another pickle's
    return re.sub(rb"cnumpy\._?core\.multiarray\n", f"cnumpy.{core}.multiarray\n".encode(), body)


def torch_bytes(pickled: bytes, members: dict[str, bytes], root: str = "archive") -> bytes:
    """The zip of a pickle and of its storages by key, as torch 1.6 wrote it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(f"{root}/data.pkl", pickled)
        for key, raw in members.items():
            archive.writestr(f"{root}/data/{key}", raw)
        archive.writestr(f"{root}/version", b"3\n")
    return out.getvalue()


def as_torch_1(source: Path, scale: float | None = None) -> bytes:
    """A file of today's torch as torch 1.x wrote it on a GPU: devices, no records of its zip's layout.

    scale: a float64 in the pickle, which becomes a scalar of numpy 1.
    """
    with zipfile.ZipFile(source) as archive:
        (pickled,) = (archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl"))
        members = {
            name.rpartition("/")[2]: archive.read(name) for name in archive.namelist() if name.split("/")[1] == "data"
        }
    assert text("cpu") in pickled
    pickled = pickled.replace(text("cpu"), text("cuda:0"))
    if scale is not None:
        plain = b"G" + struct.pack(">d", scale)
        assert pickled.count(plain) == 2
        pickled = pickled.replace(plain, scalar(np.float64(scale)))
    return torch_bytes(pickled, members)


class Saver:
    """Values one after another into one file of torch.save(), with a storage of its own for each array."""

    def __init__(self) -> None:
        self.members: dict[str, bytes] = {}

    def tensor(self, array: np.ndarray) -> bytes:
        key, array = str(len(self.members)), np.ascontiguousarray(array)
        self.members[key] = array.tobytes()
        strides = [step // array.itemsize for step in array.strides]
        return view(storage(STORAGES[str(array.dtype)], key, array.size), 0, array.shape, strides)

    def state(self, arrays: dict[str, np.ndarray]) -> bytes:
        """A state dict, with the attributes that torch gives one."""
        items = b"".join(text(name) + self.tensor(array) for name, array in arrays.items())
        return ORDERED + b"(" + items + b"u}" + text("_metadata") + ORDERED + b"sb"

    def file(self, pickled: bytes) -> bytes:
        return torch_bytes(b"\x80\x02" + pickled + b".", self.members)


def capture(saver: Saver, io: dict[str, np.ndarray], branch: str, degree: int) -> bytes:
    """TalkingGaussian's gaussians.capture(), its optimiser's state a tensor that is not there."""
    names = ("xyz", "features_dc", "features_rest", "identity", "scaling", "rotation", "opacity")
    n = len(io[f"in_{branch}_xyz"])
    arrays = {**{name: io.get(f"in_{branch}_{name}") for name in names}, "identity": np.zeros((n, 1), np.float32)}
    parts = b"".join(parameter(saver.tensor(array)) for array in arrays.values())
    lost = view(storage("Float", "lost", 1 << 30), 0, [1 << 30], [1])
    return b"(" + number(degree) + parts + b"NNN}" + text("state") + lost + b"s" + scalar(np.float64(0.4)) + b"t"


def fused_bytes(
    io: dict[str, np.ndarray], states: list[dict[str, np.ndarray]], degrees: tuple[int, int] = (2, 2)
) -> bytes:
    """chkpnt_fuse_latest.pth, as torch 1.x wrote it: (face's Gaussians, its network, the mouth's, its network)."""
    saver = Saver()
    parts = [
        capture(saver, io, branch, degree) + saver.state(state)
        for branch, state, degree in zip(("face", "mouth"), states, degrees, strict=True)
    ]
    return saver.file(b"(" + b"".join(parts) + b"t")


def saved(arrays: dict[str, np.ndarray]) -> bytes:
    """torch.save() of a state dict."""
    saver = Saver()
    return saver.file(saver.state(arrays))
