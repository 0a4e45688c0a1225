"""The house has floors: modules import from their own floor's package or from below."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
FACTOR = CHECKOUT / "factor"

#: From top to bottom; a package may import from lower floors and from itself.
FLOORS = (
    {"cli"},
    {"process"},
    {"flow", "preparation", "progress", "archive"},
    {"operations"},
    {"execution"},
    {"tools", "products", "tuning", "directions", "observation", "state", "skymodels"},
    {"workspace", "parset", "files", "errors", "log"},
)
#: Within the recipe, from top to bottom: the operations themselves, then its rooms, and what all know.
OPERATIONS = ("", "calibration", "imaging", "visibilities", "layout", "base")
#: These know no operation and no other room of their floor; the others may use them.
GROUND = {"tools", "tuning"}
#: Only these may start processes.
STARTS_PROCESSES = {"tools/runner.py"}
#: Read environment variables when they are loaded, so only functions may import them.
LATE = {"casacore", "everybeam"}

MODULES = sorted(FACTOR.rglob("*.py"))


def floor(package: str) -> int:
    floors = [number for number, packages in enumerate(FLOORS) if package in packages]
    assert floors, f"factor.{package} has no floor yet: give it one here"
    return floors[0]


def package_of(path: Path) -> str:
    return path.relative_to(FACTOR).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> list[str]:
    """Dotted names of everything a module imports, ``from a import b`` as ``a.b``."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def name_of(path: Path) -> str:
    return str(path.relative_to(FACTOR))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    """An import upwards makes a knot that no one can untie later."""
    own = package_of(path)
    if own == "__init__":
        return
    for name in imported(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] != "factor" or len(parts) < 2 or parts[1] in (own, "__version__"):
            continue
        same_floor = floor(parts[1]) == floor(own)
        assert floor(parts[1]) >= floor(own), f"{own} must not import {name}"
        assert not (same_floor and own in GROUND and parts[1] not in GROUND), f"{own} must not import {name}"


def storey(parts: Sequence[str]) -> int:
    """Where in `OPERATIONS` a module is, by the parts of its name below factor.operations."""
    room = parts[0].removesuffix(".py") if parts else ""
    return OPERATIONS.index(room) if room in OPERATIONS else 0


@pytest.mark.parametrize("path", sorted((FACTOR / "operations").rglob("*.py")), ids=name_of)
def test_rooms_of_the_recipe_point_down(path: Path) -> None:
    """An operation is made of its rooms, and a room knows only those below it."""
    own = path.relative_to(FACTOR / "operations").parts
    assert len(own) == 1 or own[0] in OPERATIONS, f"factor.operations.{own[0]} has no place yet: give it one"
    for name in imported(ast.parse(path.read_text())):
        if name.startswith("factor.operations."):
            assert storey(name.split(".")[2:]) >= storey(own), f"{'/'.join(own)} must not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_runner_starts_processes(path: Path) -> None:
    """One module starts, watches and ends processes."""
    names = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
    assert "subprocess" not in names or name_of(path) in STARTS_PROCESSES
    assert "pickle" not in names


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_casacore_is_imported_late(path: Path) -> None:
    """The environment must be set before casacore or everybeam is loaded."""
    tree = ast.parse(path.read_text())
    top_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in top_level:
        for name in imported(node):
            assert name.split(".")[0] not in LATE, f"line {node.lineno}: import it inside the function"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_sizes(path: Path) -> None:
    """Modules of at most 400 lines, functions of at most 60: a page each."""
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"
