# SPDX-License-Identifier: Apache-2.0
"""The reader of torch's files: torch's own values for what training saves, and bounded work for all else."""

import io
import random
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from authoring.torch_files import (
    ORDERED,
    as_torch_1,
    counts,
    number,
    parameter,
    saved,
    scalar,
    storage,
    text,
    torch_bytes,
    view,
)
from talksplat.authoring.pickle_machine import MAX_STEPS
from talksplat.authoring.torch_file import Tensor, load_torch
from talksplat.errors import AvatarInvalid

MIB = 1 << 20
FUSED = "golden/talking_gaussian/b_hubert_ckpt/chkpnt_fuse_latest.pth"
TALKER = "golden/gaussian_talker/b_layer2_smallgrid_ckpt/point_cloud/iteration_10000/deformation.pth"


def arrays_of(value: Any) -> Any:
    """The content with its tensors as arrays."""
    if isinstance(value, Tensor):
        return value.array()
    if isinstance(value, dict):
        return {key: arrays_of(item) for key, item in value.items()}
    return type(value)(map(arrays_of, value)) if isinstance(value, list | tuple) else value


def equal(found: Any, expected: Any) -> None:
    """found, as arrays_of() gives it, is what torch.load gave."""
    if isinstance(expected, dict):
        assert list(found) == [str(key) for key in expected]
        for key, item in expected.items():
            equal(found[str(key)], item)
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected) and len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            equal(*pair)
    elif hasattr(expected, "detach"):
        wide = expected.detach().float() if str(expected.dtype) == "torch.bfloat16" else expected.detach()
        assert found.dtype == wide.numpy().dtype
        np.testing.assert_array_equal(found, wide.numpy())
    else:
        assert found == expected


# ---- what training saves ----


@pytest.mark.parametrize("name", [FUSED, TALKER])
def test_golden_checkpoints_are_what_torch_reads(name: str, shared_dir: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch reads what is compared")
    content = arrays_of(load_torch("f", (shared_dir / name).read_bytes()))
    equal(content, torch.load(shared_dir / name, map_location="cpu", weights_only=True))


def test_golden_weights_without_torch(shared_dir: Path) -> None:
    found = arrays_of(load_torch("f", (shared_dir / TALKER).read_bytes()))
    expected = np.load(shared_dir / "golden/gaussian_talker/b_layer2_smallgrid_weights.npz")
    assert set(found) == set(expected)
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])


def test_as_torch_1_wrote_it_on_a_gpu(shared_dir: Path) -> None:
    new: Any = load_torch("f", (shared_dir / FUSED).read_bytes())
    data = as_torch_1(shared_dir / FUSED, scale=0.4)
    old: Any = load_torch("f", data)
    assert old[0][12] == new[0][12] == 0.4
    for a, b in zip(arrays_of(old), arrays_of(new), strict=True):
        np.testing.assert_equal(a, b)


KINDS = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def test_everything_that_torch_writes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch writes what is read")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3), torch.nn.Linear(3, 2))
    adam = torch.optim.Adam(module.parameters())
    module(torch.randn(5, 2, 5)).sum().backward()
    adam.step()
    base = torch.arange(24.0)
    content = {
        "kinds": {kind: (torch.randn(3, 2) * 5).to(getattr(torch, kind)) for kind in KINDS},
        "views": [base[3:], base[::2], base.view(4, 6).T, base.view(2, 3, 4)[:, 1:, ::3], base[:0], base[5],
                  torch.ones(3, 1).expand(3, 4)],
        "nothing": torch.zeros(0, 3),
        "network": module.state_dict(),
        "optimiser": adam.state_dict(),
        "rest": (None, True, 7, 2.5, "text", [], {}, torch.nn.Parameter(base)),
    }  # fmt: skip
    path = tmp_path / "a.pth"
    torch.save(content, path)
    equal(arrays_of(load_torch("f", path.read_bytes())), content)


def test_scalars_of_numpy_are_numbers() -> None:
    values = [np.float64(0.4), np.float32(0.5), np.int64(-7), np.bool_(True)]
    pickled = b"\x80\x02]" + b"".join(scalar(value) + b"a" for value in values) + b"."
    for data in (pickled, pickled.replace(b"numpy.core.", b"numpy._core.")):
        assert load_torch("f", torch_bytes(data, {})) == [0.4, 0.5, -7, True]


def test_an_optimisers_state_is_never_read() -> None:
    """Its storages may be missing, or beyond all measure."""
    state = view(storage("Float", "7", 1 << 38), 0, [1 << 38], [1])
    weights = np.arange(4, dtype=np.float32)
    data = torch_bytes(
        b"\x80\x02(" + view(storage("Float", "0", 4), 0, [4], [1]) + state + b"t.", {"0": weights.tobytes()}
    )
    content: Any = load_torch("f", data)
    np.testing.assert_array_equal(content[0].array(), weights)
    assert content[1].shape == (1 << 38,)
    with pytest.raises(AvatarInvalid, match=r"^f: its tensors are out of proportion to the file\.$"):
        content[1].array()


# ---- what means harm, or is damaged ----


def one(tensor: bytes, members: dict[str, bytes] | None = None) -> bytes:
    return torch_bytes(b"\x80\x02" + tensor + b".", {"0": bytes(16)} if members is None else members)


FLOATS, LARGE = (storage("Float", "0", count) for count in (4, MIB))
MANY = b"\x80\x02](" + view(FLOATS, 0, [4], [1]) + b"q\0" + b"h\0" * 999 + b"e."


def packed_again(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info), zipfile.ZIP_STORED if "pkl" in info.filename else None)
    return out.getvalue()


def packed(pickled: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled)
    return out.getvalue()


def with_member(data: bytes, name: str, content: bytes) -> bytes:
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def overlapping(copies: int) -> bytes:
    """Every storage's entry of the directory leads to the bytes of the first."""
    raw = bytes(4 * MIB)
    items = b"".join(view(storage("Float", str(i), MIB), 0, [MIB], [1]) for i in range(copies))
    data = torch_bytes(b"\x80\x02(" + items + b"l.", {"0": raw, **{str(i): b"" for i in range(1, copies)}})
    info = zipfile.ZipFile(io.BytesIO(data)).getinfo("archive/data/0")
    out = bytearray(data)
    at = data.find(b"PK\1\2")
    while at >= 0:
        name = bytes(out[at + 46 : at + 46 + struct.unpack_from("<H", out, at + 28)[0]])
        if name.startswith(b"archive/data/"):
            struct.pack_into("<3L", out, at + 16, info.CRC, len(raw), len(raw))
            struct.pack_into("<L", out, at + 42, info.header_offset)
        at = data.find(b"PK\1\2", at + 4)
    return bytes(out)


# fmt: off
BAD: dict[str, tuple[bytes, str]] = {
    "a layout before 1.6": (bytes.fromhex("80028a0a6cfc9c46f9206aa85019") + b".", "is in the layout that torch had be"),
    "a text": (b"hello world", "is no file of torch.save(), which is a zip; it begins with b'hello wo'."),
    "a zip of other things": (with_member(one(b"N"), "b/data.pkl", b"N."), "which has one data.pkl; it has 'archive/d"),
    "TorchScript": (with_member(one(b"N"), "archive/constants.pkl", b"N."), "is a TorchScript program, not a checkpoi"),
    "big-endian": (with_member(one(b"N"), "archive/byteorder", b"big"), "is big-endian, which is not read. Save it on"),
    "a pickle cut off": (torch_bytes(b"\x80\x02(", {}), "is not a readable file of torch.save() (it is damaged before"),
    "a call of the system": (one(b"cos\nsystem\n" + text("true") + b"\x85R"), "names os.system, which no checkpoint of "
                             "weights has a use for; it was not run. Save state dicts"),
    "a whole module": (one(b"ctorch.nn.modules.linear\nLinear\n)\x81"), "names torch.nn.modules.linear.Linear, which"),
    "a storage that is called": (one(b"ctorch\nFloatStorage\n)R"), "(it makes a storage)"),
    "no storage": (one(view(b"N", 0, [1], [1])), "(it makes a tensor of 0, (1,) and (1,))"),
    "a reference to nothing": (one(text("storage") + b"Q"), "(it names the storage 'storage')"),
    "a reference to a module": (one(b"(" + text("module") + b"NNNNtQ"), "(it names the storage ('module', None, "),
    "a storage of no kind": (one(b"(" + text("storage") + b"N" + text("0") + text("cpu") + number(4) + b"tQ"), "the "
                             "storage ('storage', None, '0', 'cpu', 4)"),
    "a storage elsewhere": (one(view(storage("Float", "../../0", 4), 0, [4], [1])), "names the storage ('storage', <_"),
    "a storage of less than nothing": (one(view(storage("Float", "0", -4), 0, [1], [1])), "names the storage ('storag"),
    "a negative stride": (one(view(FLOATS, 3, [4], [-1])), "(it makes a tensor of 3, (4,) and (-1,))"),
    "a negative offset": (one(view(FLOATS, -1, [4], [1])), "(it makes a tensor of -1, (4,) and (1,))"),
    "a negative shape": (one(view(FLOATS, 0, [-4], [1])), "(it makes a tensor of 0, (-4,) and (1,))"),
    "a shape of no numbers": (one(b"ctorch._utils\n_rebuild_tensor_v2\n(" + FLOATS + number(0) + text("4") + counts([1])
                              + b"\x89" + ORDERED + b"tR"), "(it makes a tensor of 0, '4' and (1,))"),
    "nine dimensions": (one(view(FLOATS, 0, [1] * 9, [1] * 9)), "(it makes a tensor of 0, (1, 1, 1, 1, 1, 1, 1, 1, 1)"),
    "a stride too few": (one(view(FLOATS, 0, [2, 2], [2])), "(it makes a tensor of 0, (2, 2) and (2,))"),
    "beyond its storage": (one(view(FLOATS, 1, [4], [1])), "(a tensor ends behind its storage: 4 of 4)"),
    "beyond by its strides": (one(view(FLOATS, 0, [2, 2], [1 << 39, 1])), "(a tensor ends behind its storage: 5497558"),
    "a stride of nothing, a million million times": (one(view(FLOATS, 0, [1 << 20, 1 << 20], [0, 0])), "out of propor"),
    "a storage that is missing": (one(view(FLOATS, 0, [4], [1]), {}), "the storage '0' of a tensor is missing."),
    "a storage cut off": (one(view(FLOATS, 0, [4], [1]), {"0": bytes(12)}), "must be 4 numbers of 4 bytes, not packed; "
                          "it has 12 bytes in 12."),
    "a storage that goes on": (one(view(FLOATS, 0, [4], [1]), {"0": bytes(20)}), "'0' must be 4 numbers of 4 bytes, n"),
    "a storage that is packed": (packed_again(one(view(LARGE, 0, [4], [1]), {"0": bytes(4 * MIB)})),
                                 "must be 1048576 numbers of 4 bytes, not packed; it has 4194304 bytes in"),
    "a pickle that is packed": (packed(b"N" + b"0N" * 9999 + b"."), "archive/data.pkl unpacks from "),
    "a damaged storage": (saved({"a": np.full(4, 7, np.float32)}).replace(np.float32([7]).tobytes(), b"abcd", 1), "the "
                          "storage '0' is damaged. Copy the file again."),
    "one storage a thousand times": (torch_bytes(MANY.replace(FLOATS, LARGE), {"0": bytes(4 * MIB)}),
                                     "its tensors are out of proportion to the file"),
    "overlapping storages": (overlapping(64), "its tensors are out of proportion to the file"),
    "a parameter of nothing": (one(b"ctorch._utils\n_rebuild_parameter\n(N\x88" + ORDERED + b"tR"), "makes a paramete"),
    "a parameter nested": (one(parameter(b"N" + b"\x85" * 100_000)), "makes a parameter of (((...,),),))."),
    "a scalar of no number": (one(b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n" + text("O") + b"\x85RU\1a\x86R"),
                              "(a scalar in it is no number)"),
    "too many steps": (torch_bytes(b"\x80\x02" + b"N0" * (MAX_STEPS // 2) + b".", {}), "takes more than 1048576 steps"),
    "a state that is nested": (torch_bytes(b"\x80\x02)" + b"2\x86" * 50 + b"Nb.", {}), "gives a state to (((...), (.."),
    "a key nested sixty times": (torch_bytes(b"\x80\x02})" + b"2\x86" * 60 + b"Ns.", {}), "keys must be texts"),
}
# fmt: on


@pytest.mark.parametrize("case", BAD)
def test_refused_in_time_and_memory(case: str) -> None:
    data, message = BAD[case]
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(AvatarInvalid, match=r"^f: ") as caught:
            arrays_of(load_torch("f", data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begin < 20
    # Steps of one byte make values of up to 64; arrays may be four times the file, and 16 MiB.
    assert peak < 24 * MIB + 6 * len(data) + 80 * min(len(data), MAX_STEPS)
    error = str(caught.value)
    assert message in error
    assert len(error) < 500
    assert error.isprintable()


def test_damage_anywhere_ends_in_a_value_or_an_error() -> None:
    rng = random.Random(3)
    good = saved({"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3)})
    endings = {"read": 0, "refused": 0}
    for _ in range(4000):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        try:
            arrays_of(load_torch("f", bytes(data)))
            endings["read"] += 1
        except AvatarInvalid as error:
            assert len(str(error)) < 700
            assert str(error).isprintable()
            endings["refused"] += 1
    assert min(endings.values()) > 20, endings
