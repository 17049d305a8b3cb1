# SPDX-License-Identifier: Apache-2.0
"""The reader of pickles: Python's own values for what is harmless, and bounded time and memory for all else."""

import pickle
import random
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from talksplat.authoring.pickle_machine import MAX_STEPS, Global, Machine, Unreadable
from talksplat.authoring.safe_pickle import load_fields
from talksplat.errors import AvatarInvalid

MIB = 1 << 20


def nothing(module: str, name: str) -> Global:
    raise Unreadable(f"names {module}.{name}")


def value_of(data: bytes) -> object:
    return Machine(data, nothing).load()


def refused(data: bytes, mib: float = 4.0, seconds: float = 20.0) -> str:
    """The error that reading gives, where it comes in time and without the memory that the file asks for."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(AvatarInvalid, match=r"^f: ") as caught:
            load_fields("f", data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begin < seconds
    assert peak < mib * MIB
    message = str(caught.value)
    assert len(message) < 500
    assert message.isprintable()
    return message


# ---- what Python reads ----

VALUES: list[object] = [
    None, True, False, 0, 255, -1, 65535, -(2**31), 2**40, -(2**100), 2**400, 0.5, -1e300, float("inf"), "", "abc",
    "ä\x1b\u2028\U0001f600", "it's \\ \"quoted\"\n", (), (1,), (1, 2), (1, 2, 3),
    (1, 2, 3, (4, [5])), [], [[], [1]], {}, {"a": {"b": [1, {"c": ()}]}}, ["x" * 300, "z" * 70000],
]  # fmt: skip
BYTES: list[object] = [b"", b"\0\xff'\n", b"y" * 300, b"z" * 70000]


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_values_are_those_that_python_reads(value: object, protocol: int) -> None:
    assert value_of(pickle.dumps([value, value], protocol)) == [value, value]


@pytest.mark.parametrize("protocol", [3, 4, 5])  # the older ones make bytes by a call
def test_bytes_are_those_that_python_reads(protocol: int) -> None:
    assert value_of(pickle.dumps(BYTES, protocol)) == BYTES
    assert value_of(pickle.dumps([bytearray(b"xy")], 5)) == [b"xy"]


@pytest.mark.parametrize("protocol", [0, 1])
def test_values_of_the_first_protocols(protocol: int) -> None:
    value = {"n": None, "yes": True, "no": False, "i": [7, -70000, 2**70], "f": 0.1, "t": ("ä\n\\", ()), "d": {"x": []}}
    assert value_of(pickle.dumps(value, protocol)) == value


def test_texts_of_python_2_are_latin1() -> None:
    assert value_of(b"(lp0\nS'a\\xe9\\n'\np1\naL12L\naI01\nag1\na.") == ["aé\n", 12, True, "aé\n"]
    assert value_of(b"\x80\x02]q\x01(U\x02\xe9bT\x02\0\0\0cde.") == ["éb", "cd"]


def test_sets_are_lists_and_numbers_as_keys_are_texts() -> None:
    assert value_of(pickle.dumps([{1}, frozenset({2})], 4)) == [[1], [2]]
    assert value_of(pickle.dumps({1: "a", 2.5: "b", None: "c", False: "d"}, 4)) == {
        "1": "a", "2.5": "b", "None": "c", "False": "d",
    }  # fmt: skip


def random_value(rng: random.Random, depth: int) -> object:
    kind = rng.randrange(8 if depth else 5)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.randrange(-(2 ** rng.randrange(1, 80)), 2 ** rng.randrange(1, 80))
    if kind == 2:
        return rng.uniform(-1, 1) * 10 ** rng.randrange(-300, 300)
    if kind == 3:
        return rng.randbytes(rng.randrange(300))
    if kind == 4:
        return "".join(chr(rng.choice([65, 0xE9, 0x20AC, 0x1F600])) for _ in range(rng.randrange(40)))
    values = [random_value(rng, depth - 1) for _ in range(rng.randrange(5))]
    if kind == 5:
        return values
    return tuple(values) if kind == 6 else {f"k{i}": value for i, value in enumerate(values)}


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_random_values_are_those_that_python_reads(protocol: int) -> None:
    rng = random.Random(protocol)
    for _ in range(200):
        value = random_value(rng, 4)
        assert value_of(pickle.dumps(value, protocol)) == value


# ---- what a FLAME model of Python 2 looks like ----


def test_chumpy_values_as_python_2_wrote_them() -> None:
    """Its objects keep an empty set of what is stale; the arrays' bytes are texts."""
    array = np.arange(6.0).reshape(2, 3)
    raw = array.tobytes()
    data = (
        b"\x80\x02}q\x01(U\nv_templateq\x02cchumpy.ch\nCh\nq\x03)\x81q\x04}q\x05(U\x0b_dirty_varsq\x06"
        b"c__builtin__\nset\nq\x07]q\x08\x85q\tRq\nU\x04_itrq\x0bNU\x01xq\x0ccnumpy.core.multiarray\n_reconstruct\n"
        b"q\rcnumpy\nndarray\nq\x0eK\0\x85q\x0fU\x01bq\x10\x87q\x11Rq\x12(K\x01K\x02K\x03\x86q\x13"
        b"cnumpy\ndtype\nq\x14U\x02f8q\x15K\0K\x01\x87q\x16Rq\x17(K\x03U\x01<q\x18NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\0tq\x19b\x89T" + struct.pack("<i", len(raw)) + raw + b"q\x1atq\x1bbub"
        b"U\x08bs_styleq\x1cU\x03lbsq\x1du."
    )
    fields = load_fields("f", data)
    assert list(fields) == ["v_template"]
    np.testing.assert_array_equal(fields["v_template"], array)


def test_ordered_dicts_of_python_2_are_dicts() -> None:
    array = np.arange(3)
    body = pickle.dumps(array, 2)[2:-1]
    data = b"\x80\x02ccollections\nOrderedDict\n](](U\1fNe](U\1g" + body + b"ee\x85R."
    fields = load_fields("f", data)
    assert list(fields) == ["g"]
    np.testing.assert_array_equal(fields["g"], array)


# ---- what means harm ----

TEXT = b"X" + struct.pack("<I", MIB) + b"a" * MIB + b"q\0"  # a text of 1 MiB, in the memo
RAW = b"B" + struct.pack("<I", MIB) + b"\0" * MIB + b"q\0"
DTYPE = b"cnumpy\ndtype\nU\x02u1\x85R"


def array_of(shape: bytes, raw: bytes, dtype: bytes = DTYPE) -> bytes:
    state = b"(K\x01" + shape + dtype + b"\x89" + raw + b"t"
    return b"cnumpy.core.multiarray\n_reconstruct\n)R" + state + b"b"


def fields_of(*values: bytes) -> bytes:
    items = (b"X" + struct.pack("<I", len(str(i))) + str(i).encode() + value for i, value in enumerate(values))
    return b"\x80\x02}(" + b"".join(items) + b"u."


def doubled(levels: int, start: bytes = b")") -> bytes:
    """A tuple of 2**levels leaves, in two bytes a level."""
    return start + b"2\x86" * levels


def sparse(**fields: bytes) -> bytes:
    items = (b"X" + struct.pack("<I", len(key)) + key.encode() + value for key, value in fields.items())
    return b"cscipy.sparse\ncsc_matrix\n)\x81}(" + b"".join(items) + b"ub"


def integers(*values: int) -> bytes:
    raw = np.array(values, "<i4").tobytes()
    shape = b"J" + struct.pack("<i", len(values)) + b"\x85"
    data = b"B" + struct.pack("<I", len(raw)) + raw
    return array_of(shape, data, b"cnumpy\ndtype\nU\x02i4\x85R")


def int4(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


BOMBS: dict[str, tuple[bytes, str]] = {
    "a key nested sixty times": (b"\x80\x02}" + doubled(60) + b"Ns.", "keys must be texts of at most 256 letters"),
    "a key nested a million deep": (b"\x80\x02})" + b"\x85" * 1_000_000 + b"Ns.", "keys must be texts"),
    "a key in a DICT": (b"(" + doubled(60) + b"Nd.", "keys must be texts"),
    "a key of a megabyte": (b"\x80\x02}" + TEXT + b"Ns.", "keys must be texts of at most 256 letters"),
    "a key of many digits": (b"\x80\x02}\x8b\xff\0\0\0" + b"\x7f" * 255 + b"Ns.", "a whole number of 255 bytes"),
    "a sparse shape to print": (
        fields_of(sparse(_shape=doubled(28))), "a sparse matrix in it must have a shape; got (((...), (...)), ((...)"
    ),
    "an array's shape to print": (
        fields_of(array_of(doubled(28), b"C\x01a")), "uint8 [((...), (...)), ((...), (...))] does not fit its 1 bytes"
    ),
    "a field's state to print": (b"\x80\x02" + doubled(50) + b"Nb.", "gives a state to (((...), (...))"),
    "a call of what is nested": (b"\x80\x02" + doubled(50) + b")R.", "calls (((...), (...))"),
    "BYTEARRAY8 of 4 GiB": (b"\x80\x05\x96\0\0\0\0\1\0\0\0.", "byte 11 claims 4294967296 bytes, and 1 are left"),
    "BINBYTES8 of 2**62": (b"\x80\x04\x8e" + (1 << 62).to_bytes(8, "little"), "claims 4611686018427387904 bytes"),
    "BINUNICODE8 of 2**62": (b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little"), "claims 4611686018427387904 bytes"),
    "BINBYTES of 4 GiB": (b"\x80\x03B\xff\xff\xff\xff.", "claims 4294967295 bytes, and 1 are left"),
    "BINSTRING of less than nothing": (b"\x80\x02T\xff\xff\xff\xff.", "claims -1 bytes"),
    "LONG4 of 2 GiB": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "has a whole number of 2147483647 bytes"),
    "LONG4 of less than nothing": (b"\x80\x02\x8b\xff\xff\xff\xff.", "claims -1 bytes"),
    "FRAME of 2**62": (b"\x80\x04\x95" + (1 << 62).to_bytes(8, "little"), "a frame claims 4611686018427387904 bytes"),
    "LONG of a million digits": (b"L" + b"9" * 1_000_000 + b"L\n.", "has a name or a number of 1000001 letters"),
    "FLOAT of a million digits": (b"F0." + b"9" * 1_000_000 + b"\n.", "has a name or a number of 1000002 letters"),
    "a text encoded 3000 times": (
        b"\x80\x02]" + TEXT + b"c_codecs\nencode\nq\1" + b"h\1h\0\x85R" * 3000 + b".",
        "works on the same values over and over",
    ),
    "a tuple given 3000 times": (
        b"\x80\x02(" + b"N" * 10_000 + b"tq\0c_codecs\nencode\nq\1" + b"h\1h\0R" * 3000 + b".", "with (None, None, "
    ),
    "pairs ordered 3000 times": (
        b"\x80\x02](U\1aNeq\2(" + b"h\2" * 10_000 + b"lq\0ccollections\nOrderedDict\nq\1" + b"h\1h\0\x85R0" * 3000,
        "works on the same values over and over",
    ),
    "what are no pairs ordered": (b"\x80\x02ccollections\nOrderedDict\n]Na\x85R.", "it orders what are no pairs"),
    "a key nested sixty times in a pair": (
        b"\x80\x02ccollections\nOrderedDict\n](" + doubled(60) + b"Nla\x85R.", "keys must be texts"
    ),
    "one array's bytes 3000 times": (
        fields_of(array_of(int4(MIB) + b"\x85", RAW), *[array_of(int4(MIB) + b"\x85", b"h\0")] * 2999),
        "its arrays are out of proportion to the file",
    ),
    "a large matrix of nothing": (
        fields_of(sparse(_shape=int4(8192) + int4(4096) + b"\x86", indptr=integers(*[0] * 4097),
                         indices=integers(), data=integers())),
        "its arrays are out of proportion to the file",
    ),
    "a matrix with indices out of range": (
        fields_of(sparse(_shape=int4(2) + int4(1) + b"\x86", indptr=integers(0, 1), indices=integers(2),
                         data=integers(5))),
        "a sparse matrix in it of shape (2, 1) has indices out of range.",
    ),
    "a matrix of matrices": (
        fields_of(sparse(_shape=int4(1) + int4(1) + b"\x86", indptr=sparse(), indices=integers(), data=integers())),
        "a sparse matrix in it of shape (1, 1) has no usable contents.",
    ),
    "a chumpy value in itself": (
        b"\x80\x02}U\1acchumpy\nCh\n)\x81q\0}U\1xh\0sbs.", "is not a readable pickle (maximum recursion"
    ),
    "too many steps": (b"\x80\x02" + b"N0" * (MAX_STEPS // 2) + b".", f"takes more than {MAX_STEPS} steps"),
    "marks without end": (b"(" * 1_000_000, "is damaged before byte 1000000"),
    "a dict in itself": (b"\x80\x02}q\0U\1ah\0s0h\0\x85}h\0Ns.", "keys must be texts of at most 256 letters"),
    "a list that is added to itself": (b"\x80\x02]q\0h\0a(h\0h\0e.", "must hold a dict of FLAME's fields; got list"),
    "adds to a class": (b"\x80\x02cchumpy\nCh\nNa.", "it adds to <Global>, which is no list"),
    "sets keys of a class": (b"\x80\x02cchumpy\nCh\nU\1aNs.", "it sets keys of <Global>, which is no dict"),
    "a name of control characters": (b"\x80\x02c\x1b]0;x\x07\ny\n.", r"names \x1b]0;x\x07.y, which a FLAME model"),
    "a long name": (b"\x80\x02c" + b"m" * 200 + b"\ny\n.", "has a name or a number of 200 letters"),
    "a persistent id": (b"Pa\n.", "byte 0 asks for b'P', which no file of arrays needs"),
    "an extension": (b"\x80\x02\x82\1.", r"byte 2 asks for b'\x82'"),
    "a buffer from outside": (b"\x80\x05\x97.", r"byte 2 asks for b'\x97'"),
    "protocol 9": (b"\x80\x09.", "is of protocol 9; protocols 0 to 5 are read"),
    "a key without a value": (b"\x80\x02}(Nu.", "it has a key without a value"),
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused_in_time_and_memory(case: str) -> None:
    data, message = BOMBS[case]
    # Steps of one byte make values of up to 64; the arrays' budget is 64 MiB and sixteen times the file.
    mib = 100 if "arrays are out of proportion" in message else 4 + 80 * min(len(data), MAX_STEPS) / MIB
    assert message in refused(data, mib)


@pytest.mark.parametrize(("name", "message"), [
    ("hash.pkl", "keys must be texts of at most 256 letters, or numbers; got (((...), (...)), ((...), (...)))"),
    ("b8.pkl", "byte 11 claims 4294967296 bytes, and 0 are left"),
])  # fmt: skip
def test_pickles_of_the_field(shared_dir: Path, name: str, message: str) -> None:
    assert message in refused((shared_dir / "data/field/misuse" / name).read_bytes(), seconds=1)


def test_what_is_memoised_a_thousand_times_is_one_value() -> None:
    values: Any = value_of(b"\x80\x02](" + TEXT + b"h\0" * 999 + b"e.")
    assert len(values) == 1000
    assert all(value is values[0] for value in values)


def test_a_sparse_matrix_is_dense_in_the_end() -> None:
    data = sparse(_shape=int4(3) + int4(2) + b"\x86", indptr=integers(0, 2, 3), indices=integers(0, 2, 1),
                  data=integers(5, 6, 7))  # fmt: skip
    np.testing.assert_array_equal(load_fields("f", fields_of(data))["0"], [[5, 0], [0, 7], [6, 0]])


CODES = bytes(
    ord(code) for code in "().012IJKLMNFGSTUVXBCRabcdeghjlpqrstu]}\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"
    "\x90\x91\x92\x93\x94\x95\x96"
)  # fmt: skip
PIECES = [
    b"U\1aNs", b"(U\1bK\1u", b"q\1", b"h\0q\2\x30", b"]0", b"20", b"(]1", b"U\1ch\0s", b"(NN\x90", b"U\1d)\x85s",
    b"\x94",
]  # fmt: skip


def test_random_steps_end_in_a_value_or_an_error() -> None:
    rng = random.Random(7)
    seeds = [data for data, _ in BOMBS.values() if len(data) < 2000]
    endings = {"read": 0, "refused": 0}
    begin = time.process_time()
    for turn in range(6000):
        if turn % 2:
            data = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] = rng.choice(CODES) if rng.random() < 0.7 else rng.randrange(256)
        else:
            # Mostly pieces that leave the stack as it was, so that more than the first steps have something to do.
            pieces = [rng.choice(PIECES) for _ in range(rng.randrange(40))]
            pieces += [bytes([rng.choice(CODES)]) for _ in range(rng.randrange(3))]
            rng.shuffle(pieces)
            data = bytearray(b"}q\0" + b"".join(pieces) + b".")
        try:
            load_fields("f", bytes(data))
            endings["read"] += 1
        except AvatarInvalid as error:
            assert len(str(error)) < 700
            assert str(error).isprintable()
            endings["refused"] += 1
    assert time.process_time() - begin < 30
    assert min(endings.values()) > 20, endings
