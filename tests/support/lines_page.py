"""The parts of docs/lines.md that are made from the code, and its examples."""

import re
from datetime import datetime

from lexbridge.config.line_names import SHORT_NAMES
from lexbridge.config.lines import LineTable
from lexbridge.config.lines_file import read_lines
from lexbridge.config.reading import read_settings
from lexbridge.server.lines_report import describe_choice, describe_lines
from tests.support.line_tables import WITHOUT_BOT, call_of
from tests.support.packages import ROOT

_ENVIRONMENT = {**WITHOUT_BOT, "CLINIC_AUTH_TOKEN": "token-of-the-clinic"}


def example(name: str) -> LineTable:
    """Return the table of an example of the page."""
    page = (ROOT / "docs" / "lines.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- example: {name} -->\n```toml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return read_lines(found[1], _ENVIRONMENT, read_settings(_ENVIRONMENT))


def short_names_table() -> str:
    """Return the short names of settings as a Markdown table."""
    rows = [f"| `{short}` | `{variable}` |" for short, variable in SHORT_NAMES.items()]
    return "\n".join(["| name in the file | variable |", "|---|---|", *rows, ""])


def shop_table() -> str:
    """Return what `--check` prints of the shop's table."""
    return f"```\n{describe_lines(example('shop'))}\n```\n"


def shop_answer() -> str:
    """Return what `--which` prints of a call to the shop at noon."""
    noon_s = datetime.fromisoformat("2026-12-01T12:00-08:00").timestamp()
    said, _ = describe_choice(example("shop"), call_of("+12065550111", at_s=noon_s))
    return f"```\n$ python server.py --which +12065550111 --at 2026-12-01T12:00-08:00\n{said}\n```\n"
