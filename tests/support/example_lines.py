"""The tables of docs/examples-of-lines.md and docs/lines.md, and what `server.py --which` prints of calls to them."""

import argparse
import re
import shlex
from pathlib import Path

from lexbridge.config.lines import LineTable
from lexbridge.config.lines_file import read_lines
from lexbridge.config.reading import read_settings
from lexbridge.server import which_call
from lexbridge.server.lines_report import describe_choice
from tests.support.packages import ROOT

BERLIN_TOKEN = "fedcba9876543210fedcba9876543210"
CLINIC_TOKEN = "00112233445566778899aabbccddeeff"
PAGE = ROOT / "docs" / "examples-of-lines.md"
SHORT_PAGE = ROOT / "docs" / "lines.md"
"""The page with three shorter examples."""
ENVIRONMENT = {
    "AWS_REGION": "us-west-2",
    "ACCESS_KEY_ID": "AKIAEXAMPLE",
    "SECRET_ACCESS_KEY": "secret",
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "URL": "https://voice.example.com",
    "LINES_FILE": "lines.toml",
    "BERLIN_AUTH_TOKEN": BERLIN_TOKEN,
    "CLINIC_AUTH_TOKEN": CLINIC_TOKEN,
}
"""The environment of each example, in which no bot is named."""

WHICH = {
    "shop on a saturday": ("shop", ["--which +12065550102 --at 2026-12-05T12:00-08:00"]),
    "clinic reminder": (
        "clinic",
        [
            "--which +12065550155 --from +12065550121 --direction outbound --query campaign=reminder",
            "--which +493023125042",
        ],
    ),
    "hotline in spain": ("hotline", ["--which +34900123456"]),
}
"""The outputs on the page, by the name of their block: the example, and what is asked for."""


def example_text(name: str, page: Path = PAGE) -> str:
    """Return the table of an example as the page has it."""
    found = re.search(rf"<!-- example: {name} -->\n```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def example_table(name: str, page: Path = PAGE) -> LineTable:
    """Return the table of an example."""
    return read_lines(example_text(name, page), ENVIRONMENT, read_settings(ENVIRONMENT))


def which(block: str) -> str:
    """Return what `--which` prints of the calls of a block of the page."""
    name, commands = WHICH[block]
    parser = argparse.ArgumentParser()
    which_call.add_arguments(parser)
    said = []
    for command in commands:
        answer, _ = describe_choice(example_table(name), which_call.call_of(parser.parse_args(shlex.split(command))))
        said.append(f"$ python server.py {command}\n{answer}\n")
    return "```\n" + "\n".join(said) + "```\n"
