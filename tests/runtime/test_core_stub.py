# SPDX-License-Identifier: Apache-2.0
"""_core.pyi says of every call of the core what the binding says of itself.

mypy's stubtest (`make lint`) compares which names there are. It cannot see how compiled functions are called: pybind11
writes that into the first line of their docstrings, which is read here.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import talksplat
from talksplat import _core

STUB = ast.parse(Path(talksplat.__file__).with_name("_core.pyi").read_text("utf-8"))


class Call(NamedTuple):
    """How something is called, as far as both sides can say it."""

    names: list[str]
    defaults: list[str | None]  # of the last parameters; None: one that no Python source can spell
    may_be_none: list[bool]
    result: str


def call_of(function: ast.FunctionDef) -> Call:
    parameters = [one for one in (*function.args.posonlyargs, *function.args.args) if one.arg not in ("self", "arg0")]
    types = ["" if one.annotation is None else ast.unparse(one.annotation) for one in parameters]
    defaults = [ast.unparse(one) for one in function.args.defaults]
    result = "" if function.returns is None else ast.unparse(function.returns)
    return Call(
        [one.arg for one in parameters],
        [None if one == "..." else one for one in defaults],
        ["None" in kind or "Optional" in kind for kind in types],
        result.partition("[")[0].rpartition(".")[2].replace("ndarray", "NDArray"),
    )


def bound_call(value: Any) -> Call:
    """Of the core's own function, method or property."""
    line = (value.fget if isinstance(value, property) else value).__doc__.splitlines()[0]
    line = re.sub(r"<[^<>]*>", "...", line)  # an enumeration's value
    source = line if not line.startswith("(") else f"anonymous{line}"
    function = ast.parse(f"def {source}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    return call_of(function)


def written() -> Iterator[Any]:
    """(dotted name, definition) of the stub's calls: functions, methods and properties, not those of enumerations."""
    for node in STUB.body:
        if isinstance(node, ast.FunctionDef):
            yield pytest.param(node.name, node, id=node.name)
        elif isinstance(node, ast.ClassDef) and hasattr(_core, node.name):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    yield pytest.param(f"{node.name}.{member.name}", member, id=f"{node.name}.{member.name}")


@pytest.mark.parametrize(("name", "definition"), list(written()))
def test_stub_says_how_the_core_is_called(name: str, definition: ast.FunctionDef) -> None:
    value: Any = _core
    for part in name.split("."):
        value = getattr(value, part)
    assert isinstance(value, property) == any(ast.unparse(one) == "property" for one in definition.decorator_list)
    assert call_of(definition) == bound_call(value)


def test_a_call_is_read_as_pybind11_writes_it() -> None:
    def read(self: object, camera: object | None, precision: object = ..., rate: float = 1.0) -> dict[str, float]: ...

    signature = "self: m.A, camera: m.Camera | None, precision: m.P = <P.FAST: 1>, rate: float = 1.0"
    read.__doc__ = f"read({signature}) -> dict\n\n"
    assert bound_call(read) == Call(["camera", "precision", "rate"], [None, "1.0"], [True, False, False], "dict")
    read.__doc__ = "(arg0: m.A) -> m.Receipt\n"
    assert bound_call(property(read)) == Call([], [], [], "Receipt")
