"""`python -m lexbridge.offline replay FILE`: what today's endpointing makes of a recorded call, and what differs.

FILE is a recording of RECORD_DIR (its .wav or its .json), or a file that the console exported. The caller's side is
heard once more, with the settings of the environment and of `.env`, or those given by --set; beside it stands what was
decided then. Answers would have come at other times, so it is an estimate from the first difference on.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lexbridge.config.env_file import read_env_file
from lexbridge.config.reading import read_settings
from lexbridge.config.settings import Settings
from lexbridge.errors import ConfigError
from lexbridge.observer.admin.what_if import CHANGEABLE, WhatIfRefused, utterances
from lexbridge.offline.commands.arguments import new_file
from lexbridge.offline.commands.hear import NOBODY
from lexbridge.offline.hearing.sound_file import SoundFileError
from lexbridge.offline.replay.comparison import Row, Utterance, compare, table
from lexbridge.offline.replay.recorded_call import RecordedCall, RecordedCallError, read_recorded_call

READ = (*(name.upper() for name in CHANGEABLE), "SLOT_KINDS")
"""The settings that decide what is heard."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `replay` to `parser`."""
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path, help="a recorded call: .wav or .json; or any wav file")
    parser.add_argument(
        "--set", action="append", default=[], type=_change, metavar="NAME=VALUE", help=f"one of {', '.join(READ)}"
    )
    parser.add_argument("--channel", type=int, default=1, help="of the caller, in a wav file without a .json (1)")
    parser.add_argument("--picture", type=new_file(".png"), metavar="PNG", help="draw the level, and both results")


def run(args: argparse.Namespace) -> int:
    """Print what was decided then and now, and return the exit status: 2 if the file or a setting cannot be used."""
    if args.picture is not None and find_spec("matplotlib") is None:
        print("--picture needs matplotlib: pip install -r requirements-offline.txt", file=sys.stderr)
        return 2
    try:
        changes = dict(args.set)
        settings = _settings(changes)
        call = read_recorded_call(args.file, args.channel)
        if not any(track.runs for (_, side), track in call.record.tracks.items() if side == "caller"):
            raise RecordedCallError(f"{args.file} has no audio of a caller")
        now = [
            Utterance(one["stream_sid"], one["started_ms"], one["ended_ms"], one["reason"])
            for one in utterances(call.record, settings.line, lambda: None)
        ]
    except (RecordedCallError, SoundFileError, ConfigError, WhatIfRefused) as error:
        print(error, file=sys.stderr)
        return 2
    rows = compare(call.then, now)
    print("\n".join(_told(call, rows, settings, changes)))
    return 0 if args.picture is None else _draw(args.picture, args.file.name, call, rows)


def _change(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in READ:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE with one of {', '.join(READ)}")
    return name, value


def _settings(changes: dict[str, str]) -> Settings:
    """Return the settings that decide what is heard. Raises ConfigError."""
    read_env_file(Path(".env"))
    own = {name: os.environ[name] for name in READ if name in os.environ}
    return read_settings({**NOBODY, **own, **changes})


def _told(call: RecordedCall, rows: Sequence[Row], settings: Settings, changes: dict[str, str]) -> list[str]:
    """Return the lines for a person."""
    shown = ", ".join(f"{name}={getattr(settings.line, name.lower())}" for name in _SHOWN)
    lines = [f"now: {shown}" + (f" (by --set: {', '.join(changes)})" if changes else ""), ""]
    lines += table(rows)
    if call.then is None:
        return [*lines, "", "No .json is beside the file: what was decided then is not known."]
    differ = sum(bool(row.difference) for row in rows)
    if rows:
        lines += ["", f"{differ} of {len(rows)} differ" if differ else f"all {len(rows)} are as they were"]
    return lines


_SHOWN = ("VAD", "VOICE_THRESHOLD", "ONSET_MS", "HANGOVER_MIN_MS", "HANGOVER_MS", "HANGOVER_MAX_MS")
"""The settings that are shown each time, because they decide most."""


def _draw(path: Path, title: str, call: RecordedCall, rows: Sequence[Row]) -> int:
    """Draw the picture, and return the exit status."""
    from lexbridge.offline.replay.picture import draw

    try:
        draw(path, title, call.record, rows)
    except OSError as error:
        print(f"{path} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"drawn: {path}")
    return 0
