"""The layout of the tests: folders as the packages have them, and helpers in `tests/support/`."""

import ast

from tests.support.packages import ROOT, imported_names

TESTS = ROOT / "tests"
BESIDE = {"bench", "deploy", "e2e", "support", "data"}
"""Folders of `tests/` that belong to no package of lexbridge."""
MAX_LINES = 500
"""Lines of a Python file of `tests/` at most, because a longer file is about more than one thing."""
MAX_NAME_CHARACTERS = 60
"""Characters of a test's name at most, because a longer name is not read; the docstring tells the story."""


def test_folders_of_tests_mirror_the_packages() -> None:
    packages = {path.parent.name for path in ROOT.glob("lexbridge/*/__init__.py")}
    folders = {path.parent.name for path in TESTS.glob("*/*") if path.parent.name != "__pycache__"}
    assert folders == packages | BESIDE


def test_test_modules_do_not_import_each_other() -> None:
    """Test modules share their helpers through `tests/support/`."""
    for path in TESTS.glob("**/*.py"):
        of_tests = {name for name in imported_names(path) if name.startswith("tests.")}
        assert {name for name in of_tests if not name.startswith("tests.support.")} == set(), path


def test_no_file_of_tests_is_too_long() -> None:
    for path in TESTS.glob("**/*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES, path


def test_no_name_of_a_test_is_too_long() -> None:
    for path in TESTS.glob("**/test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert len(node.name) <= MAX_NAME_CHARACTERS, f"{path}: {node.name}"
