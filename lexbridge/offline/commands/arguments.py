"""Types of the commands' arguments: what cannot work is refused before any work is done, in one sentence."""

import argparse
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from lexbridge.config.parsers import parse_whole


def new_file(ending: str) -> Callable[[str], Path]:
    """A file to be written, whose name ends in `ending`. It may be there, and its folder has to be."""

    def parse(text: str) -> Path:
        path = Path(text)
        if path.suffix.lower() != ending:
            raise argparse.ArgumentTypeError(f"{text} has to end in {ending}")
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{text} is a folder")
        _check_folder(path.parent)
        if path.exists() and not os.access(path, os.W_OK):
            raise argparse.ArgumentTypeError(f"{text} is there and cannot be written")
        return path

    return parse


def new_folder(text: str) -> Path:
    """A folder for files to be written into: it is there, or can be made. Nothing is made before the work begins."""
    path = Path(text)
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{there} is no folder")
    _check_folder(there)
    return path


def port(text: str) -> int:
    """A port to listen on; 0 is any."""
    number = parse_whole(text, 0, 65535)
    if number is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return number


def http_address(text: str) -> str:
    """An address that http or https leads to."""
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise argparse.ArgumentTypeError(f"{text!r} is no address, such as http://127.0.0.1:8080/twiml")
    return text


def seconds(text: str) -> float:
    """Return a length of time in seconds, from 0 to a day."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def day(text: str) -> date:
    """A date as ISO 8601 has it."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date, such as 2026-11-28") from error


def setting(text: str) -> tuple[str, str]:
    """A name and a value with = between them."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=value")
    return name, value


def _check_folder(folder: Path) -> None:
    """Return whether a file can be written into `folder`."""
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"the folder {folder} cannot be written into")
