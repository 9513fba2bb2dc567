"""The file `.env`: the variables that it sets, and the problem that each unreadable file causes."""

import os
from pathlib import Path

import pytest

from lexbridge.config.env_file import read_env_file
from lexbridge.errors import ConfigError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that the test may change."""
    changed = {"FROM_OUTSIDE": "outside"}
    monkeypatch.setattr(os, "environ", changed)
    return changed


def without_pytests(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables without pytest's own."""
    return {name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"}


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(content)
    return path


def refusals(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read_env_file(path)
    return [str(problem) for problem in raised.value.problems]


def test_a_file_that_is_not_there_has_no_names(tmp_path, environment):
    assert read_env_file(tmp_path / ".env") == frozenset()
    assert without_pytests(environment) == {"FROM_OUTSIDE": "outside"}


def test_what_it_has_goes_into_the_environment_which_wins(tmp_path, environment):
    lines = "\ufeffA=1\r\n# a comment\nexport B='2 # 3'\nC=4 # a comment\nFROM_OUTSIDE=file\nD=\nE\n"
    assert read_env_file(written(tmp_path, lines.encode())) == {"A", "B", "C", "D", "E", "FROM_OUTSIDE"}
    assert without_pytests(environment) == {"A": "1", "B": "2 # 3", "C": "4", "D": "", "FROM_OUTSIDE": "outside"}


@pytest.mark.parametrize(
    "content", ["A=1\nGREETING=Grüß Gott\n".encode("latin-1"), "A=1\n\x80".encode("latin-1") + b"\xff"]
)
def test_another_encoding_is_told_with_the_line(tmp_path, content, environment):
    path = written(tmp_path, content)
    assert refusals(path) == [f"{path}: is no UTF-8 text: see line 2; must be saved as UTF-8"]
    assert without_pytests(environment) == {"FROM_OUTSIDE": "outside"}


def test_utf_16_is_told(tmp_path):
    path = written(tmp_path, "A=1\n".encode("utf-16"))
    assert refusals(path) == [f"{path}: is no UTF-8 text: see line 1; must be saved as UTF-8"]
    assert refusals(written(tmp_path, b"A=\0")) == [f"{path}: holds a zero byte; must be saved as UTF-8"]


def test_a_folder_is_told(tmp_path):
    assert refusals(tmp_path) == [f"{tmp_path}: is a folder; must be a text file, or not be there"]


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    loop = tmp_path / ".env"
    loop.symlink_to(loop)
    assert refusals(loop) == [f"{loop}: cannot be read (Too many levels of symbolic links); must be readable"]


def test_an_unreadable_line_is_told_by_its_number_alone(tmp_path):
    path = written(tmp_path, b"A=1\n\n\nmy secret here\n# fine\nB='never closed\nC=3\n")
    rule = "must have one NAME=value a line, or a # before a comment"
    assert refusals(path) == [f"{path}: cannot be read in line {line}; {rule}" for line in (4, 6)]
