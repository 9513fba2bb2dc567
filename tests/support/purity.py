"""Needs of a test, read off its imports: gevent, or whole programs that it starts."""

import ast
from collections.abc import Callable, Iterable, Iterator
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
    return _reaches(path, lambda name: name.split(".")[0] == "gevent")


def starts_programs(path: Path) -> bool:
    """Return whether the test module at `path` starts `server.py` or another program."""
    starters = tuple(f"tests.support.{name}." for name in STARTERS)
    return _reaches(path, lambda name: f"{name}.".startswith(starters))


def _reaches(path: Path, is_sought: Callable[[str], bool]) -> bool:
    found: set[Path] = set()
    unread = [path]
    while unread:
        module = unread.pop()
        if module in found:
            continue
        found.add(module)
        for name in _imported(module):
            if is_sought(name):
                return True
            unread += _files_of(name)
    return False


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
