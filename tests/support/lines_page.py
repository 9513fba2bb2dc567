"""The parts of docs/lines.md that are made from the code, and its examples."""

from datetime import datetime

from lexbridge.config.line_names import SHORT_NAMES
from lexbridge.config.lines import LineTable
from lexbridge.server.lines_report import describe_choice, describe_lines
from tests.support.example_lines import SHORT_PAGE, example_table
from tests.support.line_tables import call_of


def example(name: str) -> LineTable:
    """Return the table of an example of the page."""
    return example_table(name, SHORT_PAGE)


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
