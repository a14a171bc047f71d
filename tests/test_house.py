"""The rooms keep to themselves: import rules, names, and what the repository must hold."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("core", "ingest", "indexes", "llm", "app")
MAY_IMPORT = {
    "core": {"core"},
    "ingest": {"ingest", "core"},
    "indexes": {"indexes", "core"},
    "llm": {"llm", "core"},
    "app": set(ROOMS),
}
DOORS = {"llm/__main__.py": {"app"}}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    for path in modules(room):
        name = path.relative_to(ROOT).as_posix()
        forbidden = (imported(path) & set(ROOMS)) - MAY_IMPORT[room] - DOORS.get(name, set())
        assert not forbidden, f"{name} imports {forbidden}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_the_one_of_this_repository(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().is_relative_to(ROOT)


@pytest.mark.parametrize("room", ROOMS)
def test_every_folder_of_a_room_is_a_package(room: str) -> None:
    for path in modules(room):
        assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


def test_no_module_is_named_like_the_standard_library_or_a_dependency() -> None:
    taken = sys.stdlib_module_names | set(packages_distributions())
    for room in ROOMS:
        for path in (ROOT / room).glob("*.py"):
            assert path.stem in ("__init__", "__main__") or f"{room}.{path.stem}" not in taken
    assert not {path.stem for path in (ROOT / "tests").glob("*.py")} & sys.stdlib_module_names


def test_nothing_is_pickled_by_the_rooms() -> None:
    for room in ROOMS:
        for path in modules(room):
            assert not imported(path) & {"pickle", "dill", "joblib", "shelve"}, f"{path} imports a pickler"


def test_no_module_does_more_than_define_when_imported() -> None:
    """A call at the top level, other than of a decorator or a definition's value, is a side effect."""
    for room in ROOMS:
        for path in modules(room):
            for node in ast.parse(path.read_text("utf-8")).body:
                bare_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
                assert not bare_call, f"{path.relative_to(ROOT)}:{node.lineno} calls something when imported"
