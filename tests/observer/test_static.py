"""The console's static files: vendored libraries are what their table says, and no page breaks the security policy."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.support.packages import ROOT

STATIC = ROOT / "lexbridge/observer/static"
VENDOR = STATIC / "vendor"
TABLE = re.compile(
    r"^\| `([\w/.-]+)` \| [^|]+ \| [^|]+ \| `[^`]+` \| `([0-9a-f]{64})` \| `([0-9a-f]{64})` \|$", re.MULTILINE
)
OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and VENDOR not in path.parents)
SCRIPTS = [path for path in OWN if path.suffix == ".js"]
MOST_LINES = 300
"""Lines of a module of the console at most, because a longer one is about more than one thing."""


def rows() -> dict[str, str]:
    """Return the sha256 of each vendored file, as the table has it."""
    return {name: here for name, _, here in TABLE.findall((VENDOR / "README.md").read_text(encoding="utf-8"))}


def test_vendored_files_are_what_the_table_says() -> None:
    files = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name not in {"LICENSE", "README.md"}
    }
    assert files == rows()


def test_every_vendored_folder_has_its_licence() -> None:
    for folder in {path.parent for path in VENDOR.rglob("*.js")}:
        assert (folder / "LICENSE").read_text(encoding="utf-8").strip(), folder


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.js")), ids=lambda path: path.name)
def test_imports_are_relative_and_exist(path: Path) -> None:
    """A browser without an import map knows relative paths alone, and a page must load nothing from another host."""
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([\w@./-]+)["']""", text):
        assert target.startswith("."), (path.name, target)
        assert (path.parent / target).resolve().is_file(), (path.name, target)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_loads_from_another_host(path: Path) -> None:
    if path.suffix in {".js", ".html", ".css"}:
        hosts = re.findall(r"https?://[\w.-]+", path.read_text(encoding="utf-8"))
        assert {host for host in hosts if host != "http://www.w3.org"} == set()


def test_pages_have_no_inline_script_or_style() -> None:
    """The Content-Security-Policy has no 'unsafe-inline': such a script or style would not work."""
    for path in STATIC.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert re.search(r"<script(?![^>]*\bsrc=)", text) is None, path
        assert re.search(r"<style|\sstyle=|\son[a-z]+=", text) is None, path


def test_scripts_evaluate_no_text() -> None:
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"\beval\(|new Function\(|innerHTML|insertAdjacentHTML|document\.write", text) is None, path


def test_no_script_is_too_long() -> None:
    for path in SCRIPTS:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, path
