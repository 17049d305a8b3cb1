# SPDX-License-Identifier: Apache-2.0
"""Directions of imports: what a module uses stands below it, wherever in the module the import is written.

Imports inside functions (for start-up speed) and under TYPE_CHECKING count like all others: a circle that only runs
later, or only in a type checker, still makes a reader go round in it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "talksplat"
AUTHORING = f"{PACKAGE}.authoring"
CLI = f"{PACKAGE}.cli"
# The core is compiled; its stub stands for it.
SUFFIXES = (".py", ".pyi")
# What the runtime may use of others: its dependencies that are not for importing avatars. It never needs torch.
RUNTIME_USES = {"numpy", "av", "typer", "rich"}
# And encoders of speech, each when it is used: what reads their folders, and engines that need not be installed.
ENCODERS_USE = {"safetensors", "onnxruntime", "openvino"}

Graph = Mapping[str, set[str]]  # module → what it imports: modules of the tree, and top-level names of others


def modules_under(folder: Path, package: str) -> dict[str, Path]:
    """Module name → file; a package's name stands for its __init__."""
    found = {}
    for path in sorted(path for suffix in SUFFIXES for path in folder.rglob(f"*{suffix}")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


def imports_of(module: str, path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Modules of the tree that a module imports, and the top-level names of all others.

    Importing a module runs its packages, too: those that the importer is not inside of are among them.
    """
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            within = [f"{source}.{alias.name}" for alias in node.names]
            named = [name if name in modules else source for name in within]
        else:
            continue
        for name in named:
            if name not in modules:
                yield name.partition(".")[0]
                continue
            yield name
            packages = [name[:end] for end in range(len(name)) if name[end] == "."]
            yield from (outer for outer in packages if not f"{module}.".startswith(f"{outer}."))


def graph_of(modules: Mapping[str, Path]) -> Graph:
    return {name: set(imports_of(name, path, modules)) for name, path in modules.items()}


def circle_in(graph: Graph) -> str | None:
    """A circle of imports in words, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " is imported by ".join(error.args[1])
    return None


@pytest.fixture(scope="module")
def graph() -> Graph:
    runtime = modules_under(ROOT / "runtime" / "talksplat", PACKAGE)
    return graph_of({**runtime, **modules_under(ROOT / "python" / "authoring", AUTHORING)})


def in_room(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def runtime_of(graph: Graph) -> dict[str, set[str]]:
    return {name: uses for name, uses in graph.items() if not in_room(name, AUTHORING)}


def importers(graph: Graph, room: str) -> set[str]:
    """Modules outside a room that import something in it."""
    return {
        name for name, uses in graph.items() if not in_room(name, room) and any(in_room(used, room) for used in uses)
    }


def test_no_circles(graph: Graph) -> None:
    assert circle_in(graph) is None


def test_runtime_stands_below_authoring(graph: Graph) -> None:
    commands = ("bench", "convert", "encoder", "example", "voice")
    assert importers(graph, AUTHORING) == {f"{CLI}.{command}" for command in commands}


def test_runtime_uses_few_packages(graph: Graph) -> None:
    for name, uses in runtime_of(graph).items():
        others = {used for used in uses if used not in graph} - set(sys.stdlib_module_names)
        assert others <= RUNTIME_USES | (ENCODERS_USE if in_room(name, f"{PACKAGE}.encoders") else set()), name


def test_only_main_imports_the_command_line(graph: Graph) -> None:
    assert importers(graph, CLI) == {f"{PACKAGE}.__main__"}


def test_nothing_below_the_command_line_imports_the_whole_package(graph: Graph) -> None:
    whole = {name for name, uses in graph.items() if PACKAGE in uses}
    assert {name for name in whole if not in_room(name, CLI) and not in_room(name, AUTHORING)} == set()


def test_private_modules_stand_below_public_ones(graph: Graph) -> None:
    # Errors are what even the lowest module raises.
    for name, uses in runtime_of(graph).items():
        if name.rpartition(".")[2].startswith("_") and name != f"{PACKAGE}.__main__":
            above = [used for used in uses if used in graph and not used.rpartition(".")[2].startswith("_")]
            assert set(above) <= {f"{PACKAGE}.errors"}, name


def tree(folder: Path, files: Mapping[str, str]) -> Graph:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return graph_of(modules_under(folder, "p"))


@pytest.mark.parametrize(
    "back",
    [
        "from . import a",
        "from .a import x",
        "import p.a",
        "from p.a import x",
        "def f():\n    from . import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import x",
    ],
)
def test_every_kind_of_import_makes_a_circle(tmp_path: Path, back: str) -> None:
    found = circle_in(tree(tmp_path, {"__init__.py": "from .a import x", "a.py": "from .b import y", "b.py": back}))
    assert found is not None
    assert set(found.split(" is imported by ")) == {"p.a", "p.b"}


def test_importing_a_module_runs_its_package(tmp_path: Path) -> None:
    inside = {"__init__.py": "", "a.py": "from .q.low import x", "q/low.py": "", "q/high.py": "from ..a import x"}
    assert circle_in(tree(tmp_path, {**inside, "q/__init__.py": ""})) is None
    assert circle_in(tree(tmp_path, {**inside, "q/__init__.py": "from .high import x"})) is not None


def test_packages_of_others_are_named(tmp_path: Path) -> None:
    graph = tree(
        tmp_path, {"__init__.py": "", "a.py": "import torch.nn\nfrom os import path\nfrom . import b", "b.py": ""}
    )
    assert graph["p.a"] == {"torch", "os", "p.b"}
