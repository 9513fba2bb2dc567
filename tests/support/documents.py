"""Parts of the documents that are made from the code. `make docs` (`python -m tests.support.documents`) writes them.

Such a part stands between `<!-- NAME -->` and `<!-- end -->`. tests/test_docs.py holds each to the code.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial

from bench.load.report import markdown, pieces_markdown, read_document
from lexbridge.call.attributes import ATTRIBUTES
from lexbridge.call.conditions.table import CONDITIONS
from lexbridge.call.states import CALL_MOVES, TURN_MOVES
from lexbridge.config.describe import example_env_file, settings_tables
from tests.support.dashboard import dashboard
from tests.support.event_tables import event_tables, value_tables
from tests.support.example_lines import WHICH, which
from tests.support.lines_page import shop_answer, shop_table, short_names_table
from tests.support.log_events import log_events_file
from tests.support.metric_tables import label_tables, metrics_table
from tests.support.packages import ROOT, drawing, table


def attributes_table() -> str:
    """Return the session attributes as a Markdown table."""
    rows = [f"| `{one.name}` | {one.set_by} | {one.help} |" for one in ATTRIBUTES]
    return "\n".join(["| Session attribute | Set by | Meaning |", "|---|---|---|", *rows, ""])


def conditions_table() -> str:
    """Return the conditions of a call as a Markdown table."""
    rows = [
        f"| {one.name} (`{'`, `'.join(one.kept_in)}`) | {one.begins} | {one.ends} | {one.effect} |"
        for one in CONDITIONS
    ]
    return "\n".join(["| Condition | It begins when | It ends with | While it holds |", "|---|---|---|---|", *rows, ""])


def diagram(moves: Mapping[tuple[Enum, Enum], Enum]) -> str:
    """Return a table of moves as a Mermaid state diagram."""
    lines = [f"    {state.value} --> {after.value}: {move.value}" for (state, move), after in moves.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


BLOCKS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("README.md", "settings"): settings_tables,
    ("README.md", "attributes"): attributes_table,
    ("docs/call.md", "call moves"): lambda: diagram(CALL_MOVES),
    ("docs/call.md", "turn moves"): lambda: diagram(TURN_MOVES),
    ("docs/performance.md", "load"): lambda: markdown(read_document(ROOT / "docs")),
    ("docs/performance.md", "pieces"): lambda: pieces_markdown(ROOT / "docs"),
    ("docs/call.md", "conditions"): conditions_table,
    ("docs/metrics.md", "metrics"): metrics_table,
    ("docs/metrics.md", "label values"): label_tables,
    ("docs/events.md", "event fields"): event_tables,
    ("docs/events.md", "event values"): value_tables,
    ("docs/lines.md", "short names"): short_names_table,
    ("docs/lines.md", "table of the shop"): shop_table,
    ("docs/lines.md", "which line of the shop"): shop_answer,
    **{("docs/examples-of-lines.md", block): partial(which, block) for block in WHICH},
    ("docs/architecture.md", "packages"): drawing,
    ("docs/architecture.md", "imports"): table,
}
"""Blocks by document and name."""

FILES: Mapping[str, Callable[[], str]] = {
    ".env.example": example_env_file,
    "docs/grafana/lexbridge.json": dashboard,
    "lexbridge/observer/static/log_events.json": log_events_file,
}
"""Files that are made from the code as a whole."""


def write_documents() -> None:
    """Write every block and file anew."""
    for (document, name), make in BLOCKS.items():
        path = ROOT / document
        before, opening, rest = path.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
        assert opening, f"{document} has no <!-- {name} -->"
        after = rest[rest.index("<!-- end -->") :]
        path.write_text(f"{before}{opening}{make()}{after}", encoding="utf-8")
    for name, make in FILES.items():
        (ROOT / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    write_documents()
