"""The packages of lexbridge, and which of them may import which."""

import ast
from collections.abc import Iterator
from pathlib import Path

import lexbridge

ROOT = Path(lexbridge.__file__).parent
ORDER = ["phrases", "logs", "errors", "audio", "net", "config", "lex", "call", "twilio", "bridge", "web", "server"]
"""Each package imports packages that stand before it."""
NOT_YET = {
    ("audio", "config"),
    ("call", "twilio"),
    ("net", "server"),
    ("net", "web"),
}
"""Imports against the order, to be turned round."""
PROTOCOLS = {("lex", "LexRuntime"), ("twilio", "CallControl")}


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """Each (package or module of lexbridge, name) that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            names = [(f"{node.module}.{alias.name}", alias.name) for alias in node.names]
        else:
            names = [(alias.name, "") for alias in node.names] if isinstance(node, ast.Import) else []
        yield from ((full.split(".")[1], name) for full, name in names if full.startswith("lexbridge."))


def test_every_package_is_in_the_order() -> None:
    modules = {path.stem for path in ROOT.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert modules | packages == {*ORDER, "offline"}


def test_each_package_imports_only_what_stands_before_it() -> None:
    for at, package in enumerate(ORDER):
        for path in [*ROOT.glob(f"{package}.py"), *ROOT.glob(f"{package}/**/*.py")]:
            found = {found for found, _ in imports_of(path)} - {*ORDER[:at], package, "__version__"}
            assert {(package, other) for other in found} <= NOT_YET, f"{path.name} imports {found}"


def test_nothing_imports_offline() -> None:
    for package in ORDER:
        for path in [*ROOT.glob(f"{package}.py"), *ROOT.glob(f"{package}/**/*.py")]:
            assert "offline" not in {found for found, _ in imports_of(path)}, path
