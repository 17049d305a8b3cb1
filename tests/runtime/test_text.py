# SPDX-License-Identifier: Apache-2.0
"""Values of strangers in messages: short and printable, whatever they are."""

import time

import pytest

from talksplat._text import listed, shortened, shown


def nested(levels: int) -> object:
    value: object = ()
    for _ in range(levels):
        value = (value, value)
    return value


@pytest.mark.parametrize(("value", "text"), [
    ("a'b", '"a\'b"'), ("\x1b[2J\u202e", r"'\x1b[2J\u202e'"), ("\udcff", r"'\udcff'"), (None, "None"), (True, "True"),
    (-7, "-7"), (0.5, "0.5"), (2**256, "a whole number of 257 bits"), ([], "[]"), ((), "()"), ((1,), "(1,)"),
    ([1, (2, [3])], "[1, (2, [...])]"), ({"a": [1]}, "{'a': ...}"), (b"xyz", "<bytes>"),
    ("x" * 100, "'" + "x" * 79 + "..."),
    (list(range(10_000)), "[" + ", ".join(map(str, range(22))) + ", ... (10000 in all)]"),
])  # fmt: skip
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_what_is_nested_is_not_walked() -> None:
    begin = time.perf_counter()
    assert shown(nested(60)) == "(((...), (...)), ((...), (...)))"
    whole: list[object] = []
    whole.append(whole)
    assert shown(whole) == "[[[...]]]"
    assert len(shown([["x" * 1000] * 1000] * 1000)) < 500
    assert time.perf_counter() - begin < 1


def test_listed_has_at_least_one() -> None:
    assert listed([], 0) == ""
    assert listed(["x" * 500, "y"], 2) == "x" * 500 + ", ... (2 in all)"
    assert listed(iter(["a", "b"]), 2) == "a, b"


def test_shortened() -> None:
    assert shortened("could not convert: 'a\n'") == r"could not convert: 'a\x0a'"
    assert shortened("\x1b" * 1000, 8) == r"\x1b\x1b..."
