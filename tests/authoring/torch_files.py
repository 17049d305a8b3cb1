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


def saved(arrays: dict[str, np.ndarray]) -> bytes:
    """torch.save() of a state dict with the attributes that torch gives one."""
    items, members = b"", {}
    for i, (name, array) in enumerate(arrays.items()):
        members[str(i)] = np.ascontiguousarray(array).tobytes()
        kind = STORAGES[str(array.dtype)]
        strides = [step // array.itemsize for step in np.ascontiguousarray(array).strides]
        items += text(name) + view(storage(kind, str(i), array.size), 0, array.shape, strides)
    return torch_bytes(b"\x80\x02" + ORDERED + b"(" + items + b"u}" + text("_metadata") + ORDERED + b"sb.", members)


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
