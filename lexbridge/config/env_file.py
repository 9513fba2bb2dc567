"""The file `.env`, which python-dotenv reads once into the environment. A variable that is set already stays.

What python-dotenv skips, or fails on with an error of its own, is reported here as a problem with the settings.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path

from dotenv import load_dotenv
from dotenv.parser import Binding, parse_stream

from lexbridge.errors import ConfigError, Problem

_FORM = "must have one NAME=value a line, or a # before a comment"


def read_env_file(path: Path) -> frozenset[str]:
    """Put the variables of the file into the environment of the process, and return their names.

    Without such a file there are none. Raises ConfigError if the file cannot be read.
    """
    text = _read(path)
    bindings = list(parse_stream(io.StringIO(text)))
    if problems := list(_problems(path, bindings)):
        raise ConfigError(problems)
    load_dotenv(stream=io.StringIO(text))  # boto3 finds its own variables in the environment
    return frozenset(binding.key for binding in bindings if binding.key is not None)


def _read(path: Path) -> str:
    """Return the text of the file, or "" if there is no file. Raises ConfigError if it cannot be read."""
    if path.is_dir():
        raise ConfigError([Problem(os.fspath(path), "is a folder", "must be a text file, or not be there")])
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(
            [Problem(os.fspath(path), f"cannot be read ({error.strerror})", "must be readable")]
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"is no UTF-8 text: see line {line}"
        raise ConfigError([Problem(os.fspath(path), wrong, "must be saved as UTF-8")]) from error
    if "\0" in text:
        raise ConfigError([Problem(os.fspath(path), "holds a zero byte", "must be saved as UTF-8")])
    return text


def _problems(path: Path, bindings: list[Binding]) -> Iterator[Problem]:
    """Yield the lines that python-dotenv cannot read, without their text, because that may be a secret."""
    for binding in bindings:
        if binding.error:
            # python-dotenv counts the empty lines and comments before a line as the line's beginning.
            text = binding.original.string
            line = binding.original.line + len(text[: len(text) - len(text.lstrip())].splitlines())
            yield Problem(os.fspath(path), f"cannot be read in line {line}", _FORM)
