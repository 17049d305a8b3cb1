# SPDX-License-Identifier: Apache-2.0
"""What holds for the repository as a whole."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import talksplat

ROOT = Path(__file__).resolve().parents[1]
SOURCE_SUFFIXES = {".py", ".pyi", ".cc", ".c", ".h", ".cu", ".cmake", ".sh"}
MAX_BYTES = 2_500_000
# The built-in avatar travels in the wheel.
MAX_BYTES_OF = {"runtime/talksplat/assets/demo.tsplat": 4_000_000}
MAX_LINES = 600


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """Files that git tracks, or would."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files belong to the project is unknown")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in found if path.is_file()]


def text_of(path: Path) -> str | None:
    """The file's text, or None if it is binary."""
    data = path.read_bytes()
    return None if b"\0" in data[:8192] else data.decode("utf-8")


def lines_matching(files: list[Path], pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in files:
        if path == Path(__file__):
            continue
        for number, line in enumerate((text_of(path) or "").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


def test_files_are_small(files: list[Path]) -> None:
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in files}
    assert not {name: size for name, size in sizes.items() if size > MAX_BYTES_OF.get(name, MAX_BYTES)}


def test_source_files_hold_one_idea(files: list[Path]) -> None:
    sources = [path for path in files if path.suffix in SOURCE_SUFFIXES or path.name == "CMakeLists.txt"]
    assert sources
    long = {str(path.relative_to(ROOT)): n for path in sources if (n := len(path.read_text().splitlines())) > MAX_LINES}
    assert not long


def test_sources_state_their_licence(files: list[Path]) -> None:
    """In each source's first three lines, for tools and people that see one file alone."""
    sources = [path for path in files if path.suffix in SOURCE_SUFFIXES or path.name in ("CMakeLists.txt", "Makefile")]
    assert sources
    identifier = "SPDX-License-Identifier: Apache-2.0"
    heads = {path: "".join(path.read_text().splitlines(keepends=True)[:3]) for path in sources}
    assert not [str(path.relative_to(ROOT)) for path, head in heads.items() if identifier not in head]


def test_no_machine_paths(files: list[Path]) -> None:
    assert not lines_matching(files, re.compile(r"(?<![\w./])/(work|tmp|root|home|Users)/"))


def test_nothing_is_left_for_later(files: list[Path]) -> None:
    assert not lines_matching(files, re.compile(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b"))


def test_oldest_versions_agree() -> None:
    """What `make pythons` installs as the oldest dependencies begins with the bounds that users are told."""
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.M | re.S)
    encoders = re.search(r"^encoders = \[(.*?)\]", project, re.M)
    assert listed and encoders
    wanted = listed[1] + encoders[1]
    bounds = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', wanted))
    assert set(bounds) == set(re.findall(r'"([\w-]+)[^",]*"', wanted))
    oldest: dict[str, list[tuple[int, ...]]] = {}
    for name, version in re.findall(r"^([\w-]+)==([\d.]+)", (ROOT / "tests" / "oldest.txt").read_text(), re.M):
        oldest.setdefault(name, []).append(tuple(int(part) for part in version.split(".")))
    assert set(oldest) == set(bounds)
    for name, bound in bounds.items():
        parts = tuple(int(part) for part in bound.split("."))
        assert min(oldest[name])[: len(parts)] == parts, name


def test_versions_agree() -> None:
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    cmake = re.search(r"^project\(talksplat VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)
    assert project and cmake
    assert project[1] == cmake[1] == talksplat.__version__


def test_changelog_is_in_order() -> None:
    """What is not released comes first, then every version down from this one; the kinds of entries are few."""
    text = (ROOT / "CHANGELOG.md").read_text()
    first, *versions = re.findall(r"^## (.+)$", text, re.M)
    assert first == "Unreleased"
    assert versions[0] == talksplat.__version__
    numbers = [tuple(int(part) for part in version.split(".")) for version in versions]
    assert numbers == sorted(set(numbers), reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= kinds


def test_pythons_agree() -> None:
    """The classifiers name the Pythons that `make pythons` tries with old dependencies too, from the oldest allowed."""
    project = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    oldest = re.search(r'^requires-python = ">=(.+)"$', project, re.M)
    tried = re.findall(r'^numpy==\S+; python_version == "(.+)"$', (ROOT / "tests" / "oldest.txt").read_text(), re.M)
    assert oldest and named[0] == oldest[1]
    assert named == tried


def test_one_place_for_the_abi(files: list[Path]) -> None:
    """CMake reads the SOVERSION from the header, so that a number beside it cannot be forgotten."""
    (abi,) = re.findall(r"^#define TS_ABI_VERSION (\d+)$", (ROOT / "csrc/include/talksplat.h").read_text(), re.M)
    assert int(abi) >= 1
    assert re.findall(r"SOVERSION (\S+)\)", (ROOT / "CMakeLists.txt").read_text()) == ["${TALKSPLAT_ABI_VERSION}"]
    defined = lines_matching(files, re.compile(r"^#define TS_ABI_VERSION"))
    assert len(defined) == 1, defined


def test_makefile_installs_what_the_build_requires() -> None:
    requires = re.search(r"^requires = \[(.+)\]$", (ROOT / "pyproject.toml").read_text(), re.M)
    installs = re.search(r"^BUILD_REQUIRES := (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert requires and installs
    assert set(re.findall(r'"(.+?)"', requires[1])) == set(re.findall(r'"(.+?)"', installs[1]))


def test_makefile_installs_the_cuda_build_extra() -> None:
    extra = re.search(r"^cuda-build = \[(.+)\]$", (ROOT / "pyproject.toml").read_text(), re.M)
    installs = re.search(r"^CUDA_BUILD := (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert extra and installs
    assert set(re.findall(r'"(.+?)"', extra[1])) == set(re.findall(r'"(.+?)"', installs[1]))


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)


@pytest.mark.parametrize(("page", "one"), [("README.md", "demo"), ("CONTRIBUTING.md", "lint")])
def test_make_targets_exist(page: str, one: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.M))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert one in named
    assert named <= targets


def headings(page: Path) -> set[str]:
    """The names by which a page's headings are linked to."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_links_between_pages_exist(files: list[Path]) -> None:
    """Every relative link of every page leads to a file, and to a heading where it names one."""
    broken, n_links = [], 0
    for page in (path for path in files if path.suffix == ".md"):
        for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text()):
            n_links += 1
            name, _, heading = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists() or (heading and heading not in headings(target)):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert n_links > 20
    assert not broken


def test_contributing_names_files_that_exist() -> None:
    """What CONTRIBUTING calls by its path is there; OP stands for any op's name."""
    named = re.findall(r"`((?:csrc|tests|bench|runtime|python)/[\w./*]+)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert named
    assert not [name for name in named if not list(ROOT.glob(name.replace("OP", "project")))]


def test_readme_c_is_the_examples() -> None:
    """README shows the hearts of examples/live.c and speak.c as they are there, where they are compiled and run."""
    for code, name in zip(readme_blocks("c"), ("live.c", "speak.c"), strict=True):
        assert len(code.splitlines()) <= 15
        assert textwrap.indent(code, "  ") in (ROOT / "examples" / name).read_text()


def test_readme_command_lines_exist() -> None:
    """Every `talksplat COMMAND --option` of README's shell blocks is one that the command's help knows."""
    commands = [line for block in readme_blocks("sh") for line in block.splitlines() if line.startswith("talksplat ")]
    assert commands
    for line in commands:
        name, *words = line.partition("#")[0].split()[1:]
        command = [name, words.pop(0)] if name == "encoder" else [name]
        shown = subprocess.run(
            [Path(sys.executable).with_name("talksplat"), *command, "--help"],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"},
        )
        assert shown.returncode == 0, f"{line}\n{shown.stderr}"
        for option in (word for word in words if word.startswith("-") and len(word) > 1):
            known = re.search(rf"(?<![\w-]){re.escape(option)}\b", shown.stdout)
            assert known, f"{line}: {option} is not in\n{shown.stdout}"


def test_readme_python_runs(demo_avatar: Path, tmp_path: Path) -> None:
    """README's Python, as written, in a folder that has the files it names."""
    shutil.copy(demo_avatar, tmp_path / "head.tsplat")
    for code in readme_blocks("python"):
        ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
