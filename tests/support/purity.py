"""Needs of a test, read off its imports: gevent, whole programs that it starts, a browser, or no code at all."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("lexbridge", "bench", "tests", "server")
"""The importable names at the top of this repository."""


STARTERS = ("server_process", "supervised_workers", "processes", "commands")
"""The modules of tests/support whose users start `server.py` and other programs."""


def needs_gevent(path: Path) -> bool:
    """Return whether importing the Python file `path` imports gevent, by way of other modules too.

    An import within a function does not count: it is there so that importing the module stays cheap.
    """
    return _is_imported(path, "gevent")


def starts_programs(path: Path) -> bool:
    """Return whether the test module at `path` starts `server.py` or another program."""
    return _is_imported(path, *(f"tests.support.{name}" for name in STARTERS))


def opens_pages(path: Path) -> bool:
    """Return whether the test module at `path` opens pages in a browser."""
    return _is_imported(path, "tests.support.browser")


def runs_code(path: Path) -> bool:
    """Return whether the test module at `path` runs code of ours in its process, instead of only reading files."""
    return _is_imported(path, "lexbridge", "bench", "server")


def has_properties(path: Path) -> bool:
    """Return whether the test module at `path` has tests for which Hypothesis finds examples."""
    return any(name.split(".")[0] == "hypothesis" for name in _imported(path))


def _is_imported(path: Path, *names: str) -> bool:
    """Return whether the module at `path` imports one of these packages and modules, or something of them."""
    sought = tuple(f"{name}." for name in names)
    return any(f"{name}.".startswith(sought) for name in _reached(path))


@cache
def _reached(path: Path) -> frozenset[str]:
    """Return the dotted names that the module at `path` imports, by way of our other modules too."""
    names: set[str] = set()
    read: set[Path] = set()
    unread = [path]
    while unread:
        module = unread.pop()
        if module in read:
            continue
        read.add(module)
        new = _imported(module) - names
        names |= new
        for name in new:
            unread += _files_of(name)
    return frozenset(names)


@cache
def _imported(path: Path) -> frozenset[str]:
    """Return the dotted names that the module at `path` imports. `from a import b` may be the module `a.b`."""
    names: set[str] = set()
    for node in _statements(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, those below `if` and `try` too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


@cache
def _files_of(name: str) -> list[Path]:
    """Return the files of this repository that importing the dotted `name` runs: packages, then the module."""
    parts = name.split(".")
    if parts[0] not in OURS:
        return []
    places = [ROOT.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
    files = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return [file for file in files if file.exists() and file != ROOT / "tests" / "conftest.py"]
