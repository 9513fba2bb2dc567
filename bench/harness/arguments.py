"""Command lines of the measurements: the parser, and the arguments that several of them share."""

import argparse
from pathlib import Path


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the measurement `name`. `description`: the docstring of its module."""
    return argparse.ArgumentParser(
        prog=f"python -m bench {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_calls(parser: argparse.ArgumentParser, default: int, what: str = "live calls") -> None:
    """Add --calls."""
    parser.add_argument("--calls", type=int, default=default, help=f"number of {what} (default: %(default)s)")


def add_seconds(parser: argparse.ArgumentParser, default: float, what: str) -> None:
    """Add --seconds. `what`: the thing that lasts as long."""
    parser.add_argument("--seconds", type=float, default=default, help=f"seconds of {what} (default: %(default)g)")


def add_seed(parser: argparse.ArgumentParser, default: int | None, what: str) -> None:
    """Add --seed. `what`: the random choices that follow from it."""
    shown = "random" if default is None else "%(default)s"
    parser.add_argument("--seed", type=int, default=default, help=f"seed of {what} (default: {shown})")


def add_case_words(parser: argparse.ArgumentParser) -> None:
    """Add the words that choose cases by their names."""
    parser.add_argument("words", nargs="*", help="run only the cases whose names contain any of these words")


def add_service(parser: argparse.ArgumentParser) -> None:
    """Add --workers, --setting, --program and --logs: how the service under test is started."""
    parser.add_argument("--workers", type=int, default=2, help="WEB_CONCURRENCY of the service (default: %(default)s)")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="setting of the service; may be repeated",
    )
    parser.add_argument("--program", default="server.py", help="program that is the service (default: %(default)s)")
    parser.add_argument("--logs", type=Path, help="folder that keeps the output of all processes")


def settings_from(options: list[str]) -> dict[str, str]:
    """Return the settings that were given by --setting."""
    return dict(option.split("=", 1) for option in options)
